// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace etalage::search {

inline constexpr std::size_t kBestColumns = 64;
inline constexpr std::size_t kManyBestColumns = 1024;  ///< for a long list of the best

template <std::size_t kColumns>
float below_best_of_columns(const float* values, std::size_t n, std::size_t k) noexcept {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::array<float, kColumns> tops;
  tops.fill(-kInfinity);
  for (std::size_t i = 0; i + kColumns <= n; i += kColumns)
    for (std::size_t l = 0; l < kColumns; ++l) tops[l] = tops[l] > values[i + l] ? tops[l] : values[i + l];
  float low = kInfinity;
  float high = -kInfinity;
  std::size_t filled = 0;
  for (const float top : tops) {
    low = top > -kInfinity && top < low ? top : low;
    high = top > high ? top : high;
    filled += top > -kInfinity;
  }
  if (filled < k || !(high < kInfinity)) return -kInfinity;
  low = std::nextafter(low, -kInfinity);
  // At least k tops are above low, fewer than k above high.
  for (int step = 0; step < 10; ++step) {
    const float middle = low + (high - low) / 2;
    std::uint32_t higher = 0;
    for (const float top : tops) higher += top > middle ? 1u : 0u;
    if (higher >= k) low = middle;
    else high = middle;
    if (higher >= k && higher <= k + 1 + k / 32) break;
  }
  return low;
}

/// Something that at least k of n values are above, and rarely many more: near the k-th best of the best of 64 columns, or
/// of more of them for a larger k. -infinity where that says nothing: k above half of the most columns, or too few values
/// that are finite. Values behind the last whole row of columns are not looked at.
inline float below_best(const float* values, std::size_t n, std::size_t k) noexcept {
  if (k <= kBestColumns / 2) return below_best_of_columns<kBestColumns>(values, n, k);
  if (k <= kManyBestColumns / 2) return below_best_of_columns<kManyBestColumns>(values, n, k);
  return -std::numeric_limits<float>::infinity();
}

}  // namespace etalage::search
