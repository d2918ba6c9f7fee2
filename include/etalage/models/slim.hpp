// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "etalage/core/interactions.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/item_similarity.hpp"

namespace etalage {

/// Settings of the sparse linear item-item model.
struct ETALAGE_EXPORT SlimOptions {
  float l1 = 0.2f;                    ///< weight of |W|_1, >= 0: larger is sparser
  float l2 = 100;                     ///< weight of |W|^2 / 2, >= 0
  bool non_negative = true;           ///< W >= 0
  std::int32_t num_candidates = 300;  ///< for each item, the most similar items that may have a weight, >= 1
  std::int32_t iterations = 100;      ///< at most so many sweeps over an item's candidates, >= 1
  float tolerance = 1e-4f;            ///< an item is done when a sweep moves no gradient by more than this share of its largest, >= 0
  bool keep_history = true;           ///< keep the training rows in the model, whose scores rest on them
  int num_threads = 0;                ///< 0 means all CPUs
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "l1", o.l1, OptionRule("finite and >= 0"), "l2", o.l2, OptionRule("finite and >= 0"),
                  "non_negative", o.non_negative, "num_candidates", o.num_candidates, OptionRule(">= 1"),
                  "iterations", o.iterations, OptionRule(">= 1, at most 100000"), "tolerance", o.tolerance, OptionRule("finite and >= 0"),
                  "keep_history", o.keep_history, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// SLIM: each item's column as a sparse combination of other items, by an elastic net.
/// Minimises  |x_j - X w|^2 / 2 + l1 |w|_1 + l2 |w|^2 / 2  for each item j over w with w_j = 0, w_i = 0 outside the
///            candidates of j, and w >= 0 with non_negative; W(i, j) = w_i. Candidates are the num_candidates items of
///            largest cosine with j; with num_candidates >= the items that share a user with j nothing is left out
/// Solver     coordinate descent on the candidates' Gram matrix, cyclic, from 0
/// Choose     as EASE, where weights must be few and not negative: smaller to keep and easier to explain, slower to fit
/// Cost       num_items x (sum over users of (candidates that they have)^2 + sweeps x candidates x non-zeros) flops; 8 bytes
///            a candidate and a weight
/// Threads    items are spread over threads; const members are safe to call concurrently, fit() needs exclusive access
/// Repeats    bit-identical for any num_threads
/// Stopped    a callback that returns false leaves the items done so far
/// Errors     std::invalid_argument (options), NotFittedError
/// Source     Ning, Karypis, ICDM 2011; Friedman, Hastie, Tibshirani, J. Stat. Softw. 2010 (covariance updates)
class ETALAGE_EXPORT SlimModel final : public ItemSimilarityModel {
 public:
  explicit SlimModel(SlimOptions options = {});  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return "SLIM"; }
  [[nodiscard]] const SlimOptions& options() const noexcept { return options_; }
  FitReport fit(const Interactions& data, const ProgressCallback& callback = {});
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<SlimModel> from_state(const StateReader& reader);

 private:
  SlimOptions options_;
};

}  // namespace etalage
