// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// How one pair moves three rows: each row is multiplied by `keep` (1 - rate x ridge) and gets `step` (rate x slope) times
/// its direction.
struct PairStep {
  float user_keep, user_step;
  float liked_keep, liked_step;
  float other_keep, other_step;
};

/// Steps of stochastic gradient descent on factor rows of n floats; n is a multiple of kSgdPad and rows are 64-byte
/// aligned. Rows of one call are distinct.
struct SgdTable {
  /// x . y
  float (*dot)(const float* x, const float* y, std::size_t n);
  /// out[r] = x . rows[r] over r < count
  void (*dots)(const float* x, const float* const* rows, std::size_t count, std::size_t n, float* out);
  /// u . (i - j); norms = {|u|^2, |i - j|^2}
  float (*pair_score)(const float* u, const float* i, const float* j, std::size_t n, float* norms);
  /// u += step (i - j), i += step u, j -= step u, all from the values before, after the shrinking of PairStep.
  void (*pair_update)(float* u, float* i, float* j, std::size_t n, const PairStep& step);
  /// gathered += step y, then y += step x.
  void (*attract)(float* y, const float* x, float* gathered, std::size_t n, float step);
};

inline constexpr std::size_t kSgdPad = 16;

ETALAGE_DECLARE_KERNELS(SgdTable, sgd)

}  // namespace etalage::kernels
