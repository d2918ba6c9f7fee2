// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace etalage::detail {

/// Asks for every cache line that holds some of the bytes, the last one too where they begin within a line.
inline void prefetch(const void* memory, std::size_t bytes) noexcept {
  constexpr std::size_t kLine = 64;
  const auto* at = static_cast<const std::uint8_t*>(memory);
  const std::uint8_t* end = at + bytes;
  for (at -= reinterpret_cast<std::uintptr_t>(at) % kLine; at < end; at += kLine) __builtin_prefetch(at);
  // GCC 12 takes a function that only asks ahead for one without effect, and leaves calls of it out that it has not inlined yet.
  __asm__ volatile("");
}

}  // namespace etalage::detail
