// SPDX-License-Identifier: Apache-2.0
// Highway 1.0 has no products of bytes: intrinsics of each instruction set.
#include "kernels/code_kernels.hpp"

#include "kernels/code_encode.hpp"

#if defined(__AVX2__)
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own header leaves operands of conversions undefined on purpose.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

#define ETALAGE_INLINE inline __attribute__((always_inline))

#if defined(__AVX512VNNI__)
// By hand: GCC 12 copies the sum of the intrinsic around each time, which halves the speed.
ETALAGE_INLINE void multiply_add_to(__m512i& sum, __m512i row, __m512i query) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(row), "v"(query));
}
ETALAGE_INLINE void multiply_add_to(__m256i& sum, __m256i row, __m256i query) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(row), "v"(query));
}
#endif

#if defined(__AVX2__) || defined(__SSE2__)

#if defined(__AVX2__)
using Sum = __m256i;
ETALAGE_INLINE Sum zero() { return _mm256_setzero_si256(); }
#if !defined(__AVX512VNNI__)
ETALAGE_INLINE void multiply_add_to(__m256i& sum, __m256i row, __m256i query) {
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(row, query), _mm256_set1_epi16(1)));
}
#endif
template <std::size_t kRows>
ETALAGE_INLINE void products(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t width, Sum* sums) {
  for (std::size_t r = 0; r < kRows; ++r) sums[r] = zero();
  std::size_t f = 0;
  for (; f + 32 <= width; f += 32) {
    const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + f));
    for (std::size_t r = 0; r < kRows; ++r)
      multiply_add_to(sums[r], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[r] + f)), q);
  }
  if (f < width) {
    const __m256i q = _mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query + f)));
    for (std::size_t r = 0; r < kRows; ++r)
      multiply_add_to(sums[r], _mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[r] + f))), q);
  }
}
ETALAGE_INLINE __m128i sum_of_four(const Sum* s) {
  const __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
  return _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
}
#else
using Sum = __m128i;
template <std::size_t kRows>
ETALAGE_INLINE void products(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t width, Sum* sums) {
  const __m128i none = _mm_setzero_si128();
  for (std::size_t r = 0; r < kRows; ++r) sums[r] = none;
  for (std::size_t f = 0; f < width; f += 16) {
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(query + f));
    const __m128i sign = _mm_cmpgt_epi8(none, q);
    const __m128i low = _mm_unpacklo_epi8(q, sign);
    const __m128i high = _mm_unpackhi_epi8(q, sign);
    for (std::size_t r = 0; r < kRows; ++r) {
      const __m128i row = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[r] + f));
      sums[r] = _mm_add_epi32(sums[r], _mm_add_epi32(_mm_madd_epi16(_mm_unpacklo_epi8(row, none), low),
                                                     _mm_madd_epi16(_mm_unpackhi_epi8(row, none), high)));
    }
  }
}
ETALAGE_INLINE __m128i sum_of_four(const Sum* s) {
  const __m128i a = _mm_add_epi32(_mm_unpacklo_epi32(s[0], s[1]), _mm_unpackhi_epi32(s[0], s[1]));
  const __m128i b = _mm_add_epi32(_mm_unpacklo_epi32(s[2], s[3]), _mm_unpackhi_epi32(s[2], s[3]));
  return _mm_add_epi32(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b));
}
#endif

// Of the first kRows of four rows; the same arithmetic for all, so that a score does not depend on the company.
template <std::size_t kRows>
ETALAGE_INLINE __m128 scores_of(const CodeTerms& terms, std::size_t width, const std::uint8_t* const* rows) {
  Sum sums[4] = {};
  products<kRows>(rows, terms.codes, width, sums);
  const __m128 dots = _mm_cvtepi32_ps(_mm_add_epi32(sum_of_four(sums), _mm_set1_epi32(terms.correction)));
  __m128 scale = _mm_loadu_ps(reinterpret_cast<const float*>(rows[0] + width));
  __m128 error = _mm_loadu_ps(reinterpret_cast<const float*>(rows[1] + width));
  __m128 norm = _mm_loadu_ps(reinterpret_cast<const float*>(rows[2] + width));
  __m128 norm2 = _mm_loadu_ps(reinterpret_cast<const float*>(rows[3] + width));
  _MM_TRANSPOSE4_PS(scale, error, norm, norm2);
  const __m128 bounds = _mm_add_ps(_mm_mul_ps(error, _mm_set1_ps(terms.per_error)), _mm_mul_ps(norm, _mm_set1_ps(terms.per_norm)));
  return _mm_add_ps(_mm_add_ps(_mm_mul_ps(dots, scale), bounds), _mm_mul_ps(norm2, _mm_set1_ps(terms.per_norm2)));
}

void scores(const CodeTerms& terms, const CodeShape& shape, const std::uint8_t* records, const std::int32_t* rows,
            std::size_t first, std::size_t n, float* out) {
  constexpr std::size_t kAhead = 8;
  for (std::size_t i = 0; i < n; i += 4) {
    const std::uint8_t* four[4];
    const std::size_t count = n - i < 4 ? n - i : 4;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::size_t at = i + (j < count ? j : 0);
      four[j] = records + (rows == nullptr ? first + at : static_cast<std::size_t>(rows[at])) * shape.stride;
    }
    if (rows != nullptr) {
      for (std::size_t j = i + kAhead; j < i + kAhead + 4 && j < n; ++j) {
        const std::uint8_t* next = records + static_cast<std::size_t>(rows[j]) * shape.stride;
        for (std::size_t f = 0; f < shape.stride; f += 64) __builtin_prefetch(next + f);
      }
    }
    const __m128 s = count == 1 ? scores_of<1>(terms, shape.width, four) : scores_of<4>(terms, shape.width, four);
    if (count == 4) {
      _mm_storeu_ps(out + i, s);
    } else {
      float part[4];
      _mm_storeu_ps(part, s);
      for (std::size_t j = 0; j < count; ++j) out[i + j] = part[j];
    }
  }
}

#else

void scores(const CodeTerms& terms, const CodeShape& shape, const std::uint8_t* records, const std::int32_t* rows,
            std::size_t first, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint8_t* record = records + (rows == nullptr ? first + i : static_cast<std::size_t>(rows[i])) * shape.stride;
    std::int32_t dot = terms.correction;
    for (std::size_t f = 0; f < shape.width; ++f) dot += static_cast<std::int32_t>(record[f]) * terms.codes[f];
    CodeTail tail;
    __builtin_memcpy(&tail, record + shape.width, sizeof tail);
    out[i] = static_cast<float>(dot) * tail.scale + (tail.error * terms.per_error + tail.norm * terms.per_norm) +
             tail.norm2 * terms.per_norm2;
  }
}

#endif

#if defined(__AVX512VNNI__)

constexpr int kQueryMax = 127;
constexpr std::size_t kVectors = 3;
constexpr std::size_t kGroup = 8;
constexpr std::size_t kPanel = 16 * kVectors;

// Upper bounds of the first kQueries of a group and the first 16 kV rows; lower ones lie 2 wide below.
template <std::size_t kQueries, std::size_t kV>
ETALAGE_INLINE void bound_tile(const CodePanel& panel, const CodeTerms* terms, __m512 (&upper)[kQueries][kV], __m512 (&wide)[kV]) {
  __m512i sums[kQueries][kV];
  const std::int8_t* queries[kQueries];
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kQueries; ++r) queries[r] = terms[r].codes;
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kQueries; ++r)
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kV; ++v) sums[r][v] = _mm512_set1_epi32(terms[r].correction);
  const std::uint8_t* rows = panel.codes;
  for (std::size_t f = 0; f < panel.width; f += 4, rows += 4 * kPanel) {
    __m512i b[kV];
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kV; ++v) b[v] = _mm512_load_si512(rows + 64 * v);
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kQueries; ++r) {
      std::int32_t four;
      __builtin_memcpy(&four, queries[r] + f, sizeof four);
      const __m512i a = _mm512_set1_epi32(four);
#pragma GCC unroll 3
      for (std::size_t v = 0; v < kV; ++v) multiply_add_to(sums[r][v], b[v], a);
    }
  }
  float per_error = 0;
  float per_norm = 0;
  for (std::size_t r = 0; r < kQueries; ++r) {
    per_error = terms[r].per_error > per_error ? terms[r].per_error : per_error;
    per_norm = terms[r].per_norm > per_norm ? terms[r].per_norm : per_norm;
  }
  __m512 scale[kV];
#pragma GCC unroll 3
  for (std::size_t v = 0; v < kV; ++v) {
    wide[v] = _mm512_fmadd_ps(_mm512_loadu_ps(panel.error + 16 * v), _mm512_set1_ps(per_error),
                              _mm512_mul_ps(_mm512_loadu_ps(panel.norm + 16 * v), _mm512_set1_ps(per_norm)));
    scale[v] = _mm512_loadu_ps(panel.scale + 16 * v);
  }
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kQueries; ++r)
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kV; ++v) {
      upper[r][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][v]), scale[v], wide[v]);
      if (panel.norm2 != nullptr)
        upper[r][v] = _mm512_fmadd_ps(_mm512_loadu_ps(panel.norm2 + 16 * v), _mm512_set1_ps(terms[r].per_norm2), upper[r][v]);
    }
}

template <std::size_t kQueries, std::size_t kV>
ETALAGE_INLINE void scan_tile(const CodePanel& panel, const CodeTerms* terms, const float* thresholds,
                              Bounded** found, std::size_t* counts) {
  __m512 upper[kQueries][kV];
  __m512 wide[kV];
  bound_tile<kQueries, kV>(panel, terms, upper, wide);
  const std::uint64_t valid = (std::uint64_t{1} << panel.valid) - 1;
#pragma GCC unroll 8
  for (std::size_t r = 0; r < kQueries; ++r) {
    const __m512 threshold = _mm512_set1_ps(thresholds[r]);
    std::uint64_t left = 0;
#pragma GCC unroll 3
    for (std::size_t v = 0; v < kV; ++v)
      left |= static_cast<std::uint64_t>(_mm512_cmp_ps_mask(upper[r][v], threshold, _CMP_GT_OQ)) << (16 * v);
    left &= valid;
    if (__builtin_expect(left == 0, 1)) continue;
    float uppers[16 * kV];
    float lowers[16 * kV];
    for (std::size_t v = 0; v < kV; ++v) {
      _mm512_storeu_ps(uppers + 16 * v, upper[r][v]);
      _mm512_storeu_ps(lowers + 16 * v, _mm512_fnmadd_ps(wide[v], _mm512_set1_ps(2), upper[r][v]));
    }
    Bounded* to = found[r] + counts[r];
    for (; left != 0; left &= left - 1) {
      const auto lane = static_cast<std::size_t>(__builtin_ctzll(left));
      *to++ = {uppers[lane], lowers[lane], __builtin_nanf(""), panel.indices[lane]};
    }
    counts[r] = static_cast<std::size_t>(to - found[r]);
  }
}

// Whole groups, and of the last one no more than is there: lists are wanted by few queries.
template <class Tile>
ETALAGE_INLINE void for_groups(std::size_t num_queries, const Tile& tile) {
  std::size_t q = 0;
  for (; q + kGroup <= num_queries; q += kGroup) tile.template operator()<kGroup>(q);
  switch (num_queries - q) {
    case 0: break;
    case 1: tile.template operator()<1>(q); break;
    case 2: tile.template operator()<2>(q); break;
    case 3: tile.template operator()<3>(q); break;
    case 4: tile.template operator()<4>(q); break;
    default: tile.template operator()<kGroup>(q); break;
  }
}

template <std::size_t kV>
ETALAGE_INLINE void scan_rows(const CodePanel& panel, const CodeBlock& block) {
  for_groups(block.num_queries, [&]<std::size_t kQueries>(std::size_t q) __attribute__((always_inline)) {
    scan_tile<kQueries, kV>(panel, block.terms + q, block.thresholds + q, block.found + q, block.counts + q);
  });
}

// Lists are short: their last panels are rarely full.
void scan_panel(const CodePanel& panel, const CodeBlock& block) {
  if (panel.valid <= 16) return scan_rows<1>(panel, block);
  if (panel.valid <= 32) return scan_rows<2>(panel, block);
  scan_rows<kVectors>(panel, block);
}

void score_panel(const CodePanel& panel, const CodeBlock& block, float* out, std::size_t stride) {
  for_groups(block.num_queries, [&]<std::size_t kQueries>(std::size_t q) __attribute__((always_inline)) {
    __m512 upper[kQueries][kVectors];
    __m512 wide[kVectors];
    bound_tile<kQueries, kVectors>(panel, block.terms + q, upper, wide);
    for (std::size_t r = 0; r < kQueries && q + r < block.num_queries; ++r)
      for (std::size_t v = 0; v < kVectors; ++v) _mm512_storeu_ps(out + (q + r) * stride + 16 * v, upper[r][v]);
  });
}

// Sixteen bytes of each of sixteen rows: out[j], lane i = the j-th four bytes of rows[i].
ETALAGE_INLINE void transpose_sixteen(const std::uint8_t* const* rows, std::size_t at, __m512i* out) {
  __m512i v[4];
#pragma GCC unroll 4
  for (std::size_t j = 0; j < 4; ++j) {
    const auto four = [&](std::size_t i) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[j + i] + at)); };
    v[j] = _mm512_inserti32x4(_mm512_castsi128_si512(four(0)), four(4), 1);
    v[j] = _mm512_inserti32x4(_mm512_inserti32x4(v[j], four(8), 2), four(12), 3);
  }
  const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]);
  const __m512i b = _mm512_unpackhi_epi32(v[0], v[1]);
  const __m512i c = _mm512_unpacklo_epi32(v[2], v[3]);
  const __m512i e = _mm512_unpackhi_epi32(v[2], v[3]);
  out[0] = _mm512_unpacklo_epi64(a, c);
  out[1] = _mm512_unpackhi_epi64(a, c);
  out[2] = _mm512_unpacklo_epi64(b, e);
  out[3] = _mm512_unpackhi_epi64(b, e);
}

void pack(const std::uint8_t* const* records, std::size_t n, std::size_t width, std::uint8_t* codes, float* tails) {
  for (std::size_t first = 0; first < n; first += 16) {
    const std::uint8_t* rows[16];
    for (std::size_t i = 0; i < 16; ++i) rows[i] = records[first + i < n ? first + i : first];
    __m512i four[4];
    std::uint8_t* to = codes + 4 * first;
    for (std::size_t f = 0; f < width; f += 16, to += 16 * kPanel) {
      transpose_sixteen(rows, f, four);
#pragma GCC unroll 4
      for (std::size_t j = 0; j < 4; ++j) _mm512_storeu_si512(to + j * 4 * kPanel, four[j]);
    }
    transpose_sixteen(rows, width, four);
    for (std::size_t j = 0; j < 4; ++j) _mm512_storeu_si512(tails + 64 * j + first, four[j]);
  }
}

#define ETALAGE_CODE_TABLE {kQueryMax, kPanel, kGroup, encode, scores, scan_panel, score_panel, pack}
#elif defined(__AVX2__)
#define ETALAGE_CODE_TABLE {63, 0, 1, encode, scores, nullptr}
#else
#define ETALAGE_CODE_TABLE {127, 0, 1, encode, scores, nullptr}
#endif

}  // namespace

#if defined(ETALAGE_CODE_VNNI)
extern const CodeTable code_table;
const CodeTable code_table = ETALAGE_CODE_TABLE;
#else
extern const CodeTable plain_code_table;
const CodeTable plain_code_table = ETALAGE_CODE_TABLE;
#endif

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
