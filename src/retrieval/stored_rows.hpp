// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "detail/prefetch.hpp"
#include "etalage/core/array.hpp"
#include "kernels/code_kernels.hpp"
#include "kernels/split_rows.hpp"

namespace etalage::retrieval {

inline constexpr std::size_t kFewestSplit = 8;   ///< dimensions: below, nobody reads records
inline constexpr std::size_t kMostSplit = 2048;  ///< dimensions: a row joined lies on the stack

/// What records leave out of float32 rows, so that both are the rows: kernels::SplitShape. Rows that do not go into it are whole.
struct SplitParts {
  Array<std::uint8_t> rest;       ///< [capacity x 3 dim]
  Array<std::int32_t> odd;        ///< rows that are kept whole, ascending
  Array<float> odd_vectors;       ///< [odd x dim]
};

/// Puts a row into what its record leaves out, `rest` [3 dim]. False for an odd row, which `rest` then says unless the record does.
/// A record that cannot be of this row, as files may hold, is made anew.
bool split_row(const float* row, std::uint8_t* record, const kernels::CodeShape& shape, std::uint8_t* rest) noexcept;

/// Float32 rows where they lie: one after the other, or split between their records and `SplitParts`.
class StoredRows {
 public:
  StoredRows(const float* vectors, std::size_t dim) noexcept : vectors_(vectors), dim_(dim) {}
  StoredRows(const SplitParts& parts, const std::uint8_t* records, const kernels::CodeShape& shape) noexcept
      : dim_(shape.dim),
        shape_(&shape),
        records_(records),
        rest_(parts.rest.data()),
        odd_(parts.odd.data()),
        odd_vectors_(parts.odd_vectors.data()),
        num_odd_(parts.odd.size()) {}

  [[nodiscard]] bool split() const noexcept { return rest_ != nullptr; }
  [[nodiscard]] std::size_t dim() const noexcept { return dim_; }
  /// Of rows that are not split.
  [[nodiscard]] const float* data() const noexcept { return vectors_; }
  /// A row [dim], which lies in `memory` [dim] unless it is there whole.
  [[nodiscard]] const float* row(std::size_t row, float* memory) const noexcept {
    if (!split()) return vectors_ + row * dim_;
    return join(row, memory) ? memory : odd_row(row);
  }
  /// A split row, but for an odd one.
  [[nodiscard]] bool join(std::size_t row, float* memory) const noexcept {
    const std::uint8_t* record = records_ + row * shape_->stride;
    kernels::CodeTail tail;
    std::memcpy(&tail, record + shape_->width, sizeof tail);
    return tail.scale > 0 && kernels::split_rows().join(record, tail.scale, rest_ + row * kernels::SplitShape::bytes(dim_), dim_, memory);
  }
  void copy(std::size_t r, float* to) const noexcept {
    const float* from = row(r, to);
    if (from != to) std::memcpy(to, from, dim_ * sizeof(float));
  }
  void prefetch(std::size_t row) const noexcept {
    if (!split()) return detail::prefetch(vectors_ + row * dim_, dim_ * sizeof(float));
    // Who wants a row has just read its record.
    detail::prefetch(rest_ + row * kernels::SplitShape::bytes(dim_), kernels::SplitShape::bytes(dim_));
  }
  /// An odd row is among those kept whole.
  [[nodiscard]] bool has_odd(std::size_t row) const noexcept { return std::binary_search(odd_, odd_ + num_odd_, static_cast<std::int32_t>(row)); }

 private:
  [[nodiscard]] const float* odd_row(std::size_t row) const noexcept {
    return odd_vectors_ + static_cast<std::size_t>(std::lower_bound(odd_, odd_ + num_odd_, static_cast<std::int32_t>(row)) - odd_) * dim_;
  }

  const float* vectors_ = nullptr;
  std::size_t dim_;
  const kernels::CodeShape* shape_ = nullptr;
  const std::uint8_t* records_ = nullptr;
  const std::uint8_t* rest_ = nullptr;
  const std::int32_t* odd_ = nullptr;
  const float* odd_vectors_ = nullptr;
  std::size_t num_odd_ = 0;
};

}  // namespace etalage::retrieval
