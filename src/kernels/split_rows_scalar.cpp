// SPDX-License-Identifier: Apache-2.0
#include "kernels/split_rows.hpp"

#include <bit>
#include <cstdlib>

namespace etalage::kernels::scalar {
namespace {

bool join(const std::uint8_t* codes, float scale, const std::uint8_t* rest, std::size_t dim, float* row) noexcept {
  const auto rest_of = [&](std::size_t f) {
    return static_cast<std::uint32_t>(rest[2 * f] | rest[2 * f + 1] << 8 | rest[2 * dim + f] << 16);
  };
  const auto magnitude = [&](std::size_t f) { return std::abs(static_cast<std::int32_t>(codes[f]) - 128); };
  const auto next_spare = [&](std::size_t f) {
    while (f < dim && magnitude(f) < SplitShape::kSpareFrom) ++f;
    return f;
  };
  std::size_t spare = next_spare(0);
  if (spare < dim && rest_of(spare) >> SplitShape::kSpareShift == SplitShape::kOddSpare) return false;
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(scale * SplitShape::kZeroTop) >> 23;
  for (std::size_t f = 0; f < dim; ++f) {
    const std::int32_t a = magnitude(f);
    const std::uint32_t x = rest_of(f);
    std::uint32_t bits = 0;
    if (a > 0) {
      const float below = scale * (static_cast<float>(a) - SplitShape::kBelow);
      bits = std::bit_cast<std::uint32_t>(below) + (a >= SplitShape::kSpareFrom ? x & ((1u << SplitShape::kSpareShift) - 1) : x);
      if (codes[f] < 128) bits |= 0x80000000u;
    } else {
      bits = x >> 23 << 31;
      if (const std::uint32_t mantissa = x & 0x7FFFFFu; mantissa != 0 && spare < dim) {
        const std::uint32_t below = rest_of(spare) >> SplitShape::kSpareShift;
        bits |= below >= SplitShape::kPowers ? (exponent - (below - SplitShape::kPowers)) << 23 : (exponent - below) << 23 | mantissa;
        spare = next_spare(spare + 1);
      }
    }
    row[f] = std::bit_cast<float>(bits);
  }
  return true;
}

}  // namespace

const SplitRows split_rows_table{&join};

}  // namespace etalage::kernels::scalar
