// SPDX-License-Identifier: Apache-2.0
#include "kernels/rank_key.hpp"
#include "kernels/ratio_scan.hpp"

namespace etalage::kernels::scalar {
namespace {

std::size_t take(float* c, const RatioRow& row, float threshold, std::uint32_t base, std::uint64_t* keys) {
  std::size_t count = 0;
  for (std::size_t j = 0; j < kRatioBlock; ++j) {
    const float sum = c[j];
    c[j] = 0.0f;
    if (!(sum > 0)) continue;
    const float v = sum / (row.a * row.b[j] + (row.t * sum + (row.q[j] + row.p)));
    if (v > threshold) keys[count++] = rank_key(v, base + static_cast<std::uint32_t>(j));
  }
  return count;
}

}  // namespace

const RatioTable ratio_table{take};

}  // namespace etalage::kernels::scalar
