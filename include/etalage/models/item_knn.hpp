// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "etalage/core/interactions.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/item_similarity.hpp"

namespace etalage {

/// How alike two items are, from the users they share. With c_ij = sum_u r_ui r_uj, |i|^2 = c_ii, n_i the number of
/// users of i, n_ij of both, N of all, and s the shrinkage:
enum class Similarity : std::uint8_t {
  kCosine,       ///< c_ij / (|i|^(2a) |j|^(2(1-a)) + s), a = asymmetry (0.5 is the plain cosine)
  kTfIdf,        ///< cosine of r_ui = sqrt(r) * (1 + log(N / (1 + users of i)))
  kBm25,         ///< cosine-free dot of BM25 weights (bm25_k1, bm25_b), over the norm as in kCosine
  kJaccard,      ///< n_ij / (n_i + n_j - n_ij + s)
  kTversky,      ///< n_ij / (n_ij + tversky_alpha (n_i - n_ij) + tversky_beta (n_j - n_ij) + s)
  kConditional,  ///< n_ij / (n_i n_j^p + s), p = popularity_penalty: P(j | i) damped by j's popularity (Deshpande, Karypis 2004)
  kLift          ///< N n_ij / (n_i n_j + s)
};

/// Settings of item-based nearest neighbours.
struct ItemKnnOptions {
  Similarity similarity = Similarity::kCosine;
  std::int32_t num_neighbors = 100;  ///< kept for each item, >= 1
  float shrinkage = 0;               ///< s above, >= 0: pulls similarities that rest on few users towards 0
  float asymmetry = 0.5f;            ///< a above, in [0, 1] (Aiolli, RecSys 2013)
  float tversky_alpha = 1;           ///< >= 0
  float tversky_beta = 1;            ///< >= 0
  float popularity_penalty = 0.5f;   ///< p above, in [0, 1]
  float bm25_k1 = 1.2f;              ///< > 0
  float bm25_b = 0.75f;              ///< in [0, 1]
  bool normalize = false;            ///< divide each row of W by its sum of absolute values, so that scores are averages
  int num_threads = 0;               ///< 0 means all CPUs
  void validate() const;
};

/// Item-based nearest neighbours: an item's most similar items, added up over a user's history.
/// Cost       fit O(sum over users of |history|^2) time, num_items x num_neighbors x 8 bytes
/// Repeats    bit-identical for any num_threads
/// Errors     std::invalid_argument (options, matrix), NotFittedError
/// Source     Sarwar, Karypis, Konstan, Riedl, WWW 2001; Deshpande, Karypis, TOIS 2004
class ETALAGE_EXPORT ItemKnnModel final : public ItemSimilarityModel {
 public:
  explicit ItemKnnModel(ItemKnnOptions options = {});
  [[nodiscard]] std::string_view kind() const noexcept override { return "ItemKNN"; }
  [[nodiscard]] const ItemKnnOptions& options() const noexcept { return options_; }
  FitReport fit(const Interactions& data, const ProgressCallback& callback = {});
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<ItemKnnModel> from_state(const StateReader& reader);

 private:
  ItemKnnOptions options_;
};

}  // namespace etalage
