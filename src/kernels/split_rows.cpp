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

constexpr std::int32_t kMarked = static_cast<std::int32_t>(SplitShape::kOddSpare << SplitShape::kSpareShift);

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

/// What has no code 0; `most` rises to the largest of what the codes leave out.
ETALAGE_INLINE Ints join_lanes(const std::uint8_t* codes, float scale, const std::uint8_t* low, const std::uint8_t* high, Ints& most) {
  const Ints q = bytes_at(codes) - 128;
  const Ints a = q < 0 ? -q : q;
  const Ints rest = pairs_at(low) | bytes_at(high) << 16;
  most = rest > most ? rest : most;
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

ETALAGE_INLINE bool any_marked(Ints most) {
#if defined(__AVX512F__)
  return _mm512_cmpgt_epi32_mask((__m512i)most, _mm512_set1_epi32(kMarked - 1)) != 0;
#elif defined(__AVX2__)
  return _mm256_movemask_epi8((__m256i)(most >= kMarked)) != 0;
#elif defined(__SSE2__)
  return _mm_movemask_epi8((__m128i)(most >= kMarked)) != 0;
#else
  return (most[0] >= kMarked) | (most[1] >= kMarked) | (most[2] >= kMarked) | (most[3] >= kMarked);
#endif
}

constexpr std::size_t kTested = 16;  // codes at a time

/// Bits of sixteen dimensions whose code is 128, and of those that have spare bits.
ETALAGE_INLINE std::uint32_t zeros_at(const std::uint8_t* codes) {
#if defined(__SSE2__)
  const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(c, _mm_set1_epi8(-128))));
#else
  std::uint32_t found = 0;
  for (std::size_t l = 0; l < kTested; ++l) found |= (codes[l] == 128 ? 1u : 0u) << l;
  return found;
#endif
}
ETALAGE_INLINE std::uint32_t spares_at(const std::uint8_t* codes) {
  constexpr std::uint8_t kLow = 128 - SplitShape::kSpareFrom;
  constexpr std::uint8_t kHigh = 128 + SplitShape::kSpareFrom;
#if defined(__SSE2__)
  const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(c, _mm_set1_epi8(static_cast<char>(kLow))), c);
  const __m128i high = _mm_cmpeq_epi8(_mm_max_epu8(c, _mm_set1_epi8(static_cast<char>(kHigh))), c);
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_or_si128(low, high)));
#else
  std::uint32_t found = 0;
  for (std::size_t l = 0; l < kTested; ++l) found |= (codes[l] <= kLow || codes[l] >= kHigh ? 1u : 0u) << l;
  return found;
#endif
}

/// The dimensions with spare bits, in order.
struct Spares {
  const std::uint8_t* codes;
  std::size_t width;  // of the codes, padded with 128
  std::size_t block = 0;
  std::uint32_t left = spares_at(codes);
  /// False when there is none any more.
  ETALAGE_INLINE bool next(std::size_t& f) {
    while (left == 0 && (block += kTested) < width) left = spares_at(codes + block);
    if (left == 0) return false;
    f = block + static_cast<std::size_t>(__builtin_ctz(left));
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

bool join(const std::uint8_t* codes, float scale, const std::uint8_t* rest, std::size_t dim, float* row) noexcept {
  const Rest all{rest, rest + 2 * dim};
  Ints most = {};
  std::size_t f = 0;
  for (; f + kLanes <= dim; f += kLanes) {
    const Ints bits = join_lanes(codes + f, scale, all.low + 2 * f, all.high + f, most);
    __builtin_memcpy(row + f, &bits, sizeof bits);
  }
  if (f < dim) {
    std::uint8_t low[2 * kLanes] = {};
    std::uint8_t high[kLanes] = {};
    __builtin_memcpy(low, all.low + 2 * f, 2 * (dim - f));
    __builtin_memcpy(high, all.high + f, dim - f);
    const Ints bits = join_lanes(codes + f, scale, low, high, most);
    __builtin_memcpy(row + f, &bits, (dim - f) * sizeof(float));
  }

  const std::size_t width = (dim + kTested - 1) / kTested * kTested;
  // Rarely reached by what has no spare bits either.
  if (std::size_t first = 0; any_marked(most) && Spares{codes, width}.next(first) && all[first] >= static_cast<std::uint32_t>(kMarked)) return false;
  Spares spares{codes, width};
  const std::uint32_t exponent = __builtin_bit_cast(std::uint32_t, scale * SplitShape::kZeroTop) >> 23;
  for (std::size_t block = 0; block < width; block += kTested) {
    std::uint32_t zeros = zeros_at(codes + block);
    if (dim - block < kTested) zeros &= (1u << (dim - block)) - 1;
    for (; zeros != 0; zeros &= zeros - 1) {
      f = block + static_cast<std::size_t>(__builtin_ctz(zeros));
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
  return true;
}

}  // namespace

extern const SplitRows split_rows_table;
const SplitRows split_rows_table{&join};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
