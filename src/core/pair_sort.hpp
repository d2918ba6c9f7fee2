// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace etalage::detail {

/// An event of a pair: its user within a block of users above, its item below. Weights that decay need double precision until
/// they are one: old ones underflow float32, and so their sum's sign.
template <class Key, class Weight>
struct PairEntry {
  Key pair;
  Weight weight;
};

/// Sorts a block's entries by user and item, equal pairs in their own order: counting sorts by digits of the item and then by
/// user, without a branch that depends on the data. Keeps its memory for the next block.
template <class Key, class Weight>
class PairSort {
 public:
  using Entry = PairEntry<Key, Weight>;

  /// The sorted entries: either `entries` or memory of one's own, which lasts until the next call. The other's content is lost.
  const Entry* operator()(Entry* entries, std::size_t n, int item_bits, int user_bits) {
    if (scratch_.size() < n) scratch_ = std::vector<Entry>(n + n / 8);
    const int digits = (item_bits + kDigitBits - 1) / kDigitBits;
    const int digit_bits = (item_bits + digits - 1) / digits;
    const std::size_t size = std::size_t{1} << digit_bits;
    const std::size_t users = std::size_t{1} << user_bits;
    starts_.assign(static_cast<std::size_t>(digits) * size + users, 0);
    std::size_t* const user_starts = starts_.data() + static_cast<std::size_t>(digits) * size;
    const auto digit = [=](Key pair, int d) {
      const int low = d * digit_bits;
      const int bits = std::min(digit_bits, item_bits - low);
      return static_cast<std::size_t>(pair >> low & ((Key{1} << bits) - 1));
    };
    for (std::size_t j = 0; j < n; ++j) {
      const Key pair = entries[j].pair;
      for (int d = 0; d < digits; ++d) ++starts_[static_cast<std::size_t>(d) * size + digit(pair, d)];
      ++user_starts[static_cast<std::size_t>(pair >> item_bits)];
    }
    rows_.assign(user_starts, user_starts + users);
    Entry* from = entries;
    Entry* to = scratch_.data();
    const auto pass = [&](std::size_t* starts, std::size_t count, auto&& bucket) {
      std::size_t total = 0;
      for (std::size_t k = 0; k < count; ++k) {
        const std::size_t of_bucket = starts[k];
        starts[k] = total;
        total += of_bucket;
      }
      for (std::size_t j = 0; j < n; ++j) to[starts[bucket(from[j].pair)]++] = from[j];
      std::swap(from, to);
    };
    for (int d = 0; d < digits; ++d) {
      const int low = d * digit_bits;
      const Key mask = (Key{1} << std::min(digit_bits, item_bits - low)) - 1;
      pass(starts_.data() + static_cast<std::size_t>(d) * size, size, [=](Key pair) { return static_cast<std::size_t>(pair >> low & mask); });
    }
    pass(user_starts, users, [=](Key pair) { return static_cast<std::size_t>(pair >> item_bits); });
    return from;
  }

  /// How many entries each user of the block has, after a sort.
  [[nodiscard]] const std::vector<std::size_t>& rows() const noexcept { return rows_; }

 private:
  static constexpr int kDigitBits = 11;
  std::vector<Entry> scratch_;
  std::vector<std::size_t> starts_;
  std::vector<std::size_t> rows_;
};

}  // namespace etalage::detail
