// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// A model that is one sparse item x item matrix W: a history item i speaks for item j with weight W(i, j).
///
/// Scores     score(q, j) = sum over i in history and session of value(i) * W(i, j); session items count 1
/// Who        a user stands for his history: the rows kept at fit time, or those of the query. Nobody is unknown, and
///            no fold-in is needed
/// Lists      an item without any weight scores 0 and still fills a list up to min(k, allowed)
/// Similar    row i of W by descending weight, never i itself; W need not be symmetric
/// Explain    the parts value(i) * W(i, j) sum to the score exactly
/// Cost       one query adds up the rows of its history; memory 8 bytes an entry of W
/// Threads    const members are safe to call concurrently; a single query never opens a parallel region
class ETALAGE_EXPORT ItemSimilarityModel : public Recommender {
 public:
  [[nodiscard]] std::int32_t num_users() const noexcept override { return num_users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return static_cast<std::int32_t>(weights_.rows); }
  [[nodiscard]] bool fitted() const noexcept { return !weights_.offsets.empty(); }
  /// W [num_items x num_items], rows sorted by column.
  [[nodiscard]] const CsrMatrix& weights() const noexcept { return weights_; }

  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override;
  void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
             Scratch& scratch) const override;
  std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                            const ItemFilter* filter = nullptr) const override;
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;
  void save_state(StateWriter& writer) const override;

 protected:
  ItemSimilarityModel() = default;
  void set_weights(CsrMatrix weights, std::int32_t num_users);
  void load_weights(const StateReader& reader);
  void require_fitted() const;

 private:
  /// Adds the rows of the query's items into scratch.floats [num_items] (zero before); touched items go to scratch.ints.
  void accumulate(const Query& query, Scratch& scratch) const;

  CsrMatrix weights_;
  std::int32_t num_users_ = 0;
};

}  // namespace etalage
