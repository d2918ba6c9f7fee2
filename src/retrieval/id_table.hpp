// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "etalage/core/array.hpp"

namespace etalage::retrieval {

/// Ids to rows: an open-addressing table of row numbers, whose keys are the ids stored beside the rows. Linear probing,
/// at most half full; erasing shifts back, so that there are no markers to collect.
class IdTable {
 public:
  static constexpr std::int32_t kEmpty = -1;

  IdTable() = default;
  /// Room for `capacity` ids without growing.
  explicit IdTable(std::size_t capacity);
  explicit IdTable(Array<std::int32_t> slots) : slots_(std::move(slots)) {}

  /// The row of an id, -1 when absent. ids [rows] are the keys.
  [[nodiscard]] std::int32_t find(std::int64_t id, const std::int64_t* ids) const noexcept;
  /// Points an id, new or known, at a row.
  void assign(std::int64_t id, std::int32_t row, const std::int64_t* ids);
  void erase(std::int64_t id, const std::int64_t* ids);

  [[nodiscard]] const Array<std::int32_t>& slots() const noexcept { return slots_; }
  [[nodiscard]] std::size_t capacity() const noexcept { return slots_.size() / 2; }
  /// Private, writable memory; copies a mapped table.
  void own() { (void)slots_.mutable_data(); }

 private:
  [[nodiscard]] std::size_t home(std::int64_t id) const noexcept;
  Array<std::int32_t> slots_;  // a power of two, or empty
};

}  // namespace etalage::retrieval
