// SPDX-License-Identifier: Apache-2.0
// Compiled once for each SIMD level: nothing with inline code of its own may be included here.
#include "kernels/row_scores.hpp"

#if defined(__SSE2__)
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own header leaves operands of conversions undefined on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#endif

namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kLanes = 16;
#elif defined(__AVX__)
constexpr std::size_t kLanes = 8;
#else
constexpr std::size_t kLanes = 4;
#endif
// Vectors of the compiler's own: the same source for SSE2, AVX2, AVX-512 and NEON.
typedef float Vec __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

#define ETALAGE_INLINE static inline __attribute__((always_inline))

struct Dot {
  ETALAGE_INLINE void add(Vec& sum, const Vec& q, const Vec& r) noexcept { sum += q * r; }
  ETALAGE_INLINE void add(float& sum, float q, float r) noexcept { sum += q * r; }
  ETALAGE_INLINE float finish(float sum) noexcept { return sum; }
};

struct NegativeL2 {
  ETALAGE_INLINE void add(Vec& sum, const Vec& q, const Vec& r) noexcept {
    const Vec d = q - r;
    sum += d * d;
  }
  ETALAGE_INLINE void add(float& sum, float q, float r) noexcept {
    const float d = q - r;
    sum += d * d;
  }
  ETALAGE_INLINE float finish(float sum) noexcept { return -sum; }
};

ETALAGE_INLINE const Vec& load(const float* p) noexcept { return *reinterpret_cast<const Vec*>(p); }

ETALAGE_INLINE void store(float* p, const Vec& v) noexcept { *reinterpret_cast<Vec*>(p) = v; }

// Halves onto halves, in the same order on every level, without a detour through memory.
ETALAGE_INLINE float total(const Vec& v) noexcept {
#if defined(__SSE2__)
#if defined(__AVX512F__)
  const __m256 by_eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#elif defined(__AVX__)
  const __m256 by_eight = v;
#endif
#if defined(__AVX__)
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(by_eight), _mm256_extractf128_ps(by_eight, 1));
#else
  const __m128 four = v;
#endif
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
#else
  float lanes[kLanes];
  __builtin_memcpy(lanes, &v, sizeof lanes);
  for (std::size_t half = kLanes / 2; half > 0; half /= 2)
    for (std::size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  return lanes[0];
#endif
}

template <class Op>
ETALAGE_INLINE float one(const float* q, const float* r, std::size_t dim) noexcept {
  Vec a = {};
  Vec b = {};
  Vec c = {};
  Vec e = {};
  std::size_t f = 0;
  for (; f + 4 * kLanes <= dim; f += 4 * kLanes) {
    Op::add(a, load(q + f), load(r + f));
    Op::add(b, load(q + f + kLanes), load(r + f + kLanes));
    Op::add(c, load(q + f + 2 * kLanes), load(r + f + 2 * kLanes));
    Op::add(e, load(q + f + 3 * kLanes), load(r + f + 3 * kLanes));
  }
  for (; f + kLanes <= dim; f += kLanes) Op::add(a, load(q + f), load(r + f));
  a = (a + b) + (c + e);
  float sum = 0;
  for (; f < dim; ++f) Op::add(sum, q[f], r[f]);
  return Op::finish(sum + total(a));
}

template <class Op>
ETALAGE_INLINE void all(const float* query, const float* data, std::size_t dim, const std::int32_t* rows, std::size_t first,
                        std::size_t n, float* out) noexcept {
  if (rows == nullptr) {
    for (std::size_t i = 0; i < n; ++i) out[i] = one<Op>(query, data + (first + i) * dim, dim);
    return;
  }
  // Chosen rows are cache misses: the one after next is asked for ahead of time.
  constexpr std::size_t kAhead = 3;
  constexpr std::size_t kLine = 64 / sizeof(float);
  for (std::size_t i = 0; i < n; ++i) {
    if (i + kAhead < n) {
      const float* next = data + static_cast<std::size_t>(rows[i + kAhead]) * dim;
      for (std::size_t f = 0; f < dim; f += kLine) __builtin_prefetch(next + f);
    }
    out[i] = one<Op>(query, data + static_cast<std::size_t>(rows[i]) * dim, dim);
  }
}

void dot(const float* query, const float* data, std::size_t dim, const std::int32_t* rows, std::size_t first, std::size_t n,
         float* out) noexcept {
  all<Dot>(query, data, dim, rows, first, n, out);
}

void negative_l2(const float* query, const float* data, std::size_t dim, const std::int32_t* rows, std::size_t first,
                 std::size_t n, float* out) noexcept {
  all<NegativeL2>(query, data, dim, rows, first, n, out);
}

void dot_and_square(const float* query, const float* data, std::size_t stride, std::size_t dim, std::size_t n, float* dots,
                    float* squares) noexcept {
  for (std::size_t i = 0; i < n; ++i, data += stride) {
    Vec a = {};
    Vec b = {};
    Vec c = {};
    Vec e = {};
    std::size_t f = 0;
    for (; f + 2 * kLanes <= dim; f += 2 * kLanes) {
      const Vec r = load(data + f);
      const Vec s = load(data + f + kLanes);
      a += load(query + f) * r;
      c += r * r;
      b += load(query + f + kLanes) * s;
      e += s * s;
    }
    if (f + kLanes <= dim) {
      const Vec r = load(data + f);
      a += load(query + f) * r;
      c += r * r;
      f += kLanes;
    }
    float dot = total(a + b);
    float square = total(c + e);
    for (; f < dim; ++f) {
      dot += query[f] * data[f];
      square += data[f] * data[f];
    }
    dots[i] = dot;
    squares[i] = square;
  }
}

// kQueries x kVectors sums in registers. A sum is one chain over the dimensions, whatever tile it is in.
template <std::size_t kQueries, std::size_t kVectors>
ETALAGE_INLINE void column_tile(const float* queries, const float* column, std::size_t dim, std::size_t n, float* out) noexcept {
  Vec sums[kQueries][kVectors] = {};
  for (std::size_t f = 0; f < dim; ++f, column += n) {
    Vec c[kVectors];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) c[v] = load(column + v * kLanes);
#pragma GCC unroll 6
    for (std::size_t r = 0; r < kQueries; ++r) {
      const float q = queries[r * dim + f];
#pragma GCC unroll 4
      for (std::size_t v = 0; v < kVectors; ++v) sums[r][v] += q * c[v];
    }
  }
#pragma GCC unroll 6
  for (std::size_t r = 0; r < kQueries; ++r)
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kVectors; ++v) store(out + r * n + v * kLanes, sums[r][v]);
}

template <std::size_t kQueries>
ETALAGE_INLINE void column_row(const float* queries, const float* data, std::size_t dim, std::size_t n, float* out) noexcept {
  std::size_t j = 0;
  for (; j + 4 * kLanes <= n; j += 4 * kLanes) column_tile<kQueries, 4>(queries, data + j, dim, n, out + j);
  for (; j + kLanes <= n; j += kLanes) column_tile<kQueries, 1>(queries, data + j, dim, n, out + j);
  for (; j < n; ++j)
    for (std::size_t r = 0; r < kQueries; ++r) {
      float sum = 0;
      for (std::size_t f = 0; f < dim; ++f) sum += queries[r * dim + f] * data[f * n + j];
      out[r * n + j] = sum;
    }
}

void dot_columns(const float* query, const float* data, std::size_t dim, std::size_t n, float* out) noexcept {
  column_row<1>(query, data, dim, n, out);
}

void dot_columns_of(const float* queries, std::size_t m, const float* data, std::size_t dim, std::size_t n,
                    float* out) noexcept {
  // 24 sums of 32 registers, or 8 of 16.
  constexpr std::size_t kQueries = kLanes == 16 ? 6 : 2;
  std::size_t i = 0;
  for (; i + kQueries <= m; i += kQueries) column_row<kQueries>(queries + i * dim, data, dim, n, out + i * n);
  for (; i < m; ++i) column_row<1>(queries + i * dim, data, dim, n, out + i * n);
}

}  // namespace

extern const RowScores row_scores_table;
const RowScores row_scores_table{&dot, &negative_l2, &dot_and_square, &dot_columns, &dot_columns_of};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
