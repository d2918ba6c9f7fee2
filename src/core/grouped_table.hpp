// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/intern_table.hpp"

namespace etalage::detail {

/// A table for keys whose hashes fit in a core's cache: slots in groups of eight with a byte of hash each, so that the
/// slot of a key is known before it is looked at, and a branch is seldom mispredicted.
template <class Policy>
class GroupedTable {
 public:
  using Slot = typename Policy::Slot;
  static constexpr std::size_t kGroup = 8;

  /// Begins in memory of the caller's, zeroed: `groups` (a power of two) tags and eight times as many slots.
  void begin(std::uint64_t* tags, Slot* slots, std::size_t groups) noexcept {
    tags_ = tags;
    slots_ = slots;
    mask_ = groups - 1;
  }

  /// Numbers entries in order of first appearance: found[j] for entries[j]. Entries that bring a new key add their
  /// index to firsts.
  void look_up(const Slot* entries, std::size_t n, std::int32_t* found, std::vector<std::uint32_t>& firsts) {
    constexpr std::size_t batch = 32;
    std::array<std::uint64_t, batch> hash;
    std::array<std::size_t, batch> guess;
    for (std::size_t i = 0; i < n; i += batch, entries += batch, found += batch) {
      const std::size_t m = std::min(batch, n - i);
      if ((size_ + m) * 4 > (mask_ + 1) * kGroup * 3) grow();
      for (std::size_t j = 0; j < m; ++j) {
        hash[j] = Policy::hash(entries[j]);
        const std::size_t g = static_cast<std::size_t>(hash[j]) & mask_;
        const std::uint64_t match = zero_bytes(tags_[g] ^ tag_of(hash[j]) * kEach);
        guess[j] = g * kGroup + (static_cast<std::size_t>(std::countr_zero(match | kTop)) >> 3);
        Policy::prefetch(entries[j]);
        __builtin_prefetch(slots_ + guess[j]);
      }
      for (std::size_t j = 0; j < m; ++j) {
        const Slot& s = slots_[guess[j]];
        if (s.index != 0 && Policy::same(s, entries[j])) found[j] = static_cast<std::int32_t>(s.index - 1);
        else found[j] = find_or_add(entries[j], hash[j], firsts);
      }
    }
  }

 private:
  static constexpr std::uint64_t kEach = 0x0101010101010101ULL;
  static constexpr std::uint64_t kTop = std::uint64_t{1} << 63;

  /// Never 0, which marks a free slot.
  static std::uint64_t tag_of(std::uint64_t hash) noexcept {
    const std::uint64_t tag = hash >> 40 & 0xff;
    return tag + (tag == 0 ? 1 : 0);
  }
  /// Top bits of bytes that are 0; the lowest is exact, bytes above it may be marked wrongly.
  static std::uint64_t zero_bytes(std::uint64_t x) noexcept { return (x - kEach) & ~x & (kEach << 7); }

  std::int32_t find_or_add(const Slot& entry, std::uint64_t hash, std::vector<std::uint32_t>& firsts) {
    const std::uint64_t tag = tag_of(hash);
    for (std::size_t g = static_cast<std::size_t>(hash) & mask_;; g = (g + 1) & mask_) {
      Slot* group = slots_ + g * kGroup;
      for (std::uint64_t match = zero_bytes(tags_[g] ^ tag * kEach); match != 0; match &= match - 1) {
        const Slot& s = group[static_cast<std::size_t>(std::countr_zero(match)) >> 3];
        if (s.index != 0 && Policy::same(s, entry)) return static_cast<std::int32_t>(s.index - 1);
      }
      const std::uint64_t free = zero_bytes(tags_[g]);
      if (free == 0) continue;
      const std::size_t k = static_cast<std::size_t>(std::countr_zero(free)) >> 3;
      firsts.push_back(entry.index);
      group[k] = entry;
      group[k].index = static_cast<std::uint32_t>(++size_);
      tags_[g] |= tag << (8 * k);
      return static_cast<std::int32_t>(size_ - 1);
    }
  }

  void grow() {
    const std::size_t groups = (mask_ + 1) * 2;
    ZeroedPages memory(groups * (sizeof(std::uint64_t) + kGroup * sizeof(Slot)));
    auto* tags = static_cast<std::uint64_t*>(memory.data());
    auto* slots = reinterpret_cast<Slot*>(tags + groups);
    for (std::size_t i = 0; i < (mask_ + 1) * kGroup; ++i) {
      if (slots_[i].index == 0) continue;
      const std::uint64_t hash = Policy::hash(slots_[i]);
      std::size_t g = static_cast<std::size_t>(hash) & (groups - 1);
      while (zero_bytes(tags[g]) == 0) g = (g + 1) & (groups - 1);
      const std::size_t k = static_cast<std::size_t>(std::countr_zero(zero_bytes(tags[g]))) >> 3;
      slots[g * kGroup + k] = slots_[i];
      tags[g] |= tag_of(hash) << (8 * k);
    }
    own_ = std::move(memory);
    begin(tags, slots, groups);
  }

  std::uint64_t* tags_ = nullptr;
  Slot* slots_ = nullptr;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
  ZeroedPages own_;  // once it has outgrown the caller's memory
};

}  // namespace etalage::detail
