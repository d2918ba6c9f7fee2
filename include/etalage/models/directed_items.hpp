// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/export.hpp"
#include "etalage/models/sequence_model.hpp"

namespace etalage {

/// A model that is one sparse directed item x item matrix W between what was and what comes next.
///
/// Scores     score(q, j) = sum over the last max_history items i of q, at age a = 0 (newest), 1, ..., of
///            v(a) r(i) W(i, j) c(j), plus the popularity term of SequenceModel; v(a) = exp(-a / query_decay)
/// Similar    row i of r(i) W(i, j) c(j), never i itself
/// Explain    an item's part is its term of the sum
/// Cost       a query adds up the rows of its items; memory 8 bytes an entry of W
class ETALAGE_EXPORT DirectedItemModel : public SequenceModel {
 public:
  /// W [num_items x num_items], rows sorted by column. Rows that add_sessions() changed are brought in by the first call.
  [[nodiscard]] const CsrMatrix& weights() const;
  /// r and c, float32 [num_items]; empty means 1.
  [[nodiscard]] const Array<float>& row_scale() const noexcept { return row_scale_; }
  [[nodiscard]] const Array<float>& column_scale() const noexcept { return column_scale_; }
  void save_state(StateWriter& writer) const override;

 protected:
  DirectedItemModel() = default;
  /// query_decay 0 means v = 1 for all.
  void set_query_weights(float query_decay, std::int32_t max_history) noexcept;
  void set_weights(CsrMatrix weights, Array<float> row_scale = {}, Array<float> column_scale = {}) noexcept;
  /// Row r of more [rows.size() x num_items] is added to row rows[r] of W, which grows to num_items rows; costs what these hold.
  void add_to_weights(const std::vector<std::int32_t>& rows, const CsrMatrix& more, std::int32_t num_items);
  [[nodiscard]] std::span<const std::int32_t> row_columns(std::int32_t item) const noexcept;
  [[nodiscard]] std::span<const float> row_values(std::int32_t item) const noexcept;
  [[nodiscard]] Array<float>& row_scale_to_change() noexcept { return row_scale_; }
  [[nodiscard]] Array<float>& column_scale_to_change() noexcept { return column_scale_; }
  void load_weights(const StateReader& reader);

  void add_scores(const OrderedItems& history, detail::SparseScores& scores, detail::SequenceScratch& scratch) const override;
  void add_similar(std::int32_t item, detail::SparseScores& scores, detail::SequenceScratch& scratch) const override;
  void add_parts(const OrderedItems& history, std::int32_t item, std::span<float> parts,
                 detail::SequenceScratch& scratch) const override;

 private:
  void add_row(std::int32_t item, float factor, detail::SparseScores& scores) const;
  [[nodiscard]] float place_weight(std::size_t age) const noexcept;

  CsrMatrix weights_;  // without what add_to_weights() changed
  std::shared_ptr<detail::RowPatches> patches_;
  Array<float> row_scale_;
  Array<float> column_scale_;
  float query_decay_ = 0;
  std::int32_t max_history_ = 1;
};

}  // namespace etalage
