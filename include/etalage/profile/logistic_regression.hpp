// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Settings of LogisticRegression.
struct ETALAGE_EXPORT LogisticOptions {
  double l2 = 10;                    ///< weight of the penalty on standardised coefficients; >= 0
  std::int32_t knots = 3;            ///< bends a column, at even quantiles; 0 is plain logistic regression; in [0, 16]
  std::int32_t max_iterations = 50;  ///< Newton steps; >= 1
  double tolerance = 1e-6;           ///< stop when no entry of the gradient is larger than this times the rows; > 0
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;             ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option that models on top have too, under the same names.
  template <class Options, class Visit>
  static void each_shared(Options& o, const Visit& visit) {
    visit_options(visit, "l2", o.l2, OptionRule("a finite number >= 0"), "knots", o.knots, OptionRule("in [0, 16]"),
                  "max_iterations", o.max_iterations, OptionRule(">= 1, at most 100000"),
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
  /// The same of all.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    each_shared(o, visit);
    visit_options(visit, "tolerance", o.tolerance, OptionRule("a finite number > 0"));
  }
};

/// Regularised logistic regression, bent: each column enters as itself and as max(0, x - knot) for each knot.
///
///   min  sum_i ln(1 + exp(-s_i m_i)) + l2 / 2 |w|^2,   m = b + w . z(x),  s = +-1,  z standardised basis, b not penalised
///
/// Solved by Newton's method with halving of the step (each is a weighted least-squares problem, hence IRLS), so the
/// gradient at the end is zero up to the tolerance. Basis columns that do not vary are left out.
/// Cost      a step is rows * basis^2 operations, about 250 basis columns for all intent features
/// Threads   const members are safe to call concurrently; the same bits for any num_threads
/// Errors    std::invalid_argument (shapes, values that are not finite, labels of one kind alone); NumericalError
class ETALAGE_EXPORT LogisticRegression {
 public:
  /// What the fit did.
  struct Report {
    std::int32_t iterations = 0;  ///< Newton steps done
    double objective = 0;  ///< at the end
    double gradient = 0;      ///< largest absolute entry at the end
    bool converged = false;  ///< whether the gradient is within the tolerance
  };

  /// features [n x d], labels [n] of 0 and 1; columns of features that are used, empty means all.
  Report fit(MatrixView<const float> features, std::span<const std::uint8_t> labels, const LogisticOptions& options = {},
             std::span<const std::int32_t> columns = {});
  /// ln(p / (1 - p)); row [d]. No allocation. NotFittedError.
  [[nodiscard]] double margin(std::span<const float> row) const;
  /// What each column of features adds to the margin, beside the margin of the average row; out [d].
  void contributions(std::span<const float> row, std::span<double> out) const;

  [[nodiscard]] bool fitted() const noexcept { return num_features_ > 0; }
  [[nodiscard]] std::size_t num_features() const noexcept { return num_features_; }  ///< columns that a row must have
  /// One entry of the basis: max(0, x - knot), or x itself for a knot of -infinity; (value - mean) * scale enters.
  struct Term {
    std::int32_t column;  ///< of the features
    double knot;  ///< where it begins; -infinity: the column itself
    double mean;  ///< of the entry over training
    double scale;  ///< 1 / standard deviation over training
    double weight;  ///< of the scaled entry
  };
  [[nodiscard]] std::span<const Term> terms() const noexcept { return terms_; }  ///< the basis, by column
  [[nodiscard]] double intercept() const noexcept { return intercept_; }  ///< margin of the average row

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static LogisticRegression from_state(const StateReader& reader);

 private:
  std::vector<Term> terms_;
  double intercept_ = 0;
  std::size_t num_features_ = 0;
};

}  // namespace etalage
