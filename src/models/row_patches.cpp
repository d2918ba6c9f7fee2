// SPDX-License-Identifier: Apache-2.0
#include "models/row_patches.hpp"

#include <algorithm>
#include <utility>

namespace etalage::detail {

void RowPatches::set(std::int64_t row, Row patch) {
  grow(row + 1);
  Row& own = patches_[row];
  entries_ += patch.columns.size();
  entries_ -= own.columns.size();
  own = std::move(patch);
  made_ = false;
  merged_ = {};
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
