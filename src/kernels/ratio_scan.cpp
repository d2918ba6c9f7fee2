// SPDX-License-Identifier: Apache-2.0
#include "kernels/rank_key.hpp"
#include "kernels/ratio_scan.hpp"
#include "kernels/scan_vec.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

std::size_t take(float* c, const RatioRow& row, float threshold, std::uint32_t base, std::uint64_t* keys) {
  std::uint64_t* to = keys;
  const V a = set(row.a);
  const V p = set(row.p);
  const V t = set(row.t);
  const V limit = set(threshold);
  alignas(64) float below[kLanes];
  for (std::size_t j = 0; j < kRatioBlock; j += kLanes) {
    const V sums = load(c + j);
    const V denominator = mul_add(a, load(row.b + j), mul_add(t, sums, add(load(row.q + j), p)));
    // No division where the value cannot pass: c > threshold * denominator, the denominator being positive.
    std::uint64_t left = bits(greater(sums, mul_add(limit, denominator, zero())));
    store(zero(), c + j);
    if (HWY_LIKELY(left == 0)) continue;
    alignas(64) float above[kLanes];
    store(sums, above);
    store(denominator, below);
    for (; left != 0; left &= left - 1) {
      const auto lane = static_cast<std::size_t>(__builtin_ctzll(left));
      const float v = above[lane] / below[lane];
      if (v > threshold) *to++ = rank_key(v, base + static_cast<std::uint32_t>(j + lane));
    }
  }
  return static_cast<std::size_t>(to - keys);
}

}  // namespace

extern const RatioTable ratio_table;
const RatioTable ratio_table{take};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
