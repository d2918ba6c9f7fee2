// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "detail/huge_pages.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/core/array.hpp"

namespace etalage::detail {

/// Writes a zero to each large page, so that threads which then write all over the memory do not ask the system for the
/// same page at once, which clears it for each.
inline void touch_pages(void* memory, std::size_t bytes, int num_threads) {
  constexpr std::size_t kPage = std::size_t{1} << 21;
  parallel_for(num_chunks(bytes, kPage), 1, num_threads,
               [&](std::size_t page, std::size_t, int) { static_cast<volatile char*>(memory)[page * kPage] = 0; });
}

// Smaller memory often comes from what was freed before, and is there already.
inline constexpr std::size_t kWorthTouching = std::size_t{32} << 20;

/// Uninitialized memory in large pages where there are any: the first touch of small ones costs more than filling them.
template <class T>
Array<T> large_array(std::size_t n, int num_threads) {
  Array<T> a(n, uninitialized);
  if (n == 0) return a;
  prefer_huge_pages(a.mutable_data(), n * sizeof(T));
  if (n * sizeof(T) >= kWorthTouching) touch_pages(a.mutable_data(), n * sizeof(T), num_threads);
  return a;
}

template <class T>
Array<T> large_copy(std::span<const T> from, int num_threads) {
  Array<T> a = large_array<T>(from.size(), num_threads);
  T* to = a.mutable_data();
  parallel_for(from.size(), 262144, num_threads,
               [&](std::size_t b, std::size_t e, int) { std::copy(from.begin() + static_cast<std::ptrdiff_t>(b), from.begin() + static_cast<std::ptrdiff_t>(e), to + b); });
  return a;
}

}  // namespace etalage::detail
