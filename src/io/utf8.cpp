// SPDX-License-Identifier: Apache-2.0
#include "io/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace etalage::io {
namespace {

bool is_ascii(std::string_view s) noexcept {
  const char* p = s.data();
  std::size_t n = s.size();
  std::uint64_t all = 0;
  for (; n >= 8; p += 8, n -= 8) {
    std::uint64_t v = 0;
    std::memcpy(&v, p, 8);
    all |= v;
  }
  for (; n != 0; ++p, --n) all |= static_cast<unsigned char>(*p);
  return (all & 0x8080808080808080ULL) == 0;
}

}  // namespace

bool is_utf8(std::string_view s) noexcept {
  if (is_ascii(s)) return true;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  for (std::size_t i = 0; i < s.size();) {
    const unsigned c = at(i);
    std::size_t more = 0;
    std::uint32_t low = 0;
    std::uint32_t code = 0;
    if (c < 0x80) {
      ++i;
      continue;
    }
    if (c >= 0xc2 && c <= 0xdf) more = 1, low = 0x80, code = c & 0x1f;
    else if (c >= 0xe0 && c <= 0xef) more = 2, low = 0x800, code = c & 0x0f;
    else if (c >= 0xf0 && c <= 0xf4) more = 3, low = 0x10000, code = c & 0x07;
    else return false;
    if (i + more >= s.size()) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if ((at(i + k) & 0xc0) != 0x80) return false;
      code = code << 6 | (at(i + k) & 0x3f);
    }
    if (code < low || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace etalage::io
