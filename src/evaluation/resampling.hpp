// SPDX-License-Identifier: Apache-2.0
// Random numbers and quantiles of the intervals in this room.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "detail/random_stream.hpp"

namespace etalage::evaluation {

/// One sequence a resample.
struct ResampleStream : detail::SplitMix64 {
  ResampleStream(std::uint64_t seed, std::size_t sample) : SplitMix64(seed * 0xd6e8feb86659fd93ULL + sample * 0xda942042e4dd58b5ULL) { next(); }
};

/// The z below which a standard normal lies with probability p; bisection on erfc is exact enough and short.
inline double normal_quantile(double p) {
  double low = -40;
  double high = 40;
  for (int i = 0; i < 200; ++i) {
    const double mid = 0.5 * (low + high);
    (0.5 * std::erfc(-mid / std::sqrt(2.0)) < p ? low : high) = mid;
  }
  return 0.5 * (low + high);
}

/// Linear between order statistics, as numpy.quantile.
inline double quantile(const std::vector<double>& sorted, double p) {
  const double at = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace etalage::evaluation
