// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

namespace etalage {

/// 1 / |row|, summed in double; 0 for a zero row.
inline float inverse_norm(std::span<const float> row) noexcept {
  double sum = 0;
  for (const float v : row) sum += static_cast<double>(v) * v;
  return sum > 0 ? static_cast<float>(1 / std::sqrt(sum)) : 0.0f;
}

/// to = row / |row|, a zero row stays zero; `to` may be the row itself.
inline void scale_to_unit(std::span<const float> row, std::span<float> to) noexcept {
  const float inverse = inverse_norm(row);
  for (std::size_t f = 0; f < row.size(); ++f) to[f] = row[f] * inverse;
}

}  // namespace etalage
