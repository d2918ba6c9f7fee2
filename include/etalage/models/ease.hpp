// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/item_similarity.hpp"

namespace etalage {

/// How the weights are found.
enum class EaseMethod : std::uint8_t {
  kExact,       ///< the closed form over all items
  kApproximate  ///< the same closed form for each item over its num_candidates most similar items alone
};
/// As options spell them.
template <>
inline constexpr auto option_names<EaseMethod> = std::to_array<OptionName<EaseMethod>>(
    {{"exact", EaseMethod::kExact}, {"approximate", EaseMethod::kApproximate}});

/// Settings of the linear item-item model with a closed form.
struct ETALAGE_EXPORT EaseOptions {
  Auto<float> l2 = Auto<float>::unless_given(100);  ///< ridge on the weights, > 0
  float popularity_penalty = 0;     ///< p: weights for an item are divided by (its users)^p, in [0, 1]
  std::int32_t num_neighbors = 0;   ///< weights kept of each item, those of largest size; 0 keeps all
  /// Not given: exact where its memory fits the budget, else approximate.
  Auto<EaseMethod> method = Auto<EaseMethod>::unless_given(EaseMethod::kExact);
  std::int64_t memory_budget = std::int64_t{8} << 30;  ///< bytes that an exact fit may take, > 0; see Cost
  std::int32_t num_candidates = 500;                   ///< of the approximate method, >= 1
  bool keep_history = true;         ///< keep the training rows in the model, whose scores rest on them
  int num_threads = 0;              ///< 0 means all CPUs
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "l2", o.l2, OptionRule("finite and > 0"), "popularity_penalty", o.popularity_penalty, OptionRule("in [0, 1]"),
                  "num_neighbors", o.num_neighbors, OptionRule(">= 0 (0 keeps all)"), "method", o.method,
                  "memory_budget", o.memory_budget, OptionRule("> 0 bytes"), "num_candidates", o.num_candidates, OptionRule(">= 1"),
                  "keep_history", o.keep_history, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// EASE: each item's column regressed on all the others with a ridge, in closed form.
/// Minimises  |X - X W|^2 + l2 |W|^2  with W(j, j) = 0:  W(i, j) = -P_ij / P_jj,  P = (X^T X + l2 I)^-1
///            approximate: the same with W(i, j) = 0 too for i outside the candidates of j, solved exactly
///            then W(i, j) n_j^-p, n_j the users of j, p = popularity_penalty: not the minimum any more, but less of what sells
///            anyway
/// Shapes     user_items CSR [n_users x n_items], any finite values; W [n_items x n_items]
/// Choose     for up to some ten thousand items, where it is hard to beat; beyond, the exact method costs memory by the square and time by
///            the cube of the items. The approximate one keeps nearly all of the accuracy (98 % or more where both were measured) in memory
///            that grows with the items; num_neighbors makes answers small. Very sparse data go to graph filters; each fit is from scratch
/// Cost       exact: num_items^3 flops, half of them where items share few users (rows of the Gram matrix with few
///            entries are eliminated first), and 4 num_items^2 bytes, in place, which W keeps (sparse with num_neighbors); with
///            fewer users than items, and 4 num_users^2 bytes more in the budget, num_users^3 flops (Woodbury's identity)
///            approximate: num_items x num_candidates^3 / 3 flops and about 16 num_items x num_candidates bytes
/// Threads    const members are safe to call concurrently; fit() needs exclusive access
/// Repeats    bit-identical for any num_threads
/// Stopped    a callback that returns false leaves the solution over what is done so far: exact, W of the
///            items reached, 0 elsewhere, or W of the users done; approximate, W whose columns of the other items are 0
/// Errors     std::invalid_argument (options; exact beyond the budget), NotFittedError, NumericalError (not positive
///            definite in float32: a larger l2 helps)
/// Source     Steck, WWW 2019; candidates: Ning, Karypis, ICDM 2011 (fsSLIM), with the ridge instead of the elastic net
class ETALAGE_EXPORT EaseModel final : public ItemSimilarityModel {
 public:
  explicit EaseModel(EaseOptions options = {});  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return "EASE"; }
  [[nodiscard]] const EaseOptions& options() const noexcept { return options_; }
  FitReport fit(const Interactions& data, const ProgressCallback& callback = {});
  /// Whether fit() on data of this size, by these settled options, solves over the items' Gram matrix: what from_gram() does.
  /// false where it solves over users, or approximately.
  /// Errors     std::invalid_argument: method is exact, and its memory beyond the budget
  [[nodiscard]] static bool over_items(const EaseOptions& options, std::int64_t users, std::int64_t items);
  /// The model of a Gram matrix that was made elsewhere, in blocks of consecutive items as `etalage.spark` makes them, by these settled
  /// options, which it keeps: the bits of fit() on the same data. Without blocks where fit() would solve over users, and this does.
  /// Errors     std::invalid_argument (blocks that are not rows of all the data's items in order; data that fit() would solve approximately)
  [[nodiscard]] static std::shared_ptr<EaseModel> from_gram(const EaseOptions& options, const Interactions& data, std::span<const CsrMatrix> blocks,
                                                            int num_threads, double seconds);
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<EaseModel> from_state(const StateReader& reader);

 private:
  FitReport fit_settled(const Interactions& data, const ProgressCallback& callback);
  FitReport fit_exact(const Interactions& data, const ProgressCallback& callback, bool over_users);
  FitReport fit_approximate(const Interactions& data, const ProgressCallback& callback);

  EaseOptions options_;
};

}  // namespace etalage
