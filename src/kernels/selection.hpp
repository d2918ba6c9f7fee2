// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>

#include "etalage/core/item_filter.hpp"
#include "kernels/rank_key.hpp"

namespace etalage::kernels {

/// The running top k of one query. A scan appends the keys of scores above `threshold`, indices ascending, and calls
/// shrink() before the buffer can overflow; what is excluded is looked up only for those few survivors. A later index
/// with a score equal to the k-th best loses the tie, so the strict comparison is exact. Scores that are NaN or
/// -infinity are never candidates.
struct Selection {
  std::uint64_t* keys = nullptr;           ///< [limit(k) + the most that is appended between two shrinks]
  std::size_t count = 0;
  std::size_t checked = 0;                 ///< keys[0, checked) are known not to be excluded
  std::size_t k = 0;                       ///< >= 1
  float threshold = -std::numeric_limits<float>::infinity();
  std::span<const std::int32_t> excluded;  ///< sorted
  std::size_t cursor = 0;                  ///< excluded[0, cursor) lie below every index still to come
  const ItemFilter* filter = nullptr;      ///< null when every index of the scan is allowed
  bool ascending = true;                   ///< indices come in order; else what equals the k-th best may still win the tie

  /// Keys held before a shrink pays: small enough to keep the threshold tight, large enough to be rare.
  static constexpr std::size_t limit(std::size_t k) noexcept { return 2 * k + 32; }
  [[nodiscard]] bool full() const noexcept { return count > limit(k); }

  void shrink() noexcept {
    drop_excluded();
    if (count <= k) return;
    std::nth_element(keys, keys + (k - 1), keys + count, std::greater<>());
    count = checked = k;
    threshold = key_score(keys[k - 1]);
    if (!ascending) threshold = std::nextafter(threshold, -std::numeric_limits<float>::infinity());
  }

  /// Leaves the results in keys[0, returned), best first.
  std::size_t finish() noexcept {
    drop_excluded();
    const std::size_t n = std::min(count, k);
    if (n < count) std::nth_element(keys, keys + (n - 1), keys + count, std::greater<>());
    std::sort(keys, keys + n, std::greater<>());
    count = checked = n;
    return n;
  }

 private:
  void drop_excluded() noexcept {
    if (excluded.empty() && filter == nullptr) {
      checked = count;
      return;
    }
    std::size_t kept = checked;
    for (std::size_t i = checked; i < count; ++i) {
      const auto index = static_cast<std::int32_t>(key_index(keys[i]));
      if (!ascending) cursor = 0;
      cursor = static_cast<std::size_t>(
          std::lower_bound(excluded.begin() + static_cast<std::ptrdiff_t>(cursor), excluded.end(), index) - excluded.begin());
      if (cursor < excluded.size() && excluded[cursor] == index) continue;
      if (filter != nullptr && !filter->allows(index)) continue;
      keys[kept++] = keys[i];
    }
    count = checked = kept;
  }
};

}  // namespace etalage::kernels
