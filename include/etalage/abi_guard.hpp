// SPDX-License-Identifier: Apache-2.0
// Included by every header, through export.hpp: a program whose containers are laid out otherwise than the library's does
// not link, instead of dying in its first call.
#pragma once
#include "etalage/export.hpp"
namespace etalage::abi {

// _GLIBCXX_DEBUG changes the size of std::vector, std::string and others: library and program must agree on it.
#ifdef _GLIBCXX_DEBUG
extern ETALAGE_EXPORT const char library_has_GLIBCXX_DEBUG;
#define ETALAGE_ABI_ ::etalage::abi::library_has_GLIBCXX_DEBUG
#else
extern ETALAGE_EXPORT const char library_has_no_GLIBCXX_DEBUG;
#define ETALAGE_ABI_ ::etalage::abi::library_has_no_GLIBCXX_DEBUG
#endif

namespace {
[[gnu::used]] const char* const agreed = &ETALAGE_ABI_;
}
#undef ETALAGE_ABI_

}  // namespace etalage::abi
