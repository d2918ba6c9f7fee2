// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "core/grouped_table.hpp"
#include "core/intern_rows.hpp"
#include "core/intern_table.hpp"
#include "core/large_array.hpp"
#include "detail/huge_pages.hpp"
#include "detail/parallel_for.hpp"
#include "detail/prefetch.hpp"

namespace etalage::detail {

/// Numbers many different keys: rows are dealt out by hash first, so that each part's table stays in a core's cache, and
/// parts go to threads. Tiles of rows are dealt out, looked up by part, and put back in their order.
///
/// Numbers follow first appearance, as in one table: rows that brought a new key are marked, and a key's number is how
/// many marks lie before its row's.
template <class Policy>
class PartitionedInterner {
 public:
  using Key = typename Policy::Key;
  using Slot = typename Policy::Slot;

  static constexpr std::size_t kTileRows = 8192;
  static constexpr std::size_t kBlockRows = 512 * kTileRows;
  static constexpr std::size_t kKeysPerPart = 10240;
  static constexpr std::size_t kMaxParts = 512;

  /// expected_keys: a guess, of which only the speed depends.
  PartitionedInterner(const Column& column, std::size_t expected_keys, int num_threads)
      : column_(column),
        parts_(std::clamp<std::size_t>(std::bit_ceil(expected_keys / kKeysPerPart + 1), 16, kMaxParts)),
        part_bits_(std::countr_zero(parts_)),
        num_threads_(num_threads),
        expected_keys_(expected_keys),
        parts_of_keys_(parts_) {
    using Table = GroupedTable<Policy>;
    const std::size_t groups = std::bit_ceil(std::max<std::size_t>(8, expected_keys / parts_ * 3 / 2 / Table::kGroup));
    const std::size_t slots = groups * Table::kGroup;
    memory_ = ZeroedPages(parts_ * (groups * sizeof(std::uint64_t) + slots * sizeof(Slot)));
    auto* tags = static_cast<std::uint64_t*>(memory_.data());
    auto* first_slot = reinterpret_cast<Slot*>(tags + parts_ * groups);
    for (std::size_t p = 0; p < parts_; ++p) parts_of_keys_[p].table.begin(tags + p * groups, first_slot + p * slots, groups);
  }

  /// Rows that had no usable key, after run().
  [[nodiscard]] std::size_t missing() const noexcept { return missing_; }

  /// Codes of all rows, -1 where there is no usable key. Returns the keys in order.
  std::vector<Key> run(std::int32_t* codes) {
    const auto n = static_cast<std::size_t>(column_.size());
    if (n == 0) return {};
    const std::size_t rows = std::min(kBlockRows, (n + kTileRows - 1) / kTileRows * kTileRows);
    Pages<Slot> entries(rows);
    touch_pages(entries.data(), rows * sizeof(Slot), num_threads_);
    touch_pages(memory_.data(), memory_.size(), num_threads_);
    std::vector<std::vector<Slot>> scratch(static_cast<std::size_t>(num_threads_));
    Pages<std::int32_t> found(rows);
    Pages<std::uint16_t> place(rows);
    Pages<std::uint8_t> is_first(rows);
    const std::size_t tiles = rows / kTileRows;
    std::vector<std::uint32_t> starts(tiles * (parts_ + 1));
    std::vector<std::uint64_t> words(rows / 64);
    std::vector<std::uint32_t> before(rows / 64);
    std::vector<std::size_t> tile_base(tiles + 1);
    std::vector<Key> keys;
    keys.reserve(std::min(n, expected_keys_ + expected_keys_ / 8));
    prefer_huge_pages(keys.data(), keys.capacity() * sizeof(Key));
    for (std::size_t begin = 0; begin < n; begin += rows) {
      const std::size_t size = std::min(rows, n - begin);
      const std::size_t used = (size + kTileRows - 1) / kTileRows;
      const auto tile_of = [&](std::size_t t, auto&& f) { f(begin + t * kTileRows, std::min(begin + size, begin + (t + 1) * kTileRows)); };
      parallel_for(used, 1, num_threads_, [&](std::size_t t, std::size_t, int thread) {
        auto& sorted = scratch[static_cast<std::size_t>(thread)];
        sorted.resize(kTileRows);
        tile_of(t, [&](std::size_t b, std::size_t e) {
          deal(b, e, static_cast<std::uint32_t>(t * kTileRows), sorted.data(), place.data() + t * kTileRows,
               starts.data() + t * (parts_ + 1));
          // Sorted in cache, then written in order: the memory is far away.
          std::memcpy(entries.data() + t * kTileRows, sorted.data(), (e - b) * sizeof(Slot));
        });
      });
      parallel_for(parts_, 1, num_threads_, [&](std::size_t p, std::size_t, int) {
        Part& part = parts_of_keys_[p];
        part.firsts.clear();
        for (std::size_t t = 0; t < used; ++t) {
          const std::uint32_t* s = starts.data() + t * (parts_ + 1) + p;
          const std::size_t from = t * kTileRows + s[0];
          if (t + 1 < used) prefetch_run(entries.data() + (t + 1) * kTileRows, s[parts_ + 1], s[parts_ + 2]);
          part.table.look_up(entries.data() + from, s[1] - s[0], found.data() + from, part.firsts);
        }
        for (const std::uint32_t row : part.firsts) is_first.data()[row] = 1;
      });
      parallel_for(used, 1, num_threads_, [&](std::size_t t, std::size_t, int) {
        std::uint32_t total = 0;
        for (std::size_t w = t * kTileRows / 64; w < (t + 1) * kTileRows / 64; ++w) {
          words[w] = take_marks(is_first.data() + w * 64);
          before[w] = total;
          total += static_cast<std::uint32_t>(std::popcount(words[w]));
        }
        tile_base[t + 1] = total;
      });
      missing_ += size;
      for (std::size_t t = 0; t < used; ++t) missing_ -= starts[t * (parts_ + 1) + parts_];
      tile_base[0] = keys.size();
      for (std::size_t t = 0; t < used; ++t) tile_base[t + 1] += tile_base[t];
      if (tile_base[used] > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) too_many_keys();
      keys.resize(tile_base[used]);
      parallel_for(parts_, 1, num_threads_, [&](std::size_t p, std::size_t, int) {
        Part& part = parts_of_keys_[p];
        for (const std::uint32_t row : part.firsts) {
          const std::size_t w = row / 64;
          const std::uint64_t lower = words[w] & ((std::uint64_t{1} << (row % 64)) - 1);
          part.numbers.push_back(static_cast<std::int32_t>(tile_base[row / kTileRows] + before[w] +
                                                            static_cast<std::size_t>(std::popcount(lower))));
        }
        const std::int32_t* number = part.numbers.data();
        for (std::size_t t = 0; t < used; ++t) {
          const std::uint32_t* s = starts.data() + t * (parts_ + 1) + p;
          std::int32_t* f = found.data() + t * kTileRows;
          for (std::uint32_t i = s[0]; i < s[1]; ++i) f[i] = number[f[i]];
        }
      });
      parallel_for(used, 1, num_threads_, [&](std::size_t t, std::size_t, int) {
        tile_of(t, [&](std::size_t b, std::size_t e) {
          const std::int32_t* f = found.data() + t * kTileRows;
          const std::uint16_t* at = place.data() + t * kTileRows;
          for (std::size_t i = b; i < e; ++i) codes[i] = at[i - b] == kNowhere ? -1 : f[at[i - b]];
          gather_keys(b, words.data() + t * kTileRows / 64, keys.data() + tile_base[t]);
        });
      });
    }
    return keys;
  }

 private:
  static constexpr std::uint16_t kNowhere = 0xffff;
  static_assert(kTileRows < kNowhere);

  template <class T>
  class Pages {
   public:
    explicit Pages(std::size_t n) : memory_(n * sizeof(T)) {}
    [[nodiscard]] T* data() const noexcept { return static_cast<T*>(memory_.data()); }

   private:
    ZeroedPages memory_;
  };

  struct Part {
    GroupedTable<Policy> table;
    std::vector<std::uint32_t> firsts;  // rows of the block that brought its new keys, ascending
    std::vector<std::int32_t> numbers;  // of its keys, in order of first appearance
  };

  [[nodiscard]] std::size_t part_of(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>((hash * 0x9e3779b97f4a7c15ULL) >> 32) >> (32 - part_bits_);
  }

  /// Sorts the tile's usable keys by part: entries, where each row's went, and where parts start [parts + 1].
  void deal(std::size_t b, std::size_t e, std::uint32_t first_row, Slot* entries, std::uint16_t* place, std::uint32_t* starts) const {
    std::array<std::uint32_t, kMaxParts + 1> at{};
    for_chunks(column_, static_cast<std::int64_t>(b), static_cast<std::int64_t>(e),
               [&](std::size_t c, std::int64_t cb, std::int64_t ce, std::int64_t first) {
                 const std::int64_t shift = first - static_cast<std::int64_t>(b) - cb;
                 for_keys<Policy>(
                     column_.chunks[c], cb, ce,
                     [&](std::int64_t i, const Key& key) {
                       const std::size_t p = part_of(Policy::hash(Policy::prepare(key)));
                       ++at[p];
                       place[shift + i] = static_cast<std::uint16_t>(p);
                     },
                     [&](std::int64_t i) { place[shift + i] = kNowhere; });
               });
    std::uint32_t total = 0;
    for (std::size_t p = 0; p < parts_; ++p) {
      starts[p] = total;
      total += at[p];
      at[p] = starts[p];
    }
    starts[parts_] = total;
    for_chunks(column_, static_cast<std::int64_t>(b), static_cast<std::int64_t>(e),
               [&](std::size_t c, std::int64_t cb, std::int64_t ce, std::int64_t first) {
                 const std::int64_t shift = first - static_cast<std::int64_t>(b) - cb;
                 for_keys<Policy>(
                     column_.chunks[c], cb, ce,
                     [&](std::int64_t i, const Key& key) {
                       const std::uint32_t to = at[place[shift + i]]++;
                       entries[to] = Policy::prepare(key);
                       entries[to].index = first_row + static_cast<std::uint32_t>(shift + i);
                       place[shift + i] = static_cast<std::uint16_t>(to);
                     },
                     [](std::int64_t) {});
               });
  }

  /// Runs are too short for the hardware to see them coming.
  static void prefetch_run(const Slot* entries, std::size_t b, std::size_t e) noexcept {
    const char* const end = reinterpret_cast<const char*>(entries + e);
    for (const char* p = reinterpret_cast<const char*>(entries + b); p < end; p += 64) __builtin_prefetch(p);
    keep_requests();
  }

  /// 64 marks as bits; clears them.
  static std::uint64_t take_marks(std::uint8_t* marks) noexcept {
    std::uint64_t bits = 0;
    for (int k = 0; k < 8; ++k) {
      std::uint64_t eight = 0;
      std::memcpy(&eight, marks + 8 * k, 8);
      // Byte j's lowest bit goes to bit j of the topmost byte.
      bits |= (eight * 0x0102040810204080ULL >> 56) << (8 * k);
    }
    std::memset(marks, 0, 64);
    return bits;
  }

  /// Keys of the marked rows of the tile that begins at row b.
  void gather_keys(std::size_t b, const std::uint64_t* words, Key* to) const {
    const std::size_t e = std::min(b + kTileRows, static_cast<std::size_t>(column_.size()));
    for_chunks(column_, static_cast<std::int64_t>(b), static_cast<std::int64_t>(e),
               [&](std::size_t c, std::int64_t cb, std::int64_t ce, std::int64_t first) {
                 const ColumnChunk& chunk = column_.chunks[c];
                 if (chunk.type == ColumnType::kNull) return;
                 const auto shift = first - static_cast<std::int64_t>(b);  // of the chunk's row cb within the tile
                 with_values<Policy>(chunk, [&](auto read) {
                   for (std::int64_t at = shift; at < shift + ce - cb;) {
                     const std::uint64_t left = words[at / 64] >> (at % 64);
                     if (left == 0) {
                       at = (at / 64 + 1) * 64;
                       continue;
                     }
                     at += std::countr_zero(left);
                     if (at >= shift + ce - cb) break;
                     (void)read_key<Policy>(read, cb + at - shift, *to++);
                     ++at;
                   }
                 });
               });
  }

  const Column& column_;
  std::size_t parts_;
  int part_bits_;
  int num_threads_;
  std::size_t expected_keys_;
  std::size_t missing_ = 0;
  ZeroedPages memory_;
  std::vector<Part> parts_of_keys_;
};

}  // namespace etalage::detail
