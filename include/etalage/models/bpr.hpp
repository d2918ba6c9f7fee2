// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/models/pairwise_model.hpp"

namespace etalage {

/// Settings of Bayesian personalized ranking.
struct ETALAGE_EXPORT BprOptions {
  Auto<int> factors = Auto<int>::unless_given(64);  ///< latent dimension f, in [1, 4096]
  float learning_rate = 0.05f;     ///< > 0
  Auto<float> regularization = Auto<float>::unless_given(0.01f);  ///< L2 weight on every row that a sample touches, >= 0
  Auto<int> epochs = Auto<int>::unless_given(50);  ///< passes over the liked pairs, >= 0
  NegativeSampling negatives = NegativeSampling::kDynamic;  ///< how the item beside the bought one is drawn
  Auto<int> num_candidates = Auto<int>::unless_given(8);  ///< of kDynamic, in [1, 1024]; at most n_items / 16 are drawn
  SgdOptimizer optimizer = SgdOptimizer::kAdaGrad;  ///< how long steps are
  float decay = 0;                 ///< epoch e (from 0) uses learning_rate / (1 + decay e), >= 0
  Auto<bool> item_bias = Auto<bool>::unless_given(false);  ///< one more column: the item's own level
  float init_scale = 0.1f;         ///< start: bell-shaped, standard deviation init_scale / sqrt(factors); > 0
  int fold_in_epochs = 20;         ///< passes over the history of somebody who is folded in, >= 1
  bool compute_objective = true;   ///< mean loss of the epoch's samples, before their steps, into the report
  bool keep_history = true;        ///< keep the training rows in the model, for seen items and for fold-in
  int num_threads = 0;             ///< 0 means all CPUs this process may use
  std::uint64_t seed = 42;  ///< of start and draws; equal seeds, equal models for one thread
  void validate() const;           ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    each_pairwise_option(o, visit);
    visit_options(visit, "negatives", o.negatives, "num_candidates", o.num_candidates, OptionRule("in [1, 1024]"));
  }
};

/// Bayesian personalized ranking: a liked item should score above one that is not.
/// Minimises  sum over samples (u, i, j) of  -ln sigma(x_u . (y_i - y_j)) + regularization / 2 (|x_u|^2 + |y_i|^2 + |y_j|^2)
/// Shapes     user_items CSR [n_users x n_items]; factors float32 row-major [n x f], one column more with item_bias
/// Choose     when the order of a list counts and values do not: likes alone are used, how often or how much is not. ALS fits faster and
///            takes new rows without a refit; neighbours and graph filters rank better on sparse data
/// Cost       an epoch O(nnz f) with uniform and popular negatives, O(nnz f num_candidates) with dynamic ones;
///            4 f (n_users + n_items) + 8 nnz bytes
/// Threads    const members are safe to call concurrently; fit() needs exclusive access
/// Repeats    bit-identical for equal seed and SIMD level, whatever num_threads is
/// Errors     std::invalid_argument (options, shapes, values), NotFittedError, NumericalError (diverged)
/// Source     Rendle, Freudenthaler, Gantner, Schmidt-Thieme, UAI 2009; Zhang, Chen, Wang, Yu, SIGIR 2013 (dynamic negatives)
class ETALAGE_EXPORT BprModel final : public PairwiseModel {
 public:
  BprModel() : BprModel(BprOptions{}) {}
  explicit BprModel(const BprOptions& options);  ///< validates the options
  [[nodiscard]] const BprOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::string_view kind() const noexcept override { return "BPR"; }
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<BprModel> from_state(const StateReader& reader);

 protected:
  [[nodiscard]] pairwise::Settings settings() const noexcept override;
  [[nodiscard]] pairwise::Settings settings_for(const DataShape& shape) const override;
  void settle(const DataShape& shape) override;

 private:
  BprOptions options_;
};

}  // namespace etalage
