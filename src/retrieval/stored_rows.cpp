// SPDX-License-Identifier: Apache-2.0
#include "retrieval/stored_rows.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>

namespace etalage::retrieval {

using kernels::SplitShape;

namespace {

void put(std::uint8_t* rest, std::size_t dim, std::size_t f, std::uint32_t bits) noexcept {
  const auto low = static_cast<std::uint16_t>(bits);
  std::memcpy(rest + 2 * f, &low, sizeof low);
  rest[2 * dim + f] = static_cast<std::uint8_t>(bits >> 16);
}

}  // namespace

bool split_row(const float* row, std::uint8_t* record, const kernels::CodeShape& shape, std::uint8_t* rest) noexcept {
  const std::size_t dim = shape.dim;
  const auto magnitude = [&](std::size_t f) { return std::abs(static_cast<std::int32_t>(record[f]) - 128); };
  const auto next_spare = [&](std::size_t f) {
    while (f < dim && magnitude(f) < SplitShape::kSpareFrom) ++f;
    return f;
  };
  kernels::CodeTail tail;
  std::memcpy(&tail, record + shape.width, sizeof tail);
  // Where there is a scale the largest value has the code 127, and where there is none all have 128.
  if (next_spare(0) == dim && (tail.scale > 0 || std::any_of(record, record + dim, [](std::uint8_t code) { return code != 128; }))) {
    kernels::code().encode(row, shape, record);
    std::memcpy(&tail, record + shape.width, sizeof tail);
  }
  if (!(tail.scale > 0)) {
    std::memset(rest, 0, SplitShape::bytes(dim));
    return false;
  }
  constexpr std::uint32_t kSpare = (1u << SplitShape::kSpareShift) - 1;
  bool fits = true;
  for (std::size_t f = 0; f < dim; ++f) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(row[f]);
    const std::int32_t a = magnitude(f);
    std::uint32_t left = 0;
    if (a > 0) {
      const std::uint32_t below = std::bit_cast<std::uint32_t>(tail.scale * (static_cast<float>(a) - SplitShape::kBelow));
      left = (bits & 0x7FFFFFFFu) - below;
      fits = fits && left <= (a >= SplitShape::kSpareFrom ? kSpare : 0xFFFFFFu) && std::signbit(row[f]) == (record[f] < 128);
    } else {
      // A mantissa of 0 stands for zero: a power of two has another one, which its exponent says.
      const std::uint32_t mantissa = bits & 0x7FFFFFu;
      left = bits >> 31 << 23 | (mantissa == 0 && row[f] != 0 ? 1u : mantissa);
    }
    put(rest, dim, f, left);
  }
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(tail.scale * SplitShape::kZeroTop) >> 23;
  std::size_t spare = next_spare(0);
  for (std::size_t f = 0; f < dim && fits; ++f) {
    if (magnitude(f) > 0 || row[f] == 0) continue;
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(row[f]);
    const std::uint32_t own = bits >> 23 & 255;
    const bool power = (bits & 0x7FFFFFu) == 0;
    const std::uint32_t below = exponent - own;
    fits = spare < dim && own > 0 && own <= exponent && below < (power ? SplitShape::kOddSpare - SplitShape::kPowers : SplitShape::kPowers);
    if (!fits) break;
    std::uint8_t& high = rest[2 * dim + spare];
    high = static_cast<std::uint8_t>(high | (below + (power ? SplitShape::kPowers : 0)) << (SplitShape::kSpareShift - 16));
    spare = next_spare(spare + 1);
  }
  if (fits) return true;
  std::memset(rest, 0, SplitShape::bytes(dim));
  put(rest, dim, next_spare(0), SplitShape::kOddSpare << SplitShape::kSpareShift);
  return false;
}

}  // namespace etalage::retrieval
