// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>

namespace etalage::profile {

/// 1 / (1 + exp(-m)), for any m.
inline double sigmoid(double m) noexcept {
  if (m >= 0) return 1 / (1 + std::exp(-m));
  const double e = std::exp(m);
  return e / (1 + e);
}

/// ln(1 + exp(m)), for any m.
inline double log1p_exp(double m) noexcept { return m > 0 ? m + std::log1p(std::exp(-m)) : std::log1p(std::exp(m)); }

}  // namespace etalage::profile
