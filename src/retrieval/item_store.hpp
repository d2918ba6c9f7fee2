// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "etalage/core/array.hpp"
#include "kernels/code_kernels.hpp"
#include "retrieval/id_table.hpp"

namespace etalage::retrieval {

/// Vectors, the same in eight bits, ids and squared norms of rows, dead ones included. Rows are only ever appended: whoever holds the arrays of
/// an earlier moment (a reader, a file being written) keeps rows that do not change. `alive` and the table do.
///
/// A writer prepares rows behind the last published one while readers go on, and publishes them in a short section.
struct ItemStore {
  ItemStore() = default;
  ItemStore(std::size_t dimension, std::size_t row_capacity);

  std::size_t dim = 0;
  std::size_t rows = 0;  ///< published
  std::size_t live = 0;
  std::size_t uncoded = 0;  ///< rows whose codes say nothing (kMostCoded)
  kernels::CodeShape shape;
  Array<float> vectors;        ///< [capacity x dim]
  Array<std::uint8_t> codes;   ///< [capacity x shape.stride], records of the vectors
  Array<std::int64_t> ids;     ///< [capacity]
  Array<float> norms2;         ///< [capacity], squared norms of the stored vectors
  Array<std::uint8_t> alive;   ///< [capacity]
  IdTable table;               ///< live ids only

  [[nodiscard]] std::size_t capacity() const noexcept { return ids.size(); }
  [[nodiscard]] std::size_t dead() const noexcept { return rows - live; }
  [[nodiscard]] const float* vector(std::size_t row) const noexcept { return vectors.data() + row * dim; }
  [[nodiscard]] const std::uint8_t* record(std::size_t row) const noexcept { return codes.data() + row * shape.stride; }
  [[nodiscard]] kernels::CodeTail tail(std::size_t row) const noexcept;
  [[nodiscard]] std::int32_t find(std::int64_t id) const noexcept { return table.find(id, ids.data()); }
  [[nodiscard]] bool is_alive(std::size_t row) const noexcept { return alive[row] != 0; }

  /// A private, writable copy with room for row_capacity rows.
  [[nodiscard]] ItemStore with_capacity(std::size_t row_capacity) const;
  /// A private, writable copy of the live rows alone, without spare room.
  [[nodiscard]] ItemStore compacted() const;
  /// False for a store in a file.
  [[nodiscard]] bool writable() const noexcept { return write_ids_ != nullptr; }
  /// Rows may die and ids may move: `alive` and the table are private.
  [[nodiscard]] bool flags_owned() const noexcept { return flags_owned_; }
  void own_flags();

  /// Makes the records of all rows, for a store that has none.
  void encode_all();

  /// Fills a row that is not published yet; needs a private store.
  void write(std::size_t row, const float* vector, std::int64_t id);
  /// Makes the next row, already written, part of the store. The id's earlier row, if any, dies.
  void publish();
  /// The row of an id that is there dies.
  void kill(std::int64_t id);

  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  [[nodiscard]] ItemStore copy(std::size_t row_capacity, bool live_only) const;
  float* write_vectors_ = nullptr;
  std::uint8_t* write_codes_ = nullptr;
  std::int64_t* write_ids_ = nullptr;
  float* write_norms2_ = nullptr;
  bool flags_owned_ = false;
};

}  // namespace etalage::retrieval
