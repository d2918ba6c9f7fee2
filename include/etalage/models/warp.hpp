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

/// Settings of weighted approximate-rank pairwise learning.
struct ETALAGE_EXPORT WarpOptions {
  Auto<int> factors = Auto<int>::unless_given(64);  ///< latent dimension f, in [1, 4096]
  float learning_rate = 0.05f;     ///< > 0
  Auto<float> regularization = Auto<float>::unless_given(0.01f);  ///< L2 weight on every row that a step touches, >= 0
  Auto<int> epochs = Auto<int>::unless_given(50);  ///< passes over the liked pairs, >= 0
  float margin = 1;                ///< by which a liked item should lead, > 0
  Auto<int> max_trials = Auto<int>::unless_given(64);  ///< items drawn in search of one that violates the margin, in [1, 100000]
  Auto<int> num_violators = Auto<int>::unless_given(1);  ///< draws go on for so many violators, and the step is on the highest-scored; in [1, 1024]
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
    visit_options(visit, "margin", o.margin, OptionRule("finite and > 0"), "max_trials", o.max_trials, OptionRule("in [1, 100000]"),
                  "num_violators", o.num_violators, OptionRule("in [1, 1024]"));
  }
};

/// WARP: as BPR, with a loss that counts an item's rank and steps taken only where the order is wrong.
/// Minimises  sum over liked (u, i) of  L(rank of i) / L(n_items - 1) max(0, margin - x_u . (y_i - y_j)) + regularization / 2 (|x_u|^2 +
///            |y_i|^2 + |y_j|^2), j the highest-scored of the first num_violators drawn items that violate the margin, the last
///            of them at draw t; rank = floor((n_items - 1) violators / t) and L(r) = sum_{s <= r} 1 / s. max_trials draws at
///            most are made, and the violators that they hold are used, or no step taken; at most n_items / 16, for the best of
///            a small catalogue is what the user will like next.
/// Shapes     user_items CSR [n_users x n_items]; factors float32 row-major [n x f], one column more with item_bias
/// Choose     as BPR, where the first places count most. It fits longer the better it gets, since violations grow rare, and too much
///            regularization collapses it; ALS of more factors and graph filters are ahead of it on sparse data
/// Cost       an epoch O(nnz f (trials + 3)), the mean number of trials growing towards max_trials as the fit gets better;
///            4 f (n_users + n_items) + 8 nnz bytes
/// Threads    const members are safe to call concurrently; fit() needs exclusive access
/// Repeats    bit-identical for equal seed and SIMD level, whatever num_threads is
/// Errors     std::invalid_argument (options, shapes, values), NotFittedError, NumericalError (diverged)
/// Source     Weston, Bengio, Usunier, IJCAI 2011 (WSABIE), whose one violator is num_violators = 1; the rank from several draws
///            after Liu, Natarajan, WMRB, RecSys 2017, the hardest of them after Zhang, Chen, Wang, Yu, SIGIR 2013; L2 weights here in the place of its bound on norms
class ETALAGE_EXPORT WarpModel final : public PairwiseModel {
 public:
  WarpModel() : WarpModel(WarpOptions{}) {}
  explicit WarpModel(const WarpOptions& options);  ///< validates the options
  [[nodiscard]] const WarpOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::string_view kind() const noexcept override { return "WARP"; }
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<WarpModel> from_state(const StateReader& reader);

 protected:
  [[nodiscard]] pairwise::Settings settings() const noexcept override;
  [[nodiscard]] pairwise::Settings settings_for(const DataShape& shape) const override;
  void settle(const DataShape& shape) override;

 private:
  WarpOptions options_;
};

}  // namespace etalage
