// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "etalage/core/array.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/extend/vector_index.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// A model whose score is the inner product of a user's and an item's factor row.
///
/// Shapes     user_factors [num_users x factors], item_factors [num_items x factors], float32 row-major
/// Who        a query with a user takes their fitted row; one with recalculate_user, a session, or no user is folded in
///            by the derived model (fold_in)
/// Cold start whoever the model knows nothing of gets the average row of the users that have one: the catalogue by the mean
///            of their scores, close to popularity. That is an unknown shopper without history and session, a fitted user
///            whose row is zero (they had no rows in training), and whoever folds in to a zero row. The average is part of
///            the model and its file
/// Scores     the same bits from recommend, recommend_batch and score on one SIMD level, for any num_threads
/// Similar    by cosine of the factor rows; a zero row is like nothing, and has an empty list. The norms are computed on the first
///            similar_* call after a fit or a load, once, whoever asks first
/// Cost       one query reads the item rows that are long enough for its list, a short allow list only its own; a batch shares
///            reads between users. From the third query on an order by length is kept: 4 % of the rows' bytes at 128 factors
/// Index      with set_index() recommendations come from an approximate index over the item rows, in an engine's snapshot too,
///            and are scored from the rows themselves; exactly where the index gives too few, for lists of more than a quarter
///            of the items and for allow lists of at most 4096. Scores keep their bits.
///            The index is part of the file; changing item rows forgets it
/// Threads    const members are safe to call concurrently; a single query never opens a parallel region
class ETALAGE_EXPORT FactorModel : public Recommender {
 public:
  ~FactorModel() override;
  [[nodiscard]] std::int32_t num_users() const noexcept override { return num_users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return num_items_; }
  /// Latent dimension; 0 before the first fit.
  [[nodiscard]] std::int32_t factors() const noexcept { return factors_; }
  [[nodiscard]] bool fitted() const noexcept { return factors_ > 0; }
  /// [num_users x factors]; the array is shared, and stays as it is when the model goes on training.
  [[nodiscard]] const Array<float>& user_factors() const noexcept { return user_factors_; }
  /// [num_items x factors]
  [[nodiscard]] const Array<float>& item_factors() const noexcept { return item_factors_; }
  [[nodiscard]] std::span<const float> user_row(std::int32_t user) const noexcept {
    return user_factors_.view().subspan(row_begin(user), static_cast<std::size_t>(factors_));
  }
  [[nodiscard]] std::span<const float> item_row(std::int32_t item) const noexcept {
    return item_factors_.view().subspan(row_begin(item), static_cast<std::size_t>(factors_));
  }

  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override;
  void recommend_batch(std::span<const Query> queries, MatrixView<ItemScore> out, std::span<std::size_t> counts,
                       int num_threads = 0) const override;
  void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
             Scratch& scratch) const override;
  std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                            const ItemFilter* filter = nullptr) const override;
  std::size_t similar_users(std::int32_t user, std::span<ItemScore> out, Scratch& scratch) const override;

  /// [factors], the row of the cold-start answer; zeros where no user has a row.
  [[nodiscard]] const Array<float>& cold_start_row() const noexcept { return cold_start_; }
  [[nodiscard]] bool is_cold(const Query& query) const noexcept override;

  /// recommend() for a row of the caller's [factors]; of the query, filter, history and session are read (the last two
  /// are left out with exclude_seen). std::invalid_argument unless the row is finite and of that length.
  std::size_t recommend_vector(std::span<const float> vector, const Query& query, std::span<ItemScore> out,
                               Scratch& scratch) const;
  /// The same for each row of vectors [n x factors]; queries [n], or empty for no filters; out [n x k], counts [n].
  void recommend_vectors(MatrixView<const float> vectors, std::span<const Query> queries, MatrixView<ItemScore> out,
                         std::span<std::size_t> counts, int num_threads = 0) const;
  /// Scores of the given items for a row of the caller's; out [items.size()].
  void score_vector(std::span<const float> vector, std::span<const std::int32_t> items, std::span<float> out,
                    Scratch& scratch) const;
  /// Writes the row that answers the query: the fitted one or the folded-in one; factor [factors].
  void query_factor(const Query& query, std::span<float> factor, Scratch& scratch) const;

  /// An index over the item rows, whose ids are item indices; null goes back to reading all rows. Needs exclusive access.
  /// std::invalid_argument unless it has this model's factors and items and ranks by inner product.
  void set_index(std::shared_ptr<const VectorIndex> index);
  [[nodiscard]] const std::shared_ptr<const VectorIndex>& index() const noexcept { return index_; }

  /// Shape, both factor arrays and the index, after the base's state.
  void save_state(StateWriter& writer) const override;

 protected:
  FactorModel();
  FactorModel(const FactorModel&);
  FactorModel& operator=(const FactorModel&);

  /// The factor row of somebody with the query's history and session (history_of, history_values_of); factor [factors]
  /// is fully overwritten. May use every member of scratch but `factor`. Must not depend on num_threads or be parallel.
  /// The default throws UnsupportedError.
  virtual void fold_in(const Query& query, std::span<float> factor, Scratch& scratch) const;

  /// True when callers' vectors are scaled to unit length before they are used (zero ones are left alone).
  [[nodiscard]] virtual bool unit_queries() const noexcept { return false; }

  /// Leading columns that count in similar_items and similar_users: all, unless some hold no taste (an item's level).
  [[nodiscard]] virtual std::int32_t similarity_factors() const noexcept { return factors_; }

  /// Takes the arrays, [num_users x factors] and [num_items x factors]; std::invalid_argument when the sizes disagree. The
  /// cold-start row is made from the users; set_user_rows() leaves it as it is.
  void set_factors(Array<float> user_factors, std::int32_t num_users, Array<float> item_factors, std::int32_t num_items,
                   std::int32_t factors);
  /// Row i of rows [indices.size() x factors] becomes that of indices[i]; the side grows to `count` rows, new ones are zero.
  /// In place where nobody else holds the array, so that a change costs what it changes; the first one after a copy of the
  /// model, or of the array, copies it. Changed items forget the index.
  void set_user_rows(std::span<const std::int32_t> indices, std::span<const float> rows, std::int32_t count);
  void set_item_rows(std::span<const std::int32_t> indices, std::span<const float> rows, std::int32_t count);
  /// Reads what save_state wrote (not the base's part: call load_base afterwards).
  void load_factors(const StateReader& reader);
  /// The score of an item in the cold-start answer.
  [[nodiscard]] float cold_score(std::int32_t item) const noexcept;
  /// Throws NotFittedError naming the model.
  void require_fitted() const;

 private:
  struct Norms;  // 1 / |row|, 0 for zero rows, made once on demand
  void take_factors(Array<float> user_factors, std::int32_t num_users, Array<float> item_factors, std::int32_t num_items,
                    std::int32_t factors);
  void learn_cold_start();
  void set_rows(Array<float>& factors, std::shared_ptr<Norms>& norms, std::int32_t& size, std::span<const std::int32_t> indices,
                std::span<const float> rows, std::int32_t count);
  [[nodiscard]] std::size_t row_begin(std::int32_t row) const noexcept {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(factors_);
  }
  [[nodiscard]] bool folds_in(const Query& query) const noexcept {
    return !query.user || query.recalculate_user || !query.session.empty();
  }
  /// Nothing but zeros where taste would be.
  [[nodiscard]] bool is_blank(const float* row) const noexcept;
  const float* row_for(const Query& query, Scratch& scratch) const;
  const float* row_for(std::span<const float> vector, Scratch& scratch) const;
  std::size_t best(const float* row, const Query& query, std::span<ItemScore> out, Scratch& scratch) const;
  void rank(std::span<const Query> queries, const MatrixView<const float>* vectors, MatrixView<ItemScore> out,
            std::span<std::size_t> counts, int num_threads) const;

  Array<float> user_factors_;
  Array<float> item_factors_;
  std::int32_t num_users_ = 0;
  std::int32_t num_items_ = 0;
  std::int32_t factors_ = 0;
  Array<float> cold_start_;
  std::shared_ptr<Norms> user_norms_;
  std::shared_ptr<Norms> item_norms_;
  std::shared_ptr<const VectorIndex> index_;
};

}  // namespace etalage
