// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/large_array.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/core/array.hpp"

namespace etalage::detail {

/// Stable counting sort in two steps, so that each step writes to few places at once: entries go to blocks of
/// `1 << kBlockBits` neighbouring keys first, and each block, which fits in cache, is then handled by one thread.
/// Blocks keep the entries' order, and ranges are cut by size alone, so the result is the same for any thread count.
inline constexpr int kBlockBits = 12;

/// make(i) -> Entry for i in [0, n), key(i) -> [0, num_keys); keep(i) leaves entries out.
/// Returns the entries block by block and the blocks' borders [blocks + 1].
template <class Entry, class KeyOf, class Keep, class Make>
std::vector<std::size_t> partition(std::size_t n, std::size_t num_keys, int block_bits, int num_threads, KeyOf key, Keep keep, Make make,
                                   Array<Entry>& entries) {
  const std::size_t blocks = (num_keys >> block_bits) + 1;
  // Few, large ranges: every range has a row of counts.
  const std::size_t grain = std::max<std::size_t>(262144, (n + 63) / 64);
  const std::size_t ranges = num_chunks(n, grain);
  std::vector<std::size_t> cursor(ranges * blocks, 0);
  parallel_for(n, grain, num_threads, [&](std::size_t b, std::size_t e, int) {
    std::size_t* count = cursor.data() + b / grain * blocks;
    for (std::size_t i = b; i < e; ++i)
      if (keep(i)) ++count[static_cast<std::size_t>(key(i)) >> block_bits];
  });
  std::vector<std::size_t> borders(blocks + 1, 0);
  std::size_t total = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    borders[block] = total;
    for (std::size_t r = 0; r < ranges; ++r) {
      const std::size_t count = cursor[r * blocks + block];
      cursor[r * blocks + block] = total;
      total += count;
    }
  }
  borders[blocks] = total;
  entries = large_array<Entry>(total, num_threads);
  Entry* to = entries.mutable_data();
  parallel_for(n, grain, num_threads, [&](std::size_t b, std::size_t e, int) {
    std::size_t* at = cursor.data() + b / grain * blocks;
    for (std::size_t i = b; i < e; ++i)
      if (keep(i)) to[at[static_cast<std::size_t>(key(i)) >> block_bits]++] = make(i);
  });
  return borders;
}

/// Rows by key, each key's rows in ascending order. offsets [num_keys + 1], rows [n].
struct RowGroups {
  Array<std::int64_t> offsets;
  Array<std::int64_t> rows;
  [[nodiscard]] std::span<const std::int64_t> of(std::int64_t key) const noexcept {
    const auto b = static_cast<std::size_t>(offsets[static_cast<std::size_t>(key)]);
    return rows.view().subspan(b, static_cast<std::size_t>(offsets[static_cast<std::size_t>(key) + 1]) - b);
  }
};

inline RowGroups group_rows(std::span<const std::int32_t> keys, std::int32_t num_keys, int num_threads) {
  struct Entry {
    std::int64_t row;
    std::int32_t key;
  };
  Array<Entry> entries;
  const auto k = static_cast<std::size_t>(num_keys);
  const std::vector<std::size_t> borders = partition<Entry>(
      keys.size(), k, kBlockBits, num_threads, [&](std::size_t i) { return keys[i]; }, [](std::size_t) { return true; },
      [&](std::size_t i) { return Entry{static_cast<std::int64_t>(i), keys[i]}; }, entries);
  RowGroups out{Array<std::int64_t>(k + 1), large_array<std::int64_t>(keys.size(), num_threads)};
  std::int64_t* offsets = out.offsets.mutable_data();
  std::int64_t* rows = out.rows.mutable_data();
  const Entry* from = entries.data();
  parallel_for(borders.size() - 1, 1, num_threads, [&](std::size_t block, std::size_t, int) {
    const std::size_t first = block << kBlockBits;
    const std::size_t last = std::min(k, first + (std::size_t{1} << kBlockBits));
    std::vector<std::int64_t> at((std::size_t{1} << kBlockBits) + 1, 0);
    for (std::size_t j = borders[block]; j < borders[block + 1]; ++j) ++at[static_cast<std::size_t>(from[j].key) - first + 1];
    at[0] = static_cast<std::int64_t>(borders[block]);
    for (std::size_t key = first; key < last; ++key) {
      at[key - first + 1] += at[key - first];
      offsets[key + 1] = at[key - first + 1];
    }
    for (std::size_t j = borders[block]; j < borders[block + 1]; ++j)
      rows[at[static_cast<std::size_t>(from[j].key) - first]++] = from[j].row;
  });
  return out;
}

}  // namespace etalage::detail
