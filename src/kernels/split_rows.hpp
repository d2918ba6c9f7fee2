// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// What a record in eight bits leaves out of a float32 row, in 24 bits a dimension, so that both together are the row to the
/// bit: first the low 16 bits of all dimensions, then the high 8. With q the code less 128 and s the record's scale:
///
///   q != 0   |x| as a bit pattern, less that of s (|q| - 9/16); the sign is q's. From |q| = 40 on 19 bits are enough, and the
///            upper five are spare.
///   q == 0   bit 23 the sign, below it the mantissa; all of these 0 for +0 and -0. Otherwise the exponent lies in spare bits: the
///            i-th such dimension's in those of the i-th with |q| >= 40, as what it lies below that of s 9/16; from 24
///            on less 24, and the mantissa is 0.
///
/// Rows that cannot be put so are odd, and kept whole elsewhere: those without a scale, and those whose first spare bits are 31.
struct SplitShape {
  static constexpr std::int32_t kSpareFrom = 40;
  static constexpr int kSpareShift = 19;
  static constexpr std::uint32_t kOddSpare = 31;
  static constexpr std::uint32_t kPowers = 24;  ///< spare bits from here on: a power of two
  static constexpr float kBelow = 0.5625f;      ///< at least what rounding to a code can take away
  static constexpr float kZeroTop = 0.5625f;    ///< whose exponent is the highest of what has the code 0
  static constexpr std::size_t bytes(std::size_t dim) noexcept { return 3 * dim; }
};

struct SplitRows {
  /// Writes the row [dim] of a record's codes, which are padded with 128 to a multiple of 16, its scale, above 0, and what these leave
  /// out. False for an odd row: what is written is then not the row.
  bool (*join)(const std::uint8_t* codes, float scale, const std::uint8_t* rest, std::size_t dim, float* row) noexcept;
};

ETALAGE_DECLARE_KERNELS(SplitRows, split_rows)

}  // namespace etalage::kernels
