// SPDX-License-Identifier: Apache-2.0
#include "kernels/dense_kernels.hpp"
#include "kernels/float_vec.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

// 24 accumulators of the 32 registers of AVX-512, 12 of 16 elsewhere.
constexpr std::size_t kRows = kLanes == 16 ? 12 : 6;
constexpr std::size_t kCols = 2 * kLanes;

void subtract_product(const float* a, const float* b, std::size_t depth, float* c, std::size_t ldc) {
  // The tile of c is far apart in memory and read once: it is on its way while the product is made.
  V acc[kRows][2];
  for (std::size_t r = 0; r < kRows; ++r) {
    hwy::Prefetch(c + r * ldc);
    hwy::Prefetch(c + r * ldc + kCols - 1);
    acc[r][0] = hn::Zero(d);
    acc[r][1] = hn::Zero(d);
  }
  for (std::size_t k = 0; k < depth; ++k) {
    const V b0 = hn::Load(d, b + k * kCols);
    const V b1 = hn::Load(d, b + k * kCols + kLanes);
#pragma GCC unroll 12
    for (std::size_t r = 0; r < kRows; ++r) {
      const V x = hn::Set(d, a[k * kRows + r]);
      acc[r][0] = hn::MulAdd(x, b0, acc[r][0]);
      acc[r][1] = hn::MulAdd(x, b1, acc[r][1]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) {
    float* to = c + r * ldc;
    hn::StoreU(hn::Sub(hn::LoadU(d, to), acc[r][0]), d, to);
    hn::StoreU(hn::Sub(hn::LoadU(d, to + kLanes), acc[r][1]), d, to + kLanes);
  }
}

/// kVectors vectors of every row.
template <std::size_t kVectors>
void add_spans(const float* base, std::size_t ld, const std::size_t* index, const float* weights, std::size_t count, float* y) {
  V s[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) s[v] = hn::LoadU(d, y + v * kLanes);
  for (std::size_t k = 0; k < count; ++k) {
    const float* x = base + index[k] * ld;
    const V w = hn::Set(d, weights[k]);
    for (std::size_t v = 0; v < kVectors; ++v) s[v] = hn::MulAdd(w, hn::LoadU(d, x + v * kLanes), s[v]);
  }
  for (std::size_t v = 0; v < kVectors; ++v) hn::StoreU(s[v], d, y + v * kLanes);
}

void add_rows(const float* base, std::size_t ld, const std::size_t* index, const float* weights, std::size_t count,
              std::size_t n, float* y) {
  std::size_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) add_spans<4>(base + i, ld, index, weights, count, y + i);
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) add_spans<2>(base + i, ld, index, weights, count, y + i);
  for (; i < n; ++i)
    for (std::size_t k = 0; k < count; ++k) y[i] += weights[k] * base[index[k] * ld + i];
}

}  // namespace

const DenseTable dense_table{kRows, kCols, subtract_product, add_rows};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
