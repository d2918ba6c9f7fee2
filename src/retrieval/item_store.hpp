// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "etalage/core/array.hpp"
#include "kernels/code_kernels.hpp"
#include "retrieval/id_table.hpp"
#include "retrieval/stored_rows.hpp"

namespace etalage::retrieval {

/// Vectors, the same in eight bits, ids and squared norms of rows, dead ones included. Rows are only ever appended: whoever holds the arrays of
/// an earlier moment (a reader, a file being written) keeps rows that do not change. `alive` and the table do.
///
/// Most often the ids are 0, 1, 2, ... in order; then none are kept, and no table: the row is the id.
///
/// Rows are kept whole or, where they are read by records first and last, split: see StoredRows.
///
/// A writer prepares rows behind the last published one while readers go on, and publishes them in a short section.
struct ItemStore {
  ItemStore() = default;
  /// Without norms2 where nobody reads them over and over.
  ItemStore(std::size_t dimension, std::size_t row_capacity, bool with_norms2 = true)
      : ItemStore(kernels::CodeShape(dimension), row_capacity, with_norms2) {}
  ItemStore(const kernels::CodeShape& records, std::size_t row_capacity, bool with_norms2, bool splits_rows = false);

  std::size_t dim = 0;
  std::size_t rows = 0;  ///< published
  std::size_t live = 0;
  std::size_t uncoded = 0;  ///< rows whose codes say nothing (kMostCoded)
  kernels::CodeShape shape;
  bool split = false;
  Array<float> vectors;        ///< [capacity x dim], or empty where rows are split
  SplitParts parts;            ///< of split rows
  Array<std::uint8_t> codes;   ///< [capacity x shape.stride], records of the vectors
  Array<std::int64_t> ids;     ///< [capacity], or empty while every row's id is its number
  Array<float> norms2;         ///< [capacity], squared norms of the stored vectors, or empty
  Array<std::uint8_t> alive;   ///< [capacity]
  IdTable table;               ///< live ids only; empty where `ids` is
  bool keeps_norms2 = true;
  /// Rows [0, falling) were put in by falling norm: behind row r of them none is longer than kFallingSlack times it.
  std::size_t falling = 0;
  static constexpr float kFallingSlack = 1.0001f;

  [[nodiscard]] std::size_t capacity() const noexcept { return alive.size(); }
  [[nodiscard]] std::size_t dead() const noexcept { return rows - live; }
  /// Of a store whose rows are whole.
  [[nodiscard]] const float* vector(std::size_t row) const noexcept { return vectors.data() + row * dim; }
  /// All rows, as they lie; points into this store.
  [[nodiscard]] StoredRows stored() const noexcept { return split ? StoredRows(parts, codes.data(), shape) : StoredRows(vectors.data(), dim); }
  [[nodiscard]] const std::uint8_t* record(std::size_t row) const noexcept { return codes.data() + row * shape.stride; }
  [[nodiscard]] kernels::CodeTail tail(std::size_t row) const noexcept;
  [[nodiscard]] std::int64_t id(std::size_t row) const noexcept { return ids.empty() ? static_cast<std::int64_t>(row) : ids[row]; }
  /// The live row of an id, else -1.
  [[nodiscard]] std::int32_t find(std::int64_t id) const noexcept {
    if (!ids.empty()) return table.find(id, ids.data());
    return id >= 0 && id < static_cast<std::int64_t>(rows) && is_alive(static_cast<std::size_t>(id)) ? static_cast<std::int32_t>(id) : -1;
  }
  [[nodiscard]] float norm2(std::size_t row) const noexcept { return norms2.empty() ? summed_norm2(row) : norms2[row]; }
  [[nodiscard]] bool is_alive(std::size_t row) const noexcept { return alive[row] != 0; }

  /// A private, writable copy of all rows with room for row_capacity rows.
  [[nodiscard]] ItemStore with_capacity(std::size_t row_capacity) const;
  /// A private, writable copy of some rows in this order, without spare room; their vectors whole or split. Whole as well where too many
  /// would be odd: those of a few dimensions that outgrow all others.
  [[nodiscard]] ItemStore gathered(std::span<const std::int32_t> chosen, int num_threads, bool splits_rows = false) const;
  /// So many split rows are kept whole beside that little or nothing is saved.
  [[nodiscard]] bool too_odd() const noexcept { return is_too_odd(parts.odd.size(), rows); }
  /// False for a store in a file.
  [[nodiscard]] bool writable() const noexcept { return write_codes_ != nullptr; }
  /// Rows may die and ids may move: `alive` and the table are private.
  [[nodiscard]] bool flags_owned() const noexcept { return flags_owned_; }
  void own_flags();

  /// The next rows may have these ids.
  [[nodiscard]] bool takes(std::span<const std::int64_t> next) const noexcept;
  /// Keeps ids from now on: the next rows may have any. Needs a private store.
  void keep_ids();

  /// Makes the records of all rows, for a store that has none.
  void encode_all();

  /// Fills a row that is not published yet, with an id that the store takes; needs a private store.
  void write(std::size_t row, const float* vector, std::int64_t id);
  [[nodiscard]] float norm2_of(const float* vector) const noexcept;
  /// Makes the next row, already written, part of the store. The id's earlier row, if any, dies.
  void publish();
  /// The row of an id that is there dies.
  void kill(std::int64_t id);

  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  static bool is_too_odd(std::size_t odd, std::size_t all) noexcept { return odd > all / 8; }
  void note_norm(std::size_t row) noexcept;
  float shortest_ = 0;  // of the falling rows
  /// False for an odd row of a split store.
  bool take(std::size_t row, const ItemStore& from, std::size_t from_row, std::uint8_t* flags) noexcept;
  [[nodiscard]] float summed_norm2(std::size_t row) const noexcept;
  /// Keeps an odd row whole, behind those before it.
  void keep_odd(std::size_t row, const float* vector);
  /// Rows up to `count`, all taken, become part of the store.
  void settle_copied(std::size_t count);
  float* write_vectors_ = nullptr;
  std::uint8_t* write_rest_ = nullptr;
  std::size_t odd_room_ = 0;  // odd rows that there is memory for
  std::deque<std::pair<std::size_t, std::vector<float>>> odd_to_come_;  // written, not published
  std::uint8_t* write_codes_ = nullptr;
  std::int64_t* write_ids_ = nullptr;
  float* write_norms2_ = nullptr;
  bool flags_owned_ = false;
};

}  // namespace etalage::retrieval
