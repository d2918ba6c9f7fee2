// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "detail/parallel_for.hpp"

namespace etalage::detail {

/// No NaN and no infinity among the values. Free of branches in the inner loop, so that it runs at memory speed.
inline bool all_finite(std::span<const float> values, int num_threads = 0) {
  constexpr std::size_t kChunk = std::size_t{1} << 18;
  constexpr std::uint32_t kExponent = 0x7f800000u;
  std::atomic<bool> finite{true};
  parallel_for(values.size(), kChunk, num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::uint32_t bad = 0;
    for (std::size_t i = begin; i < end; ++i) bad |= (std::bit_cast<std::uint32_t>(values[i]) & kExponent) == kExponent ? 1u : 0u;
    if (bad != 0) finite.store(false, std::memory_order_relaxed);
  });
  return finite.load();
}

/// Every row of `width` values is finite and has a squared norm below a quarter of the largest float: the product of two
/// such rows is a finite score, and so is their distance.
inline bool bounded_rows(std::span<const float> values, std::size_t width, int num_threads = 0) {
  if (width == 0) return values.empty();
  std::atomic<bool> bounded{true};
  parallel_for(values.size() / width, 4096, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) {
      float norm2 = 0;
      for (const float v : values.subspan(r * width, width)) norm2 += v * v;
      if (!(norm2 < std::numeric_limits<float>::max() / 4)) bounded.store(false, std::memory_order_relaxed);
    }
  });
  return bounded.load();
}

}  // namespace etalage::detail
