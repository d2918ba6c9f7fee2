// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace etalage::detail {

/// Linear probing in `size` slots, a power of two of which at least one is free: the first from the hash on for which
/// stop(slot) holds, where the key lies or would be put.
template <class Stop>
[[nodiscard]] constexpr std::size_t probe(std::uint64_t hash, std::size_t size, const Stop& stop) noexcept {
  std::size_t at = static_cast<std::size_t>(hash) & (size - 1);
  while (!stop(at)) at = (at + 1) & (size - 1);
  return at;
}

}  // namespace etalage::detail
