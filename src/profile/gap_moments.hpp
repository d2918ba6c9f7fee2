// SPDX-License-Identifier: Apache-2.0
// Mean, and sum of squared deviations from it, of the days between a shopper's orders.
#pragma once

#include <cstdint>

namespace etalage::profile {

/// One gap more, the `count`-th (Welford, 1962).
inline void add_gap(double gap, std::int64_t count, double& mean, double& m2) noexcept {
  const double delta = gap - mean;
  mean += delta / static_cast<double>(count);
  m2 += delta * (gap - mean);
}

/// Those of a second group into those of the first (Chan, Golub, LeVeque, 1983); nothing where neither has a gap.
inline void merge_gaps(std::int64_t count, double& mean, double& m2, std::int64_t other_count, double other_mean, double other_m2) noexcept {
  if (count + other_count <= 0) return;
  const auto n1 = static_cast<double>(count);
  const auto n2 = static_cast<double>(other_count);
  const double delta = other_mean - mean;
  m2 += other_m2 + delta * delta * n1 * n2 / (n1 + n2);
  mean = (n1 * mean + n2 * other_mean) / (n1 + n2);
}

}  // namespace etalage::profile
