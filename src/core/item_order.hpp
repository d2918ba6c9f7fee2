// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace etalage::detail {

/// Order of a row's entries by item, equal items in their own order. Most rows are short: an entry's place is then the
/// number of smaller items, which is counted without a branch; longer rows, and rows with equal items, are sorted.
class ItemOrder {
 public:
  /// order[n]: which entry comes first, second, ... Valid until the next call.
  const std::uint32_t* operator()(const std::int32_t* items, std::size_t n) {
    if (order_.size() < n) order_.resize(n);
    if (n <= 16 && count<16>(items, n)) return order_.data();
    if (n > 16 && n <= 48 && count<48>(items, n)) return order_.data();
    // Item above, place below: sorting by one word keeps equal items in order.
    keys_.resize(n);
    for (std::size_t i = 0; i < n; ++i) keys_[i] = static_cast<std::uint64_t>(static_cast<std::uint32_t>(items[i])) << 32 | i;
    std::sort(keys_.begin(), keys_.end());
    for (std::size_t i = 0; i < n; ++i) order_[i] = static_cast<std::uint32_t>(keys_[i]);
    return order_.data();
  }

 private:
  /// False when items are equal: their places collide, so that the sum of all places is too small.
  template <std::size_t kWidth>
  bool count(const std::int32_t* items, std::size_t n) noexcept {
    std::array<std::int32_t, kWidth> padded;
    for (std::size_t i = 0; i < n; ++i) padded[i] = items[i];
    for (std::size_t i = n; i < kWidth; ++i) padded[i] = std::numeric_limits<std::int32_t>::max();
    std::size_t total = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::int32_t item = padded[i];
      std::int32_t smaller = 0;
      for (std::size_t j = 0; j < kWidth; ++j) smaller += padded[j] < item ? 1 : 0;
      order_[static_cast<std::size_t>(smaller)] = static_cast<std::uint32_t>(i);
      total += static_cast<std::size_t>(smaller);
    }
    return total == n * (n - (n != 0)) / 2;
  }

  std::vector<std::uint32_t> order_;
  std::vector<std::uint64_t> keys_;
};

}  // namespace etalage::detail
