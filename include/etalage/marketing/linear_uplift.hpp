// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Settings of LinearUplift.
struct ETALAGE_EXPORT LinearUpliftOptions {
  double l2 = 1;            ///< weight of the penalty on coefficients of standardised features, > 0; intercepts are free
  void validate() const;    ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "l2", o.l2, OptionRule("finite and > 0"));
  }
};

/// Uplift of one or several treatments by a ridge regression for each arm (two-model learner): small, and served as one dot
/// product a treatment.
///
///   arm a:  min sum_{i in a} (y_i - b_a - w_a . z_i)^2 + l2 |w_a|^2,  z standardised over all rows;  uplift_a(x) = (b_a + w_a . z) - (b_0 + w_0 . z)
///
/// Cost      fit rows * d^2 + arms * d^3; predict treatments * d, no allocation
/// Threads   const members are safe to call concurrently; fit runs on one thread
/// Errors    std::invalid_argument (shapes, values that are not finite, an arm without rows); NotFittedError
class ETALAGE_EXPORT LinearUplift {
 public:
  /// features [n x d], arms [n] in [0, arms) with 0 the control, outcome [n]; at least one treatment, every arm with a row.
  FitReport fit(MatrixView<const double> features, std::span<const std::int32_t> arms, std::span<const double> outcome,
                const LinearUpliftOptions& options = {});
  /// row [d], out [treatments]: expected outcome under each treatment minus that without.
  void predict(std::span<const double> row, std::span<double> out) const;

  [[nodiscard]] bool fitted() const noexcept { return treatments_ > 0; }
  [[nodiscard]] std::size_t num_features() const noexcept { return features_; }  ///< columns of features
  [[nodiscard]] std::size_t num_treatments() const noexcept { return treatments_; }  ///< arms beside control
  /// [treatments x (features + 1)] row-major, on the features as they come; the last of a row is the intercept.
  [[nodiscard]] std::span<const double> coefficients() const noexcept { return coefficients_; }

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static LinearUplift from_state(const StateReader& reader);

 private:
  std::size_t features_ = 0;
  std::size_t treatments_ = 0;
  std::vector<double> coefficients_;
};

}  // namespace etalage
