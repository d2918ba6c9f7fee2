// SPDX-License-Identifier: Apache-2.0
#include "etalage/export.hpp"

namespace etalage::abi {
#ifdef _GLIBCXX_DEBUG
const char library_has_GLIBCXX_DEBUG = 1;
#else
const char library_has_no_GLIBCXX_DEBUG = 1;
#endif
}  // namespace etalage::abi
