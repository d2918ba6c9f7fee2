// SPDX-License-Identifier: Apache-2.0
// Compiled once for each SIMD level, with vectors of the compiler's own.
#include "kernels/split_rows.hpp"

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

#define ETALAGE_INLINE inline __attribute__((always_inline))

#if defined(__AVX512F__)
constexpr std::size_t kLanes = 16;
#elif defined(__AVX2__)
constexpr std::size_t kLanes = 8;
#else
constexpr std::size_t kLanes = 4;
#endif
typedef std::int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef float Floats __attribute__((vector_size(kLanes * 4)));

// Unsigned bytes and pairs of bytes, widened. By hand: GCC 12 converts vectors of them one by one.
#if defined(__AVX512F__)
ETALAGE_INLINE Ints bytes_at(const std::uint8_t* p) { return (Ints)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
ETALAGE_INLINE Ints pairs_at(const std::uint8_t* p) { return (Ints)_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
#elif defined(__AVX2__)
ETALAGE_INLINE Ints bytes_at(const std::uint8_t* p) { return (Ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))); }
ETALAGE_INLINE Ints pairs_at(const std::uint8_t* p) { return (Ints)_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
#elif defined(__SSE2__)
ETALAGE_INLINE Ints bytes_at(const std::uint8_t* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  const __m128i pairs = _mm_unpacklo_epi8(_mm_cvtsi32_si128(four), _mm_setzero_si128());
  return (Ints)_mm_unpacklo_epi16(pairs, _mm_setzero_si128());
}
ETALAGE_INLINE Ints pairs_at(const std::uint8_t* p) {
  return (Ints)_mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)), _mm_setzero_si128());
}
#else
ETALAGE_INLINE Ints bytes_at(const std::uint8_t* p) { return Ints{p[0], p[1], p[2], p[3]}; }
ETALAGE_INLINE Ints pairs_at(const std::uint8_t* p) {
  std::uint16_t w[kLanes];
  __builtin_memcpy(w, p, sizeof w);
  return Ints{w[0], w[1], w[2], w[3]};
}
#endif

/// What has no code 0.
ETALAGE_INLINE Ints join_lanes(const std::uint8_t* codes, float scale, const std::uint8_t* low, const std::uint8_t* high) {
  const Ints q = bytes_at(codes) - 128;
  const Ints a = q < 0 ? -q : q;
  const Ints rest = pairs_at(low) | bytes_at(high) << 16;
  const Floats below = scale * (__builtin_convertvector(a, Floats) - SplitShape::kBelow);
  constexpr std::int32_t kOffset = (1 << SplitShape::kSpareShift) - 1;
#if defined(__AVX512F__)
  const __mmask16 spare = _mm512_cmpgt_epi32_mask((__m512i)a, _mm512_set1_epi32(SplitShape::kSpareFrom - 1));
  const Ints offset = (Ints)_mm512_mask_and_epi32((__m512i)rest, spare, (__m512i)rest, _mm512_set1_epi32(kOffset));
#else
  const Ints offset = rest & (a >= SplitShape::kSpareFrom ? Ints{} + kOffset : Ints{} - 1);
#endif
  return ((Ints)below + offset) | (q & static_cast<std::int32_t>(0x80000000));
}

constexpr std::size_t kTested = 64;  // bytes at a time
constexpr std::uint8_t kMarked = SplitShape::kOddSpare << (SplitShape::kSpareShift - 16);  // of the high bytes, at least

/// Bits of the first n of 64 bytes; of those behind, where they may be read, nothing is said.
ETALAGE_INLINE std::uint64_t first_bits(std::size_t n) { return n < kTested ? (std::uint64_t{1} << n) - 1 : ~std::uint64_t{0}; }

#if defined(__AVX512BW__)
ETALAGE_INLINE __m512i some_bytes(const std::uint8_t* p, std::size_t n) { return _mm512_maskz_loadu_epi8(first_bits(n), p); }
/// Bits of n dimensions, at most 64, whose code is 128; of those that have spare bits; of high bytes that may be marked.
ETALAGE_INLINE std::uint64_t zeros_at(const std::uint8_t* codes, std::size_t n) {
  return _mm512_cmpeq_epi8_mask(some_bytes(codes, n), _mm512_set1_epi8(-128));
}
ETALAGE_INLINE std::uint64_t spares_at(const std::uint8_t* codes, std::size_t n) {
  // The distance from 128, which 0 has too: as unsigned bytes.
  const __m512i far = _mm512_abs_epi8(_mm512_sub_epi8(some_bytes(codes, n), _mm512_set1_epi8(-128)));
  return _mm512_cmpge_epu8_mask(far, _mm512_set1_epi8(SplitShape::kSpareFrom)) & first_bits(n);
}
ETALAGE_INLINE std::uint64_t marks_at(const std::uint8_t* high, std::size_t n) {
  return _mm512_cmpge_epu8_mask(some_bytes(high, n), _mm512_set1_epi8(static_cast<char>(kMarked)));
}
#else
/// Of n bytes, at most 64, those of which test(sixteen bytes) says so.
template <class Test>
ETALAGE_INLINE std::uint64_t bits_of(const std::uint8_t* p, std::size_t n, const Test& test) {
  std::uint64_t bits = 0;
  std::size_t i = 0;
  for (; i + 16 <= n; i += 16) bits |= static_cast<std::uint64_t>(test(p + i)) << i;
  if (i < n) {
    std::uint8_t last[16] = {};
    __builtin_memcpy(last, p + i, n - i);
    bits |= static_cast<std::uint64_t>(test(last)) << i;
    bits &= first_bits(n);
  }
  return bits;
}
#if defined(__SSE2__)
ETALAGE_INLINE __m128i sixteen(const std::uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
ETALAGE_INLINE __m128i splat(std::uint8_t x) { return _mm_set1_epi8(static_cast<char>(x)); }
ETALAGE_INLINE std::uint32_t bits_where(__m128i all) { return static_cast<std::uint32_t>(_mm_movemask_epi8(all)); }
ETALAGE_INLINE std::uint64_t zeros_at(const std::uint8_t* codes, std::size_t n) {
  return bits_of(codes, n, [](const std::uint8_t* p) { return bits_where(_mm_cmpeq_epi8(sixteen(p), splat(128))); });
}
ETALAGE_INLINE std::uint64_t spares_at(const std::uint8_t* codes, std::size_t n) {
  return bits_of(codes, n, [](const std::uint8_t* p) {
    const __m128i c = sixteen(p);
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(c, splat(128 - SplitShape::kSpareFrom)), c);
    return bits_where(_mm_or_si128(low, _mm_cmpeq_epi8(_mm_max_epu8(c, splat(128 + SplitShape::kSpareFrom)), c)));
  });
}
ETALAGE_INLINE std::uint64_t marks_at(const std::uint8_t* high, std::size_t n) {
  return bits_of(high, n, [](const std::uint8_t* p) { return bits_where(_mm_cmpeq_epi8(_mm_max_epu8(sixteen(p), splat(kMarked)), sixteen(p))); });
}
#else
template <class Says>
ETALAGE_INLINE std::uint64_t bits_one_by_one(const std::uint8_t* p, std::size_t n, const Says& says) {
  return bits_of(p, n, [&](const std::uint8_t* sixteen) {
    std::uint32_t bits = 0;
    for (std::size_t l = 0; l < 16; ++l) bits |= (says(sixteen[l]) ? 1u : 0u) << l;
    return bits;
  });
}
ETALAGE_INLINE std::uint64_t zeros_at(const std::uint8_t* codes, std::size_t n) {
  return bits_one_by_one(codes, n, [](std::uint8_t c) { return c == 128; });
}
ETALAGE_INLINE std::uint64_t spares_at(const std::uint8_t* codes, std::size_t n) {
  return bits_one_by_one(codes, n, [](std::uint8_t c) { return c <= 128 - SplitShape::kSpareFrom || c >= 128 + SplitShape::kSpareFrom; });
}
ETALAGE_INLINE std::uint64_t marks_at(const std::uint8_t* high, std::size_t n) {
  return bits_one_by_one(high, n, [](std::uint8_t h) { return h >= kMarked; });
}
#endif
#endif

ETALAGE_INLINE std::size_t at_most(std::size_t n) { return n < kTested ? n : kTested; }

/// The dimensions with spare bits, in order.
struct Spares {
  const std::uint8_t* codes;
  std::size_t dim;
  std::size_t block = 0;
  std::uint64_t left = spares_at(codes, at_most(dim));
  /// False when there is none any more.
  ETALAGE_INLINE bool next(std::size_t& f) {
    while (left == 0 && (block += kTested) < dim) left = spares_at(codes + block, at_most(dim - block));
    if (left == 0) return false;
    f = block + static_cast<std::size_t>(__builtin_ctzll(left));
    left &= left - 1;
    return true;
  }
};

/// What the codes leave out, a dimension at a time.
struct Rest {
  const std::uint8_t* low;
  const std::uint8_t* high;
  ETALAGE_INLINE std::uint32_t operator[](std::size_t f) const {
    std::uint16_t bits;
    __builtin_memcpy(&bits, low + 2 * f, sizeof bits);
    return bits | static_cast<std::uint32_t>(high[f]) << 16;
  }
};

/// The values of code 0, `zeros` of dimensions [block, block + 64).
ETALAGE_INLINE void join_zeros(std::uint64_t zeros, std::size_t block, std::uint32_t exponent, const Rest& all, Spares& spares, float* row) {
  for (; zeros != 0; zeros &= zeros - 1) {
    const std::size_t f = block + static_cast<std::size_t>(__builtin_ctzll(zeros));
    std::uint32_t mantissa = all[f] & 0x7FFFFFu;
    std::uint32_t bits = all[f] >> 23 << 31;
    if (std::size_t spare = 0; mantissa != 0 && spares.next(spare)) {
      std::uint32_t below = all[spare] >> SplitShape::kSpareShift;
      if (below >= SplitShape::kPowers) {
        below -= SplitShape::kPowers;
        mantissa = 0;
      }
      bits |= (exponent - below) << 23 | mantissa;
    }
    row[f] = __builtin_bit_cast(float, bits);
  }
}

bool join(const std::uint8_t* codes, float scale, const std::uint8_t* rest, std::size_t dim, float* row) noexcept {
  const Rest all{rest, rest + 2 * dim};
  std::size_t f = 0;
  for (; f + kLanes <= dim; f += kLanes) {
    const Ints bits = join_lanes(codes + f, scale, all.low + 2 * f, all.high + f);
    __builtin_memcpy(row + f, &bits, sizeof bits);
  }
  if (f < dim) {
    std::uint8_t low[2 * kLanes] = {};
    std::uint8_t high[kLanes] = {};
    __builtin_memcpy(low, all.low + 2 * f, 2 * (dim - f));
    __builtin_memcpy(high, all.high + f, dim - f);
    const Ints bits = join_lanes(codes + f, scale, low, high);
    __builtin_memcpy(row + f, &bits, (dim - f) * sizeof(float));
  }

  // Most rows have a value of code 0 or none, and hardly any may be marked: both are asked of many dimensions at a time.
  std::uint64_t marked = 0;
  for (std::size_t block = 0; block < dim; block += kTested) marked |= marks_at(all.high + block, at_most(dim - block));
  if (std::size_t first = 0; marked != 0 && Spares{codes, dim}.next(first) && all.high[first] >= kMarked) return false;
  Spares spares{codes, dim};
  const std::uint32_t exponent = __builtin_bit_cast(std::uint32_t, scale * SplitShape::kZeroTop) >> 23;
  for (std::size_t block = 0; block < dim; block += kTested) join_zeros(zeros_at(codes + block, at_most(dim - block)), block, exponent, all, spares, row);
  return true;
}

}  // namespace

extern const SplitRows split_rows_table;
const SplitRows split_rows_table{&join};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
