// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "etalage/core/progress.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// What a fit by maximum likelihood found: positive parameters, how sure they are, and how the search ended. As a FitReport its
/// objective is the log-likelihood at the start and at the end of the search; times are not kept in files.
struct ETALAGE_EXPORT ParameterFit : FitReport {
  std::vector<std::string> names;    ///< the textbook's letters
  std::vector<double> values;        ///< as names
  /// Of ln(values), row-major [d x d]: the inverse of minus the Hessian at the end. NaN in the rows of parameters that
  /// the data do not determine (at_bound).
  std::vector<double> covariance;
  std::vector<std::string> at_bound; ///< parameters that ran to the end of their range: likelihood has no maximum there
  double log_likelihood = 0;
  double gradient = 0;               ///< largest absolute entry of the gradient by ln(values) at the end, without at_bound
  bool converged = false;
  std::int64_t customers = 0;        ///< rows that entered the likelihood
  std::int64_t distinct = 0;         ///< of those, different ones: equal rows are collapsed into one with a weight

  /// Of the values, by the delta method: value * sqrt(covariance of its logarithm). [d]
  [[nodiscard]] std::vector<double> standard_errors() const;
  /// Draws from the normal distribution of ln(values), as values, row-major [count x d]; parameters at a bound stay.
  /// The same numbers for the same seed.
  [[nodiscard]] std::vector<double> draws(std::size_t count, std::uint64_t seed) const;

  void save_state(StateWriter& writer) const;
  /// FormatError unless there are as many as `names`, finite and positive.
  [[nodiscard]] static ParameterFit from_state(const StateReader& reader, std::span<const char* const> names);
};

}  // namespace etalage
