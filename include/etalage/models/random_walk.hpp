// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/item_similarity.hpp"

namespace etalage {

/// Settings of the three-step random walk, user - item - user - item.
struct ETALAGE_EXPORT RandomWalkOptions {
  Auto<float> alpha = Auto<float>::unless_given(1);  ///< exponent of the transition probabilities, > 0
  Auto<float> beta = Auto<float>::unless_given(0);  ///< RP3beta: W(i, j) is divided by (users of j)^beta, >= 0; 0 is P3alpha
  Auto<std::int32_t> num_neighbors = Auto<std::int32_t>::unless_given(500);  ///< kept for each item, >= 1
  bool normalize = false;            ///< divide each row of W by its sum
  bool keep_history = true;          ///< keep the training rows in the model, whose scores rest on them
  int num_threads = 0;               ///< 0 means all CPUs
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "alpha", o.alpha, OptionRule("finite and > 0"), "beta", o.beta, OptionRule("finite and >= 0"),
                  "num_neighbors", o.num_neighbors, OptionRule(">= 1"), "normalize", o.normalize, "keep_history", o.keep_history,
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// P3alpha and RP3beta: where a walk of three steps from a user ends.
/// W(i, j) = sum_u (r_ui / sum_u' r_u'i)^alpha (r_uj / sum_j' r_uj')^alpha / n_j^beta, with n_j the users of j.
/// Shapes     values must be >= 0 (a negative one is std::invalid_argument)
/// Choose     for sparse data of many items: fitted in a second and close to the best there (docs/models, Gowalla). beta holds popular
///            items down, the more the denser the data; dense data go to EASE and ALS
/// Cost       fit O(sum over users of |history|^2) time, num_items x num_neighbors x 8 bytes
/// Repeats    bit-identical for any num_threads
/// Source     Cooper et al., WWW 2014 (P3alpha); Paudel et al., TiiS 2017 (RP3beta)
class ETALAGE_EXPORT RandomWalkModel final : public ItemSimilarityModel {
 public:
  explicit RandomWalkModel(RandomWalkOptions options = {}, bool with_beta = true);  ///< with_beta: RP3beta, else P3alpha; validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return with_beta_ ? "RP3beta" : "P3alpha"; }
  [[nodiscard]] const RandomWalkOptions& options() const noexcept { return options_; }
  FitReport fit(const Interactions& data, const ProgressCallback& callback = {});
  /// The model of rows that were made elsewhere, in blocks as `etalage.spark` makes them, by these settled options.
  [[nodiscard]] static std::shared_ptr<RandomWalkModel> from_rows(const RandomWalkOptions& options, bool with_beta, const Interactions& data,
                                                                  CsrMatrix weights, double seconds);
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<RandomWalkModel> from_state(const StateReader& reader);

 private:
  RandomWalkOptions options_;
  bool with_beta_;
};

}  // namespace etalage
