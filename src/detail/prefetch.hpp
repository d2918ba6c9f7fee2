// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace etalage::detail {

// GCC 12 takes a function that only asks ahead for one without effect, and leaves out calls of it that it has not inlined yet:
// functions of that kind end in this.
inline void keep_requests() noexcept { __asm__ volatile(""); }

/// Asks for every cache line that holds some of the bytes, the last one too where they begin within a line.
inline void prefetch(const void* memory, std::size_t bytes) noexcept {
  constexpr std::size_t kLine = 64;
  const auto* at = static_cast<const std::uint8_t*>(memory);
  const std::uint8_t* end = at + bytes;
  for (at -= reinterpret_cast<std::uintptr_t>(at) % kLine; at < end; at += kLine) __builtin_prefetch(at);
  keep_requests();
}

}  // namespace etalage::detail
