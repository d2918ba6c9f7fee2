// SPDX-License-Identifier: Apache-2.0
// The vector operations of the scan kernels: Highway's, and for plain x86-64, which Highway 1.0 does not have as a
// target, the same names over SSE2. Included by kernel files only.
#pragma once

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
#if !defined(__SSE2__)
#error "no vectors for this architecture"
#endif
#include <emmintrin.h>
#define ETALAGE_PLAIN_SSE2 1
#else
#define ETALAGE_PLAIN_SSE2 0
#endif

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

#if ETALAGE_PLAIN_SSE2

using V = __m128;
constexpr std::size_t kLanes = 4;
HWY_INLINE V zero() { return _mm_setzero_ps(); }
HWY_INLINE V set(float v) { return _mm_set1_ps(v); }
HWY_INLINE V load(const float* p) { return _mm_loadu_ps(p); }
HWY_INLINE void store(V v, float* p) { _mm_storeu_ps(p, v); }
HWY_INLINE V add(V a, V b) { return _mm_add_ps(a, b); }
HWY_INLINE V sub(V a, V b) { return _mm_sub_ps(a, b); }
HWY_INLINE V mul_add(V a, V b, V c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
using M = __m128;
HWY_INLINE M greater(V a, V b) { return _mm_cmpgt_ps(a, b); }
HWY_INLINE M either(M a, M b) { return _mm_or_ps(a, b); }
HWY_INLINE bool any(M m) { return _mm_movemask_ps(m) != 0; }
HWY_INLINE std::uint64_t bits(M m) { return static_cast<std::uint64_t>(_mm_movemask_ps(m)); }
HWY_INLINE void transpose_blocks(V& a, V& b, V& c, V& d) { _MM_TRANSPOSE4_PS(a, b, c, d); }
HWY_INLINE V load_blocks(const float* const* rows, std::size_t f) { return _mm_loadu_ps(rows[0] + f); }
HWY_INLINE float sum(V v) {
  const V pairs = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_add_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)));
}

#else

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
constexpr D kTag;
using V = hn::Vec<D>;
using M = hn::Mask<D>;
constexpr std::size_t kLanes = hn::MaxLanes(D());
HWY_INLINE V zero() { return hn::Zero(kTag); }
HWY_INLINE V set(float v) { return hn::Set(kTag, v); }
HWY_INLINE V load(const float* p) { return hn::LoadU(kTag, p); }
HWY_INLINE void store(V v, float* p) { hn::StoreU(v, kTag, p); }
HWY_INLINE V add(V a, V b) { return hn::Add(a, b); }
HWY_INLINE V sub(V a, V b) { return hn::Sub(a, b); }
HWY_INLINE V mul_add(V a, V b, V c) { return hn::MulAdd(a, b, c); }
HWY_INLINE M greater(V a, V b) { return hn::Gt(a, b); }
HWY_INLINE M either(M a, M b) { return hn::Or(a, b); }
HWY_INLINE bool any(M m) { return !hn::AllFalse(kTag, m); }
HWY_INLINE std::uint64_t bits(M m) {
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(kTag, m, bytes);
  std::uint64_t b = 0;
  __builtin_memcpy(&b, bytes, sizeof b);
  return b;
}
HWY_INLINE float sum(V v) { return hn::GetLane(hn::SumOfLanes(kTag, v)); }

/// Within each block of four lanes: the 4 x 4 transpose of four vectors.
HWY_INLINE void transpose_blocks(V& a, V& b, V& c, V& d) {
  const hn::Repartition<double, D> pairs;
  const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(kTag, a, b));
  const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(kTag, a, b));
  const auto cd_low = hn::BitCast(pairs, hn::InterleaveLower(kTag, c, d));
  const auto cd_high = hn::BitCast(pairs, hn::InterleaveUpper(kTag, c, d));
  a = hn::BitCast(kTag, hn::InterleaveLower(pairs, ab_low, cd_low));
  b = hn::BitCast(kTag, hn::InterleaveUpper(pairs, ab_low, cd_low));
  c = hn::BitCast(kTag, hn::InterleaveLower(pairs, ab_high, cd_high));
  d = hn::BitCast(kTag, hn::InterleaveUpper(pairs, ab_high, cd_high));
}

/// Block b of the result is rows[4 b][f .. f + 4).
HWY_INLINE V load_blocks(const float* const* rows, std::size_t f) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
  __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(rows[0] + f));
  v = _mm512_insertf32x4(v, _mm_loadu_ps(rows[4] + f), 1);
  v = _mm512_insertf32x4(v, _mm_loadu_ps(rows[8] + f), 2);
  return V{_mm512_insertf32x4(v, _mm_loadu_ps(rows[12] + f), 3)};
#elif HWY_TARGET == HWY_AVX2
  const __m256 v = _mm256_castps128_ps256(_mm_loadu_ps(rows[0] + f));
  return V{_mm256_insertf128_ps(v, _mm_loadu_ps(rows[4] + f), 1)};
#else
  static_assert(kLanes == 4);
  return hn::LoadU(kTag, rows[0] + f);
#endif
}

#endif

/// columns[j], lane i = rows[i][f + j], for j < 4.
HWY_INLINE void load_columns(const float* const* rows, std::size_t f, V* columns) {
  for (std::size_t j = 0; j < 4; ++j) columns[j] = load_blocks(rows + j, f);
  transpose_blocks(columns[0], columns[1], columns[2], columns[3]);
}

/// Lane i = rows[i][f]: for the last dim % 4 dimensions, where four cannot be read.
HWY_INLINE V load_column(const float* const* rows, std::size_t f) {
  float lanes[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) lanes[i] = rows[i][f];
  return load(lanes);
}

}  // namespace
}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
