// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "etalage/core/array.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Sparse rows in memory that somebody else owns: int64 offsets [rows + 1], int32 columns, float32 values [nnz].
struct CsrView {
  std::int64_t rows = 0;  ///< how many
  std::int64_t cols = 0;  ///< width; columns are below it
  std::span<const std::int64_t> offsets;  ///< [rows + 1], from 0 on, never falling
  std::span<const std::int32_t> columns;  ///< [entries] in [0, cols)
  std::span<const float> values;  ///< [entries]

  [[nodiscard]] std::int64_t nnz() const noexcept { return static_cast<std::int64_t>(columns.size()); }
  /// Entries of row r, which must be one.
  [[nodiscard]] std::size_t row_size(std::int64_t r) const noexcept {
    const auto i = static_cast<std::size_t>(r);
    return static_cast<std::size_t>(offsets[i + 1] - offsets[i]);
  }
  /// Columns of row r, which must be one.
  [[nodiscard]] std::span<const std::int32_t> row_columns(std::int64_t r) const noexcept {
    return columns.subspan(static_cast<std::size_t>(offsets[static_cast<std::size_t>(r)]), row_size(r));
  }
  /// Values of row r, which must be one.
  [[nodiscard]] std::span<const float> row_values(std::int64_t r) const noexcept {
    return values.subspan(static_cast<std::size_t>(offsets[static_cast<std::size_t>(r)]), row_size(r));
  }
};

/// Sparse rows that share their memory with every copy.
struct CsrMatrix {
  std::int64_t rows = 0;  ///< how many
  std::int64_t cols = 0;  ///< width; columns are below it
  Array<std::int64_t> offsets;  ///< [rows + 1]; empty means no rows are kept
  Array<std::int32_t> columns;  ///< [nnz], sorted and unique within a row after canonical()
  Array<float> values;          ///< [nnz], finite

  [[nodiscard]] CsrView view() const noexcept { return {rows, cols, offsets, columns, values}; }
  [[nodiscard]] std::int64_t nnz() const noexcept { return static_cast<std::int64_t>(columns.size()); }
};

/// Throws std::invalid_argument naming `argument`, the value and the rule unless offsets are monotone and end at nnz,
/// every column lies in [0, cols) and every value is finite. Sorted, unique columns are not demanded.
ETALAGE_EXPORT void validate(const CsrView& matrix, const char* argument);

/// Rows sorted by column with duplicates summed; shares the input's memory when it is so already. Validates first.
[[nodiscard]] ETALAGE_EXPORT CsrMatrix canonical(const CsrMatrix& matrix, const char* argument = "user_items");

/// The transpose, rows sorted by column. Deterministic for any thread count.
[[nodiscard]] ETALAGE_EXPORT CsrMatrix transpose(const CsrView& matrix, int num_threads = 0);

}  // namespace etalage
