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

/// How alike two items are, from the users they share. With x_ui the weight of r_ui below, c_ij = sum_u x_ui x_uj,
/// |i|^2 = c_ii, n_i the number of users of i, n_ij of both, N of all, and s the shrinkage:
enum class Similarity : std::uint8_t {
  kCosine,       ///< c_ij / (|i|^(2a) |j|^(2(1-a)) + s), a = asymmetry (0.5 is the plain cosine); x = r
  kTfIdf,        ///< the same of x_ui = sqrt(r) idf_u, idf_u = max(0, log(items / (1 + items of u)))
  kBm25,         ///< the same of x_ui = r (k1 + 1) / (k1 (1 - b + b len_i / mean len) + r) idf_u, len_i = sum_u r_ui
  kJaccard,      ///< n_ij / (n_i + n_j - n_ij + s)
  kTversky,      ///< n_ij / (n_ij + tversky_alpha (n_i - n_ij) + tversky_beta (n_j - n_ij) + s)
  kConditional,  ///< n_ij / (n_i n_j^p + s), p = popularity_penalty: P(j | i) damped by j's popularity (Deshpande, Karypis 2004)
  kLift          ///< N n_ij / (n_i n_j + s)
};
/// As options spell them.
template <>
inline constexpr auto option_names<Similarity> = std::to_array<OptionName<Similarity>>(
    {{"cosine", Similarity::kCosine}, {"tfidf", Similarity::kTfIdf}, {"bm25", Similarity::kBm25},
     {"jaccard", Similarity::kJaccard}, {"tversky", Similarity::kTversky}, {"conditional", Similarity::kConditional},
     {"lift", Similarity::kLift}});

/// visit("name", field, rule) for each option that ItemKNN and UserKNN share.
template <class Options, class Visit>
void each_similarity_option(Options& o, const Visit& visit) {
  visit_options(visit, "num_neighbors", o.num_neighbors, OptionRule(">= 1"), "similarity", o.similarity,
                "shrinkage", o.shrinkage, OptionRule("finite and >= 0"), "asymmetry", o.asymmetry, OptionRule("in [0, 1]"),
                "tversky_alpha", o.tversky_alpha, OptionRule("finite and >= 0"), "tversky_beta", o.tversky_beta, OptionRule("finite and >= 0"),
                "popularity_penalty", o.popularity_penalty, OptionRule("in [0, 1]"), "bm25_k1", o.bm25_k1, OptionRule("finite and > 0"),
                "bm25_b", o.bm25_b, OptionRule("in [0, 1]"));
}

/// Settings of item-based nearest neighbours.
struct ETALAGE_EXPORT ItemKnnOptions {
  Auto<Similarity> similarity = Auto<Similarity>::unless_given(Similarity::kCosine);  ///< of two items' columns
  Auto<std::int32_t> num_neighbors = Auto<std::int32_t>::unless_given(100);  ///< kept for each item, >= 1
  Auto<float> shrinkage = Auto<float>::unless_given(0);  ///< s above, >= 0: pulls similarities that rest on few users towards 0
  Auto<float> asymmetry = Auto<float>::unless_given(0.5f);  ///< a above, in [0, 1] (Aiolli, RecSys 2013)
  float tversky_alpha = 1;           ///< >= 0
  float tversky_beta = 1;            ///< >= 0
  Auto<float> popularity_penalty = Auto<float>::unless_given(0.5f);  ///< p above, in [0, 1]
  float bm25_k1 = 1.2f;              ///< > 0
  float bm25_b = 0.75f;              ///< in [0, 1]
  Auto<float> user_damping = Auto<float>::unless_given(0);  ///< d >= 0: what two items share in user u counts by (items of u)^-d in c_ij and n_ij
  bool normalize = false;            ///< divide each row of W by its sum of absolute values, so that scores are averages
  bool keep_history = true;          ///< keep the training rows in the model, whose scores rest on them
  int num_threads = 0;               ///< 0 means all CPUs
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    each_similarity_option(o, visit);
    visit_options(visit, "user_damping", o.user_damping, OptionRule("finite and >= 0"), "normalize", o.normalize,
                  "keep_history", o.keep_history, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// Item-based nearest neighbours: an item's most similar items, added up over a user's history. Old events weigh less
/// when the Interactions were made with a half-life.
/// Choose     for a first model that can be explained: it is fitted in seconds, and new rows of a user count at once. EASE and ALS are ahead
///            where tastes are broad and data dense; items with a handful of users need shrinkage
/// Cost       fit O(sum over users of |history|^2) time, num_items x num_neighbors x 8 bytes
/// Repeats    bit-identical for any num_threads
/// Errors     std::invalid_argument (options, matrix), NotFittedError
/// Source     Sarwar, Karypis, Konstan, Riedl, WWW 2001; Deshpande, Karypis, TOIS 2004
class ETALAGE_EXPORT ItemKnnModel final : public ItemSimilarityModel {
 public:
  explicit ItemKnnModel(ItemKnnOptions options = {});  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return "ItemKNN"; }
  [[nodiscard]] const ItemKnnOptions& options() const noexcept { return options_; }
  FitReport fit(const Interactions& data, const ProgressCallback& callback = {});
  /// The model of rows that were made elsewhere, in blocks as `etalage.spark` makes them, by these settled options.
  [[nodiscard]] static std::shared_ptr<ItemKnnModel> from_rows(const ItemKnnOptions& options, const Interactions& data, CsrMatrix weights,
                                                               double seconds);
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<ItemKnnModel> from_state(const StateReader& reader);

 private:
  ItemKnnOptions options_;
};

}  // namespace etalage
