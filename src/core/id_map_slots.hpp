// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace etalage::detail {

/// Slots of an id map for n keys: a power of two at most two thirds full, at least one slot free so that every probe ends.
constexpr std::size_t slot_count(std::size_t n) noexcept { return std::bit_ceil(n + n / 2 + 1); }

/// Puts keys 0, 1, ... by their hashes into zeroed slots, in order. taken(other, i) is called for each slot that key i
/// finds held by key `other`. The target slot is fetched a few keys ahead: the table is larger than cache.
template <class Taken>
void fill_slots(std::span<const std::uint64_t> hashes, std::uint32_t* slots, std::size_t mask, Taken taken) {
  constexpr std::size_t kAhead = 32;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    if (i + kAhead < hashes.size()) __builtin_prefetch(slots + (hashes[i + kAhead] & mask), 1);
    std::size_t s = static_cast<std::size_t>(hashes[i]) & mask;
    for (; slots[s] != 0; s = (s + 1) & mask) taken(static_cast<std::size_t>(slots[s] - 1), i);
    slots[s] = static_cast<std::uint32_t>(i + 1);
  }
}

}  // namespace etalage::detail
