// SPDX-License-Identifier: Apache-2.0
// Float vectors of the level that a kernel file is compiled for: Highway's, and for plain x86-64, which Highway 1.0 does
// not have as a target, the few operations of the same names over SSE2. Included by kernel files only.
#pragma once

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <cstddef>

#if HWY_TARGET == HWY_SCALAR && defined(__SSE2__)
#include <emmintrin.h>
#endif

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR && defined(__SSE2__)
namespace hn {
struct D {};
using V = __m128;
constexpr std::size_t kLanes = 4;
HWY_INLINE V Zero(D) { return _mm_setzero_ps(); }
HWY_INLINE V Set(D, float v) { return _mm_set1_ps(v); }
HWY_INLINE V Load(D, const float* p) { return _mm_load_ps(p); }
HWY_INLINE V LoadU(D, const float* p) { return _mm_loadu_ps(p); }
HWY_INLINE V LoadDup128(D, const float* p) { return _mm_loadu_ps(p); }
HWY_INLINE void Store(V v, D, float* p) { _mm_store_ps(p, v); }
HWY_INLINE void StoreU(V v, D, float* p) { _mm_storeu_ps(p, v); }
HWY_INLINE V Add(V a, V b) { return _mm_add_ps(a, b); }
HWY_INLINE V Sub(V a, V b) { return _mm_sub_ps(a, b); }
HWY_INLINE V Mul(V a, V b) { return _mm_mul_ps(a, b); }
HWY_INLINE V Div(V a, V b) { return _mm_div_ps(a, b); }
HWY_INLINE V Max(V a, V b) { return _mm_max_ps(a, b); }
HWY_INLINE V Sqrt(V a) { return _mm_sqrt_ps(a); }
HWY_INLINE V MulAdd(V a, V b, V c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
HWY_INLINE V NegMulAdd(V a, V b, V c) { return _mm_sub_ps(c, _mm_mul_ps(a, b)); }
HWY_INLINE float GetLane(V v) { return _mm_cvtss_f32(v); }
template <int kLane>
HWY_INLINE V Broadcast(V v) {
  return _mm_shuffle_ps(v, v, _MM_SHUFFLE(kLane, kLane, kLane, kLane));
}
HWY_INLINE V SumOfLanes(D, V v) {
  const V pairs = _mm_add_ps(v, _mm_movehl_ps(v, v));
  return Broadcast<0>(_mm_add_ss(pairs, _mm_shuffle_ps(pairs, pairs, 1)));
}
HWY_INLINE V sum_of_four(V a0, V a1, V a2, V a3) {
  const V t0 = _mm_add_ps(_mm_unpacklo_ps(a0, a1), _mm_unpackhi_ps(a0, a1));
  const V t1 = _mm_add_ps(_mm_unpacklo_ps(a2, a3), _mm_unpackhi_ps(a2, a3));
  return _mm_add_ps(_mm_movelh_ps(t0, t1), _mm_movehl_ps(t1, t0));
}
}  // namespace hn
using D = hn::D;
using V = hn::V;
constexpr D d;
constexpr std::size_t kLanes = hn::kLanes;
using hn::sum_of_four;
#else
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d;
constexpr std::size_t kLanes = hn::MaxLanes(D());
static_assert(kLanes >= 4);

/// Sums of four vectors, one in each lane of every 128-bit block.
HWY_INLINE V sum_of_four(V a0, V a1, V a2, V a3) {
  const hn::Repartition<double, D> dd;
  const V t0 = hn::Add(hn::InterleaveLower(d, a0, a1), hn::InterleaveUpper(d, a0, a1));
  const V t1 = hn::Add(hn::InterleaveLower(d, a2, a3), hn::InterleaveUpper(d, a2, a3));
  const auto p0 = hn::BitCast(dd, t0);
  const auto p1 = hn::BitCast(dd, t1);
  V s = hn::Add(hn::BitCast(d, hn::InterleaveLower(dd, p0, p1)), hn::BitCast(d, hn::InterleaveUpper(dd, p0, p1)));
  if constexpr (kLanes >= 8) s = hn::Add(s, hn::SwapAdjacentBlocks(s));
  if constexpr (kLanes >= 16) s = hn::Add(s, hn::ReverseBlocks(d, s));
  return s;
}
#endif

}  // namespace
}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
