// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <random>
#include <span>
#include <string_view>
#include <vector>

#include "etalage/error.hpp"
#include "io/checksum.hpp"
#include "io/format.hpp"

namespace etalage::testing {

/// Makes every checksum fit the contents.
inline void fix_checksums(std::vector<char>& file) {
  io::FixedHeader h;
  std::memcpy(&h, file.data(), sizeof h);
  for (std::uint64_t i = 0; i < h.num_sections; ++i) {
    io::SectionEntry e;
    char* at = file.data() + sizeof h + i * sizeof e;
    std::memcpy(&e, at, sizeof e);
    const auto range = std::as_bytes(std::span(file)).subspan(e.offset, e.bytes);
    e.checksum = io::checksums(std::span(&range, 1), 1)[0];
    std::memcpy(at, &e, sizeof e);
  }
  h.checksum = 0;
  std::memcpy(file.data(), &h, sizeof h);
  h.checksum = io::hash_bytes(file.data(), h.header_bytes);
  std::memcpy(file.data(), &h, sizeof h);
}

/// Writes `value` over element i of the section of this name, and makes the checksums fit; false where there is none.
template <class T>
bool plant(std::vector<char>& file, std::string_view name, std::size_t i, T value) {
  io::FixedHeader h;
  std::memcpy(&h, file.data(), sizeof h);
  for (std::uint64_t s = 0; s < h.num_sections; ++s) {
    io::SectionEntry e;
    std::memcpy(&e, file.data() + sizeof h + s * sizeof e, sizeof e);
    const char* names = file.data() + sizeof h + h.num_sections * sizeof e;
    if (std::string_view(names + e.name_offset, e.name_bytes) != name || (i + 1) * sizeof value > e.bytes) continue;
    std::memcpy(file.data() + e.offset + i * sizeof value, &value, sizeof value);
    fix_checksums(file);
    return true;
  }
  return false;
}

/// Changes one or two bytes of the contents, makes the checksums fit, and hands the file over; `rounds` times.
inline void forge(const std::vector<char>& good, int rounds, unsigned seed, const std::function<void(std::span<const char>)>& read) {
  io::FixedHeader h;
  std::memcpy(&h, good.data(), sizeof h);
  std::mt19937 rng(seed);
  for (int round = 0; round < rounds; ++round) {
    std::vector<char> file = good;
    for (auto n = 1 + rng() % 2; n != 0; --n) {
      const std::size_t at = h.header_bytes + rng() % (file.size() - h.header_bytes);
      if (rng() % 2) file[at] = static_cast<char>(rng());
      else file[at] ^= static_cast<char>(1 << rng() % 8);
    }
    fix_checksums(file);
    read(file);
  }
}

/// Forged files are refused with a FormatError or what is loaded answers: load(bytes) loads and uses it.
template <class Load>
void expect_refused_or_answered(const std::vector<char>& good, int rounds, unsigned seed, const Load& load) {
  int refused = 0;
  int loaded = 0;
  forge(good, rounds, seed, [&](std::span<const char> bytes) {
    try {
      load(bytes);
      ++loaded;
    } catch (const FormatError&) {
      ++refused;
    }
  });
  EXPECT_GT(refused, 30);
  EXPECT_GT(loaded, 10);
}

}  // namespace etalage::testing
