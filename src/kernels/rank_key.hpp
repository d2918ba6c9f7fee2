// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace etalage::kernels {

// A score and an index as one integer that orders as results do: higher score first, ties by lower index. Keys are
// unique within a scan, so any selection algorithm gives the same answer. -0 and +0 are one score.

// Always inlined: this header is read by files that are compiled for one instruction set only.
#define ETALAGE_KEY_INLINE static inline __attribute__((always_inline))

ETALAGE_KEY_INLINE std::uint64_t rank_key(float score, std::uint32_t index) noexcept {
  const float s = score + 0.0f;
  std::uint32_t b = 0;
  __builtin_memcpy(&b, &s, sizeof b);
  b ^= (0u - (b >> 31)) | 0x80000000u;  // negative floats: all bits flipped; others: the sign bit
  return (static_cast<std::uint64_t>(b) << 32) | (0xFFFFFFFFu - index);
}

ETALAGE_KEY_INLINE float key_score(std::uint64_t key) noexcept {
  auto b = static_cast<std::uint32_t>(key >> 32);
  b ^= (b >> 31) != 0 ? 0x80000000u : 0xFFFFFFFFu;
  float s = 0;
  __builtin_memcpy(&s, &b, sizeof s);
  return s;
}

ETALAGE_KEY_INLINE std::uint32_t key_index(std::uint64_t key) noexcept {
  return 0xFFFFFFFFu - static_cast<std::uint32_t>(key);
}

#undef ETALAGE_KEY_INLINE

}  // namespace etalage::kernels
