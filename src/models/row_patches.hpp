// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "etalage/core/csr_matrix.hpp"

namespace etalage::detail {

/// Rows of a CSR matrix that were replaced or added since it was made, beside it: a change costs what it changes, and readers
/// of one row look here first. Whoever needs the whole matrix has it made once, by the first who asks.
/// Threads   const members are safe to call concurrently; set() and grow() need exclusive access
class RowPatches {
 public:
  struct Row {
    std::vector<std::int32_t> columns;
    std::vector<float> values;
  };

  explicit RowPatches(std::int64_t rows) : rows_(rows) {}
  RowPatches(const RowPatches& other)
      : rows_(other.rows_), entries_(other.entries_), patches_(other.patches_), patched_(other.patched_), patched_entries_(other.patched_entries_),
        base_columns_(other.base_columns_) {}
  RowPatches& operator=(const RowPatches&) = delete;

  /// Rows that the matrix has with those added.
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }
  /// Null where the base's row holds.
  [[nodiscard]] const Row* find(std::int64_t row) const noexcept {
    const auto at = patches_.find(row);
    return at == patches_.end() ? nullptr : &at->second;
  }
  [[nodiscard]] std::span<const std::int32_t> columns(const CsrMatrix& base, std::int64_t row) const noexcept {
    if (const Row* own = find(row)) return own->columns;
    return row < base.rows ? base.view().row_columns(row) : std::span<const std::int32_t>{};
  }
  [[nodiscard]] std::span<const float> values(const CsrMatrix& base, std::int64_t row) const noexcept {
    if (const Row* own = find(row)) return own->values;
    return row < base.rows ? base.view().row_values(row) : std::span<const float>{};
  }
  /// Appends the rows that have an entry in the column, in any order: of the base those that are not replaced. The base is
  /// turned round when it is asked for the first time, which takes 4 bytes an entry; after that it costs what it finds.
  void rows_with(const CsrMatrix& base, std::int32_t column, std::vector<std::int32_t>& out);

  void set(std::int64_t row, Row patch);
  void grow(std::int64_t rows) noexcept { rows_ = rows > rows_ ? rows : rows_; }
  /// Whether the patches are so many that it is time to make the matrix anew; amortised over them that costs a constant each.
  [[nodiscard]] bool many(const CsrMatrix& base) const noexcept { return entries_ + patches_.size() > (1u << 16) + base.columns.size() / 8; }
  /// The whole matrix; `cols` columns wide. Made once.
  [[nodiscard]] const CsrMatrix& merged(const CsrMatrix& base, std::int64_t cols) const;

 private:
  void index_patches();

  std::int64_t rows_;
  std::size_t entries_ = 0;
  std::unordered_map<std::int64_t, Row> patches_;
  std::unordered_map<std::int32_t, std::vector<std::int64_t>> patched_;  // column -> rows of patches_ that have it, or once had
  std::size_t patched_entries_ = 0;
  /// Rows of the base by column.
  struct Columns {
    std::vector<std::int64_t> offsets;  // [columns + 1]
    std::vector<std::int32_t> rows;
  };
  std::shared_ptr<const Columns> base_columns_;  // null until rows_with() is called; patched_ is empty as long
  mutable std::mutex mutex_;
  mutable bool made_ = false;
  mutable CsrMatrix merged_;
};

/// For changes: of one's own, made from what is shared with copies of a model.
[[nodiscard]] RowPatches& exclusive(std::shared_ptr<RowPatches>& patches, std::int64_t rows);

}  // namespace etalage::detail
