// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/directed_items.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "models/row_patches.hpp"
#include "models/sequence/sequence_scratch.hpp"

namespace etalage {

void DirectedItemModel::set_query_weights(float query_decay, std::int32_t max_history) noexcept {
  query_decay_ = query_decay;
  max_history_ = max_history;
}

void DirectedItemModel::set_weights(CsrMatrix weights, Array<float> row_scale, Array<float> column_scale) noexcept {
  weights_ = std::move(weights);
  patches_.reset();
  row_scale_ = std::move(row_scale);
  column_scale_ = std::move(column_scale);
}

const CsrMatrix& DirectedItemModel::weights() const { return patches_ ? patches_->merged(weights_, weights_.cols) : weights_; }

std::span<const std::int32_t> DirectedItemModel::row_columns(std::int32_t item) const noexcept {
  return patches_ ? patches_->columns(weights_, item) : weights_.view().row_columns(item);
}

std::span<const float> DirectedItemModel::row_values(std::int32_t item) const noexcept {
  return patches_ ? patches_->values(weights_, item) : weights_.view().row_values(item);
}

void DirectedItemModel::add_to_weights(const std::vector<std::int32_t>& rows, const CsrMatrix& more, std::int32_t num_items) {
  detail::RowPatches& patches = detail::exclusive(patches_, weights_.rows);
  weights_.cols = std::max<std::int64_t>(weights_.cols, num_items);
  patches.grow(num_items);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto ac = row_columns(rows[r]);
    const auto av = row_values(rows[r]);
    const auto bc = more.view().row_columns(static_cast<std::int64_t>(r));
    const auto bv = more.view().row_values(static_cast<std::int64_t>(r));
    detail::RowPatches::Row row;
    row.columns.reserve(ac.size() + bc.size());
    row.values.reserve(ac.size() + bc.size());
    for (std::size_t p = 0, q = 0; p < ac.size() || q < bc.size();) {
      const bool take_a = q == bc.size() || (p < ac.size() && ac[p] <= bc[q]);
      const bool take_b = p == ac.size() || (q < bc.size() && bc[q] <= ac[p]);
      row.columns.push_back(take_a ? ac[p] : bc[q]);
      row.values.push_back((take_a ? av[p] : 0.0f) + (take_b ? bv[q] : 0.0f));
      p += take_a ? 1 : 0;
      q += take_b ? 1 : 0;
    }
    patches.set(rows[r], std::move(row));
  }
  if (!patches.many(weights_)) return;
  weights_ = patches.merged(weights_, weights_.cols);
  patches_.reset();
}

float DirectedItemModel::place_weight(std::size_t age) const noexcept {
  return query_decay_ > 0 ? std::exp(-static_cast<float>(age) / query_decay_) : 1.0f;
}

void DirectedItemModel::add_row(std::int32_t item, float factor, detail::SparseScores& scores) const {
  const auto columns = row_columns(item);
  const auto values = row_values(item);
  if (!row_scale_.empty()) factor *= row_scale_[static_cast<std::size_t>(item)];
  if (column_scale_.empty()) {
    for (std::size_t p = 0; p < columns.size(); ++p) scores.add(columns[p], factor * values[p]);
  } else {
    for (std::size_t p = 0; p < columns.size(); ++p)
      scores.add(columns[p], factor * values[p] * column_scale_[static_cast<std::size_t>(columns[p])]);
  }
}

void DirectedItemModel::add_scores(const OrderedItems& history, detail::SparseScores& scores, detail::SequenceScratch&) const {
  const std::size_t n = history.items.size();
  for (std::size_t p = n - std::min(n, static_cast<std::size_t>(max_history_)); p < n; ++p)
    add_row(history.items[p], place_weight(n - 1 - p), scores);
}

void DirectedItemModel::add_similar(std::int32_t item, detail::SparseScores& scores, detail::SequenceScratch&) const {
  add_row(item, 1.0f, scores);
}

void DirectedItemModel::add_parts(const OrderedItems& history, std::int32_t item, std::span<float> parts,
                                  detail::SequenceScratch&) const {
  const std::size_t n = history.items.size();
  const float scale = column_scale_.empty() ? 1.0f : column_scale_[static_cast<std::size_t>(item)];
  for (std::size_t p = n - std::min(n, static_cast<std::size_t>(max_history_)); p < n; ++p) {
    const std::int32_t i = history.items[p];
    const auto columns = row_columns(i);
    const auto at = std::lower_bound(columns.begin(), columns.end(), item);
    if (at == columns.end() || *at != item) continue;
    const float row = row_scale_.empty() ? 1.0f : row_scale_[static_cast<std::size_t>(i)];
    parts[p] = place_weight(n - 1 - p) * row * row_values(i)[static_cast<std::size_t>(at - columns.begin())] * scale;
  }
}

void DirectedItemModel::save_state(StateWriter& writer) const {
  SequenceModel::save_state(writer);
  writer.put_csr("weights", weights());
  writer.put_array("row_scale", row_scale_);
  writer.put_array("column_scale", column_scale_);
}

void DirectedItemModel::load_weights(const StateReader& reader) {
  weights_ = reader.get_csr("weights");
  row_scale_ = reader.get_array<float>("row_scale");
  column_scale_ = reader.get_array<float>("column_scale");
  const auto n = static_cast<std::size_t>(num_items());
  if (weights_.rows != num_items() || weights_.cols != num_items() || weights_.offsets.empty())
    reader.fail("weights", "found shape (" + std::to_string(weights_.rows) + ", " + std::to_string(weights_.cols) +
                               "), expected one row and column for each of the " + std::to_string(n) + " items");
  for (const auto& [name, scale] : {std::pair{"row_scale", &row_scale_}, std::pair{"column_scale", &column_scale_}})
    if (!scale->empty() && scale->size() != n)
      reader.fail(name, "found " + std::to_string(scale->size()) + " elements, expected none or " + std::to_string(n));
}

}  // namespace etalage
