// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "etalage/core/interactions.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/factor_model.hpp"

namespace etalage {

struct DataShape;
namespace pairwise {
struct Settings;
}

/// How far a step goes.
enum class SgdOptimizer : std::uint8_t {
  kAdaGrad,  ///< learning_rate / sqrt(mean square of the row's gradients so far, summed), one sum a row
  kSgd       ///< learning_rate itself
};
/// As options spell them.
template <>
inline constexpr auto option_names<SgdOptimizer> = std::to_array<OptionName<SgdOptimizer>>(
    {{"adagrad", SgdOptimizer::kAdaGrad}, {"sgd", SgdOptimizer::kSgd}});

/// Who is set against a liked item. Items that the user likes are never drawn.
enum class NegativeSampling : std::uint8_t {
  kUniform,     ///< any item: the fastest epochs, more of the long tail
  kPopularity,  ///< an item in proportion to its number of users: holds popular items down
  kDynamic      ///< the best scored of `num_candidates` uniform ones (Zhang et al., SIGIR 2013): by far the best lists, and as many scores a step
};
/// As options spell them.
template <>
inline constexpr auto option_names<NegativeSampling> = std::to_array<OptionName<NegativeSampling>>(
    {{"uniform", NegativeSampling::kUniform}, {"popularity", NegativeSampling::kPopularity}, {"dynamic", NegativeSampling::kDynamic}});

/// visit("name", field, rule) for each option that BPR and WARP share.
template <class Options, class Visit>
void each_pairwise_option(Options& o, const Visit& visit) {
  visit_options(visit, "factors", o.factors, OptionRule("in [1, 4096]"), "learning_rate", o.learning_rate, OptionRule("finite and > 0"),
                "regularization", o.regularization, OptionRule("finite and >= 0"), "epochs", o.epochs, OptionRule(">= 0, at most 100000"),
                "optimizer", o.optimizer, "decay", o.decay, OptionRule("finite and >= 0"), "item_bias", o.item_bias,
                "init_scale", o.init_scale, OptionRule("finite and > 0"), "fold_in_epochs", o.fold_in_epochs, OptionRule(">= 1, at most 100000"),
                "compute_objective", o.compute_objective, "keep_history", o.keep_history,
                "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"), "seed", o.seed);
}

/// What BPR and WARP share: factors x_u, y_i trained by stochastic gradient descent over pairs (liked, not liked) of items.
///
/// A sample   a liked pair (u, i), each once an epoch in random order, a drawn item j and a weighted loss of the margin
///            x = x_u . (y_i - y_j); the step follows the gradient of  loss(x) + regularization / 2 (|x_u|^2 + |y_i|^2 +
///            |y_j|^2). Values r > 0 are liked, all alike; others are as good as absent.
/// Schedule   users and items are cut into B random blocks (B <= 32 depends on the shape alone), items anew in each epoch.
///            B rounds of B blocks that share no user and no item run side by side (Gemulla et al., KDD 2011, on pairs);
///            j is drawn from the block of i, which is a random part of the catalogue.
/// Bias       with item_bias the last column of item_factors is b_i and that of user_factors is 1; similar_items and
///            similar_users leave it out.
/// Folding in items fixed: `fold_in_epochs` passes over the history (each item once, ascending) with the steps that a user
///            row gets in training, from zero, negatives drawn from the whole catalogue by a stream that depends on seed
///            alone. The same row for the same history in any order.
/// Explain    the folded-in row is a sum over the steps, each of which belongs to one liked item: its part is what these
///            steps, shrunk by the later ones, add to the item's score. Parts sum to total, which is the score of the query
///            with recalculate_user (without the item's bias).
/// Repeats    bit-identical for equal seed and SIMD level, whatever num_threads is
class ETALAGE_EXPORT PairwiseModel : public FactorModel {
 public:
  /// Replaces what was fitted before. The callback is asked after every epoch. After an exception the model is as before.
  /// NumericalError when factors leave the finite numbers.
  FitReport fit(const Interactions& data, const ProgressCallback& callback = {});
  [[nodiscard]] const FitReport& report() const noexcept { return report_; }
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;
  /// Nothing for an item that nobody liked: its row says only whom it was drawn against.
  std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                            const ItemFilter* filter = nullptr) const override;

  void save_state(StateWriter& writer) const override;

 protected:
  PairwiseModel() = default;
  void load_pairwise(const StateReader& reader);  ///< what save_state() of BPR and WARP share
  void fold_in(const Query& query, std::span<float> factor, Scratch& scratch) const override;
  [[nodiscard]] std::int32_t similarity_factors() const noexcept override;
  [[nodiscard]] virtual pairwise::Settings settings() const noexcept = 0;
  /// What a fit on data of this shape uses, and keeps once it is done.
  [[nodiscard]] virtual pairwise::Settings settings_for(const DataShape& shape) const = 0;
  virtual void settle(const DataShape& shape) = 0;

 private:
  [[nodiscard]] std::span<const std::int32_t> liked_of(const Query& query, Scratch& scratch) const;
  FitReport report_;
  Array<std::int32_t> unknown_items_;  // that nobody liked at fit time, ascending
};

}  // namespace etalage
