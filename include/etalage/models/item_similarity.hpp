// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// A model that is one item x item matrix W, sparse or dense: a history item i speaks for item j with weight W(i, j).
///
/// Scores     score(q, j) = sum over i in history and session of value(i) * W(i, j); session items count 1
/// Who        a user stands for their history: the rows kept at fit time, or those of the query. Nobody is unknown, and
///            no fold-in is needed
/// Cold start a query without any history or session is answered by popularity: score(j) = share of the users that have j
/// Lists      an item without any weight scores 0 and still fills a list up to min(k, allowed)
/// Similar    row i of W by descending weight, never i itself; W need not be symmetric
/// Explain    the parts value(i) * W(i, j) sum to the score exactly; the cold-start answer has no parts
/// Cost       one query adds up the rows of its history; memory 8 bytes an entry of a sparse W, 4 of a dense one
/// Threads    const members are safe to call concurrently; a single query never opens a parallel region
class ETALAGE_EXPORT ItemSimilarityModel : public Recommender {
 public:
  [[nodiscard]] std::int32_t num_users() const noexcept override { return num_users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return num_items_; }
  [[nodiscard]] bool fitted() const noexcept { return fitted_; }
  [[nodiscard]] bool is_dense() const noexcept { return !dense_.empty(); }  ///< whether the weights are a whole matrix rather than neighbours
  /// W [num_items x num_items] where it is sparse, rows sorted by column; without rows where it is dense.
  [[nodiscard]] const CsrMatrix& weights() const noexcept { return weights_; }
  /// W [num_items x num_items], row-major, where it is dense; else empty.
  [[nodiscard]] const Array<float>& dense_weights() const noexcept { return dense_; }
  [[nodiscard]] const FitReport& report() const noexcept { return report_; }

  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override;
  void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
             Scratch& scratch) const override;
  std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                            const ItemFilter* filter = nullptr) const override;
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;
  void save_state(StateWriter& writer) const override;

 protected:
  ItemSimilarityModel() = default;
  /// Takes what a fit made: W, and from the data the keys, the popularity and, with keep_history, the rows.
  void finish_fit(const Interactions& data, CsrMatrix weights, bool keep_history, const FitReport& report);
  void finish_fit(const Interactions& data, Array<float> dense, bool keep_history, const FitReport& report);
  /// Takes W of other processes: checked, and reported as made in `seconds`.
  void finish_rows(const Interactions& data, CsrMatrix weights, bool keep_history, double seconds);
  /// Reads what save_state wrote (not the base's part: call load_base afterwards).
  void load_weights(const StateReader& reader);
  void require_fitted() const;

 private:
  /// f(item, value) for each item that the query stands for: the history in ascending order, then the session.
  template <class F>
  void for_each_of(const Query& query, Scratch& scratch, const F& f) const;
  void take(const Interactions& data, bool keep_history, const FitReport& report);
  /// The scores of all items into scratch.floats [num_items].
  void accumulate(const Query& query, Scratch& scratch) const;
  /// Whether the query's rows of W hold so few entries that a pass over all items would cost more than they do.
  [[nodiscard]] bool few_are_touched(const Query& query) const;
  [[nodiscard]] float weight(std::int32_t from, std::int32_t to) const noexcept;

  CsrMatrix weights_;
  Array<float> dense_;
  Array<float> popularity_;  // [num_items], share of the users
  std::int32_t num_users_ = 0;
  std::int32_t num_items_ = 0;
  bool fitted_ = false;
  FitReport report_;
};

}  // namespace etalage
