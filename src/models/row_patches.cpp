// SPDX-License-Identifier: Apache-2.0
#include "models/row_patches.hpp"

#include <algorithm>
#include <utility>

namespace etalage::detail {

void RowPatches::set(std::int64_t row, Row patch) {
  grow(row + 1);
  Row& own = patches_[row];
  if (base_columns_)
    for (const std::int32_t column : patch.columns) {
      if (std::binary_search(own.columns.begin(), own.columns.end(), column)) continue;
      patched_[column].push_back(row);
      ++patched_entries_;
    }
  entries_ += patch.columns.size();
  entries_ -= own.columns.size();
  own = std::move(patch);
  made_ = false;
  merged_ = {};
  if (patched_entries_ > (1u << 16) + 2 * entries_) index_patches();  // rows that lost a column have left their traces
}

void RowPatches::index_patches() {
  patched_.clear();
  patched_entries_ = entries_;
  for (const auto& [row, patch] : patches_)
    for (const std::int32_t column : patch.columns) patched_[column].push_back(row);
}

void RowPatches::rows_with(const CsrMatrix& base, std::int32_t column, std::vector<std::int32_t>& out) {
  if (!base_columns_) {
    auto columns = std::make_shared<Columns>();
    columns->offsets.assign(static_cast<std::size_t>(base.cols) + 2, 0);
    for (const std::int32_t c : base.columns) ++columns->offsets[static_cast<std::size_t>(c) + 2];
    for (std::size_t c = 2; c < columns->offsets.size(); ++c) columns->offsets[c] += columns->offsets[c - 1];
    columns->rows.resize(base.columns.size());
    const std::int64_t rows = base.columns.empty() ? 0 : base.rows;
    for (std::int64_t r = 0; r < rows; ++r)
      for (const std::int32_t c : base.view().row_columns(r))
        columns->rows[static_cast<std::size_t>(columns->offsets[static_cast<std::size_t>(c) + 1]++)] = static_cast<std::int32_t>(r);
    columns->offsets.pop_back();
    base_columns_ = std::move(columns);
    index_patches();
  }
  const auto at = static_cast<std::size_t>(column);
  if (at + 1 < base_columns_->offsets.size())
    for (auto i = base_columns_->offsets[at]; i < base_columns_->offsets[at + 1]; ++i)
      if (const std::int32_t r = base_columns_->rows[static_cast<std::size_t>(i)]; find(r) == nullptr) out.push_back(r);
  const auto patched = patched_.find(column);
  if (patched == patched_.end()) return;
  for (const std::int64_t r : patched->second) {
    const Row* row = find(r);
    if (std::binary_search(row->columns.begin(), row->columns.end(), column)) out.push_back(static_cast<std::int32_t>(r));
  }
}

const CsrMatrix& RowPatches::merged(const CsrMatrix& base, std::int64_t cols) const {
  const std::lock_guard lock(mutex_);
  if (made_ && merged_.rows == rows_ && merged_.cols == cols) return merged_;
  CsrMatrix out{rows_, cols, Array<std::int64_t>(static_cast<std::size_t>(rows_) + 1), {}, {}};
  std::int64_t* offsets = out.offsets.mutable_data();
  for (std::int64_t r = 0; r < rows_; ++r) offsets[r + 1] = offsets[r] + static_cast<std::int64_t>(columns(base, r).size());
  out.columns = Array<std::int32_t>(static_cast<std::size_t>(offsets[rows_]), uninitialized);
  out.values = Array<float>(static_cast<std::size_t>(offsets[rows_]), uninitialized);
  std::int32_t* to_columns = out.columns.mutable_data();
  float* to_values = out.values.mutable_data();
  for (std::int64_t r = 0; r < rows_; ++r) {
    to_columns = std::copy_n(columns(base, r).data(), columns(base, r).size(), to_columns);
    to_values = std::copy_n(values(base, r).data(), values(base, r).size(), to_values);
  }
  merged_ = std::move(out);
  made_ = true;
  return merged_;
}

RowPatches& exclusive(std::shared_ptr<RowPatches>& patches, std::int64_t rows) {
  if (!patches) patches = std::make_shared<RowPatches>(rows);
  else if (patches.use_count() != 1) patches = std::make_shared<RowPatches>(*patches);
  return *patches;
}

}  // namespace etalage::detail
