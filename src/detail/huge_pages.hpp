// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace etalage::detail {

/// Asks the system for large pages under memory that is read in no order; does nothing where there are none.
void prefer_huge_pages(void* memory, std::size_t bytes) noexcept;

}  // namespace etalage::detail
