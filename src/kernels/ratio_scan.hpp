// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// One row of v_j = c_j / (a b_j + q_j + p + t c_j).
struct RatioRow {
  const float* b;
  const float* q;
  float a;
  float p;
  float t;
};

struct RatioTable {
  /// Of the kRatioBlock sums that begin at c: appends the keys (rank_key.hpp) of the v_j > threshold >= 0 under the index
  /// base + j, in order, and sets the sums to 0. b and q of the row are those of the block. Returns how many. A value
  /// within one part in a million above the threshold may count as equal to it.
  std::size_t (*take)(float* c, const RatioRow& row, float threshold, std::uint32_t base, std::uint64_t* keys);
};

inline constexpr std::size_t kRatioBlock = 64;

ETALAGE_DECLARE_KERNELS(RatioTable, ratio)

}  // namespace etalage::kernels
