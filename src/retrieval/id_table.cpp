// SPDX-License-Identifier: Apache-2.0
#include "detail/probing.hpp"
#include "retrieval/id_table.hpp"
#include "detail/random_stream.hpp"

#include <algorithm>
#include <bit>

namespace etalage::retrieval {

IdTable::IdTable(std::size_t capacity) {
  if (capacity == 0) return;
  slots_ = Array<std::int32_t>(std::bit_ceil(2 * capacity), uninitialized);
  slots_.fill(kEmpty);
}

std::size_t IdTable::home(std::int64_t id) const noexcept {
  // Consecutive ids must not make runs.
  return static_cast<std::size_t>(detail::split_mix(static_cast<std::uint64_t>(id))) & (slots_.size() - 1);
}

std::int32_t IdTable::find(std::int64_t id, const std::int64_t* ids) const noexcept {
  if (slots_.empty()) return kEmpty;
  return slots_[detail::probe(home(id), slots_.size(), [&](std::size_t s) { return slots_[s] == kEmpty || ids[slots_[s]] == id; })];
}

void IdTable::assign(std::int64_t id, std::int32_t row, const std::int64_t* ids) {
  std::int32_t* slots = slots_.mutable_data();
  slots[detail::probe(home(id), slots_.size(), [&](std::size_t s) { return slots[s] == kEmpty || ids[slots[s]] == id; })] = row;
}

void IdTable::erase(std::int64_t id, const std::int64_t* ids) {
  if (slots_.empty()) return;
  std::int32_t* slots = slots_.mutable_data();
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = detail::probe(home(id), slots_.size(), [&](std::size_t s) { return slots[s] == kEmpty || ids[slots[s]] == id; });
  if (slots[hole] == kEmpty) return;
  for (std::size_t s = (hole + 1) & mask; slots[s] != kEmpty; s = (s + 1) & mask) {
    // An entry may fill the hole unless its home lies after the hole.
    const std::size_t h = home(ids[slots[s]]);
    if (((s - h) & mask) >= ((s - hole) & mask)) {
      slots[hole] = slots[s];
      hole = s;
    }
  }
  slots[hole] = kEmpty;
}

}  // namespace etalage::retrieval
