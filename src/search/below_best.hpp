// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace etalage::search {

inline constexpr std::size_t kBestColumns = 64;

/// Something that at least k of n values are above, and rarely many more: near the k-th best of the best of 64 columns.
/// -infinity where that says nothing: k above 32, or too few values that are finite. Values behind the last whole 64 are
/// not looked at.
inline float below_best(const float* values, std::size_t n, std::size_t k) noexcept {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (k > kBestColumns / 2) return -kInfinity;
  std::array<float, kBestColumns> tops;
  tops.fill(-kInfinity);
  for (std::size_t i = 0; i + kBestColumns <= n; i += kBestColumns)
    for (std::size_t l = 0; l < kBestColumns; ++l) tops[l] = tops[l] > values[i + l] ? tops[l] : values[i + l];
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
    std::size_t higher = 0;
    for (const float top : tops) higher += top > middle;
    if (higher >= k) low = middle;
    else high = middle;
    if (higher >= k && higher <= k + 1) break;
  }
  return low;
}

}  // namespace etalage::search
