// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace etalage::detail {

// These hashes are part of the file format (id maps are stored with their slots): they never change within a format
// version, and read bytes in little-endian order.

/// Finaliser of MurmurHash3 (Appleby, public domain): every input bit reaches every output bit.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

constexpr std::uint64_t hash_key(std::int64_t key) noexcept {
  return mix(static_cast<std::uint64_t>(key) + 0x9e3779b97f4a7c15ULL);
}

/// Eight bytes at a time by a 64 x 64 -> 128 bit multiply and fold; shop keys are short, so set-up cost is what counts.
inline std::uint64_t hash_key(std::string_view key) noexcept {
  constexpr std::uint64_t k1 = 0x9e3779b97f4a7c15ULL;
  constexpr std::uint64_t k2 = 0xd6e8feb86659fd93ULL;
  const auto fold = [](std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using u128 = unsigned __int128;
    const u128 p = static_cast<u128>(a) * b;
    return static_cast<std::uint64_t>(p) ^ static_cast<std::uint64_t>(p >> 64);
  };
  const auto load = [](const char* p, std::size_t n) noexcept {
    std::uint64_t v = 0;
    std::memcpy(&v, p, n);
    return v;
  };
  const char* p = key.data();
  std::size_t n = key.size();
  std::uint64_t h = k1 ^ (n * k2);
  while (n > 8) {
    h = fold(h ^ load(p, 8), k2);
    p += 8;
    n -= 8;
  }
  // The last n bytes, 0 to 8, in the low end: by loads of fixed size, which may reach back into what was read.
  std::uint64_t tail = 0;
  if (n == 8) {
    tail = load(p, 8);
  } else if (key.size() >= 8) {
    if (n != 0) tail = load(p + n - 8, 8) >> (64 - 8 * n);
  } else if (n >= 4) {
    tail = load(p, 4) | load(p + n - 4, 4) << (8 * (n - 4));
  } else {
    for (std::size_t i = 0; i < n; ++i) tail |= static_cast<std::uint64_t>(static_cast<unsigned char>(p[i])) << (8 * i);
  }
  return mix(fold(h ^ tail, k1) + n);
}

}  // namespace etalage::detail
