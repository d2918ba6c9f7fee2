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

/// Settings of LinearRanker::fit.
struct ETALAGE_EXPORT LinearRankerOptions {
  double l2 = 1e-3;                 ///< > 0: penalty l2 / 2 |w|^2 beside the mean loss of a list
  std::int32_t max_iterations = 50; ///< of Newton, >= 1
  double tolerance = 1e-8;          ///< ends at a gradient this long, > 0
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "l2", o.l2, OptionRule("finite and > 0"), "max_iterations", o.max_iterations, OptionRule(">= 1"), "tolerance", o.tolerance,
                  OptionRule("finite and > 0"), "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// How often each list is in one of the resamples of an online bootstrap: Poisson(1) counts, those of a shopper drawn at once. [groups]
///
/// groups   of each list, whose lists come and go together (a shopper's are alike)
/// taught   [groups.size()] whether there is something to learn from a list: a resample without any is drawn again
/// model    number of the resample; equal arguments, equal counts
/// Errors   std::invalid_argument (sizes; nothing to learn from)
/// Source   Oza, Russell, AISTATS 2001; Eckles, Kaptein, arXiv:1410.4009
[[nodiscard]] ETALAGE_EXPORT std::vector<float> bootstrap_weights(std::span<const std::int64_t> groups, std::span<const std::uint8_t> taught,
                                                                  std::uint64_t seed, std::uint64_t model);

/// A linear score of rows with gaps, learned from lists.
///
///   s(x) = sum_f  w_f (c_f - mean_f) / deviation_f  where x_f is known,  m_f  where it is missing (NaN);
///   c_f = x_f, or the end of what training held of feature f, [least_f, most_f], that x_f lies beyond
///
/// Beyond    what training held a line is only a guess, and a wrong one where lists were alike: a list of six products that were
///           all liked says nothing of the disliked. There a feature counts as at the nearest end, as a tree's would
/// Learns    minimises  1 / sum_l a_l  sum_l a_l [log sum_j exp s_j - sum_j t_j s_j] + l2 / 2 (|w|^2 + |m|^2),  t the gains of a
///           list over their sum, a its weight: the chance that a choice in proportion to exp(s) takes what was taken. Convex;
///           Newton steps, halved while they do not descend
/// Lists     those without a gain teach nothing and do not count
/// Repeats   bit-identical for any number of threads
/// Errors    std::invalid_argument (sizes, infinite values, negative gains or weights, no list with a gain)
/// Source    Cao et al., ICML 2007 (ListNet, top one)
class ETALAGE_EXPORT LinearRanker {
 public:
  /// How the minimum was found.
  struct Report {
    double loss = 0;       ///< of the minimum, penalty included
    double gradient = 0;   ///< its length there
    std::int32_t iterations = 0;  ///< steps done
    std::int64_t lists = 0;  ///< with something to learn from
  };

  LinearRanker() = default;
  /// rows [n, features], offsets [lists + 1], gains [n] >= 0, weights [lists] >= 0 or empty (1 each).
  [[nodiscard]] static LinearRanker fit(MatrixView<const float> rows, std::span<const std::int64_t> offsets, std::span<const float> gains,
                                        std::span<const float> weights, const LinearRankerOptions& options = {});

  [[nodiscard]] bool empty() const noexcept { return weights_.empty(); }
  [[nodiscard]] std::size_t num_features() const noexcept { return weights_.size(); }  ///< columns of a row
  [[nodiscard]] double score(std::span<const float> row) const noexcept;  ///< row [num_features()]
  [[nodiscard]] std::span<const double> weights() const noexcept { return weights_; }          ///< w
  [[nodiscard]] std::span<const double> missing_weights() const noexcept { return missing_; }  ///< m
  [[nodiscard]] std::span<const double> means() const noexcept { return means_; }  ///< [num_features()] of training
  [[nodiscard]] std::span<const double> least() const noexcept { return least_; }  ///< [num_features()] of training; 0 where never known
  [[nodiscard]] std::span<const double> most() const noexcept { return most_; }    ///< likewise
  /// [num_features()], 0 for a column that does not vary.
  [[nodiscard]] std::span<const double> inverse_deviations() const noexcept { return inverse_; }
  [[nodiscard]] const Report& report() const noexcept { return report_; }

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static LinearRanker from_state(const StateReader& reader);

 private:
  std::vector<double> weights_;
  std::vector<double> missing_;
  std::vector<double> means_;
  std::vector<double> inverse_;
  std::vector<double> least_;
  std::vector<double> most_;
  Report report_;
};

}  // namespace etalage
