// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Settings of ColdStart.
struct ETALAGE_EXPORT ColdStartOptions {
  std::int32_t power = 2;        ///< highest power of the cosine, see ColdStart; in [1, 16]. More makes near ones count more
  double regularization = 0.3;   ///< lambda; > 0
  double support_power = 0.5;    ///< a known row counts as its support to this power; in [0, 1]
  double target_power = 0;       ///< factors are learned at |factor|^-target_power of their size; in [0, 1]
  double evenness = 0;           ///< 0 takes columns as they come, 1 takes the weight of rare ones back; in [0, 1]
  std::int32_t max_rows = 4096;  ///< different rows of attributes that are learned from, those of most support; >= 1
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;         ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "power", o.power, OptionRule("in [1, 16]"), "regularization", o.regularization, OptionRule("a finite number > 0"),
                  "support_power", o.support_power, OptionRule("in [0, 1]"), "target_power", o.target_power, OptionRule("in [0, 1]"),
                  "evenness", o.evenness, OptionRule("in [0, 1]"), "max_rows", o.max_rows, OptionRule("in [1, 32768]"),
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// Factors for products (or people) that nobody has touched yet, from their attributes: kernel ridge regression.
///
///   y(x) = m + sum_j a_j k(x, x_j),  k(x, z) = (cos(x, z) + ... + cos(x, z)^power) / power,  m the mean known factor
///   min_a  sum_i w_i |y_i - y(x_i)|^2 + regularization * tr(a' K a)      =>      (K + regularization * W^-1) a = Y - m
///
/// with w_i = support_i^support_power, scaled to mean 1: what many touched is known better. m is weighted alike. With
/// target_power t the y_i above are y_i / |y_i|^t (0 for 0): how much is liked that few attributes predict does then not drown
/// what they do predict, who likes it; predicted factors are brought back to size by the factor that fits the known ones best.
/// With evenness e a column that c of the n known rows have is divided by ln(1 + n / c)^e before rows get unit length. Known
/// rows with the same attributes are one, y_i their weighted mean and w_i their sum, which gives the same y(x). Power 1 is
/// ridge regression on unit-length attributes; higher powers add products of so many of them (comedy AND war) unnamed.
/// Somebody with no attributes, or none that is known, gets m.
/// Shapes     attributes [n x d] sparse, factors [n x f]
/// Choose     to give factors to what is new behind any fitted factor model. FeatureALS learns factors and features together instead, by a fit
///            of its own; the work here grows with the cube of different rows of attributes
/// Cost       fit: r^3 / 3 for r different rows (some seconds for 4096) and r^2 f; predict: a product with all r rows
/// Repeats    the same bits for any num_threads
/// Threads    const members are safe to call concurrently; fit needs exclusive access
/// Errors     std::invalid_argument (shapes, values that are not finite, no known row); NotFittedError
/// Source     C. Saunders, A. Gammerman, V. Vovk, Ridge regression learning algorithm in dual variables, ICML 1998
class ETALAGE_EXPORT ColdStart {
 public:
  explicit ColdStart(ColdStartOptions options = {});  ///< validates the options

  /// support [n]: how often each was touched; those with 0 are unknown, their factors are not read. Empty: all known.
  FitReport fit(const CsrView& attributes, MatrixView<const float> factors, std::span<const float> support = {});
  /// The settings that predict best: a fixed fifth of the known rows (at most 2000) is left out, the rest (at most 1500
  /// different rows) learned from, and those left out are ranked for users by the predicted factors; then another fifth. The
  /// highest mean recall@20 over both wins, ties by the earlier one: first among powers 1, 2, 3, 5 x regularizations 0.3, 1,
  /// 3, 10 with the rest 0, then one by one support_power 0.5, evenness 1, target_power 0.5, 1, and power and regularization
  /// once more. user_items [users x n], user_factors [users x f]; at most 2000 users, evenly spread, are asked for each part.
  /// Options as given when there is nobody to judge by.
  [[nodiscard]] static ColdStartOptions chosen(const CsrView& attributes, MatrixView<const float> factors, std::span<const float> support,
                                               MatrixView<const float> user_factors, const CsrView& user_items, ColdStartOptions options);
  /// out [attributes.rows x factors()], fully overwritten.
  void predict(const CsrView& attributes, MatrixView<float> out) const;

  [[nodiscard]] bool fitted() const noexcept { return factors_ > 0; }
  [[nodiscard]] std::int32_t factors() const noexcept { return factors_; }  ///< width of what it predicts
  [[nodiscard]] std::int64_t num_attributes() const noexcept { return rows_.cols; }  ///< columns of the attributes
  /// Different rows learned from.
  [[nodiscard]] std::int64_t num_rows() const noexcept { return rows_.rows; }
  [[nodiscard]] const ColdStartOptions& options() const noexcept { return options_; }

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static std::shared_ptr<ColdStart> from_state(const StateReader& reader);

 private:
  ColdStartOptions options_;
  std::int32_t factors_ = 0;
  CsrMatrix rows_;          // known rows at unit length
  CsrMatrix by_column_;     // their transpose
  Array<float> weights_;    // a [rows x factors]
  Array<float> mean_;       // m [factors]
  Array<float> column_scale_;  // of evenness; empty for all 1
};

}  // namespace etalage
