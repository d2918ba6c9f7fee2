// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "detail/huge_pages.hpp"
#include "etalage/core/array.hpp"

namespace etalage::detail {

/// Uninitialized memory in large pages where there are any: the first touch of small ones costs more than filling them.
template <class T>
Array<T> large_array(std::size_t n) {
  Array<T> a(n, uninitialized);
  if (n != 0) prefer_huge_pages(a.mutable_data(), n * sizeof(T));
  return a;
}

}  // namespace etalage::detail
