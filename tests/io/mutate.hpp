// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/checksum.hpp"
#include "io/format.hpp"

namespace etalage::testing {

/// Makes harm of a good file: one to three changes to contents, structure, section table or header, after which every
/// checksum fits again, so that nothing but the checks of the values themselves can notice. Equal seeds, equal files.
class Mutator {
 public:
  Mutator(std::span<const char> good, std::uint64_t seed) : file_(good.begin(), good.end()), random_(seed) {
    std::memcpy(&header_, file_.data(), sizeof header_);
  }

  std::vector<char> operator()() {
    for (auto n = 1 + below(3); n != 0; --n) {
      switch (below(12)) {
        case 0: byte(0, header_.header_bytes); break;
        case 1: table_word(); break;
        case 2: swap_sections(); break;
        case 3: structure_number(); break;
        case 4: structure_number(); break;
        case 5: byte(contents(), file_.size()); break;
        case 6: bit_run(); break;
        case 7: move_inside_section(); break;
        case 8: section_of_one_value(); break;
        default: element(); break;
      }
    }
    fix_checksums();
    return std::move(file_);
  }

 private:
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : random_() % n; }
  [[nodiscard]] std::uint64_t contents() const { return std::min<std::uint64_t>(header_.header_bytes, file_.size()); }

  [[nodiscard]] std::uint64_t entry_at(std::uint64_t i) const { return sizeof(io::FixedHeader) + i * sizeof(io::SectionEntry); }
  [[nodiscard]] io::SectionEntry entry(std::uint64_t i) const {
    io::SectionEntry e;
    std::memcpy(&e, file_.data() + entry_at(i), sizeof e);
    return e;
  }
  [[nodiscard]] bool inside(const io::SectionEntry& e) const {
    return e.bytes > 0 && e.offset <= file_.size() && e.bytes <= file_.size() - e.offset;
  }

  void byte(std::uint64_t begin, std::uint64_t end) {
    const std::uint64_t at = begin + below(end - begin);
    if (below(2) == 0) file_[at] = static_cast<char>(random_());
    else file_[at] = static_cast<char>(file_[at] ^ (1 << below(8)));
  }

  /// A run of up to 64 bits set, cleared or turned round.
  void bit_run() {
    const std::uint64_t bits = 8 * (file_.size() - contents());
    const std::uint64_t first = below(bits);
    const std::uint64_t last = std::min(bits, first + 1 + below(64));
    const auto how = below(3);
    for (std::uint64_t b = first; b < last; ++b) {
      char& c = file_[contents() + b / 8];
      const auto mask = static_cast<char>(1 << (b % 8));
      c = static_cast<char>(how == 0 ? c | mask : how == 1 ? c & ~mask : c ^ mask);
    }
  }

  std::uint64_t extreme() {
    static constexpr std::uint64_t kValues[] = {0, 1, 2, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000,
                                                0xffffffff, 0xfffffffe, 0xffffff00, 0x7fffffffffffffff, 0x8000000000000000,
                                                0xffffffffffffffff, 0xfffffffffffffffe, 0x7f800000, 0xff800000, 0x7fc00000,
                                                0x7f7fffff, 0x7ff0000000000000, 0x7fefffffffffffff, 0x3f800000};
    return below(4) == 0 ? random_() : below(3) == 0 ? below(64) : kValues[below(std::size(kValues))];
  }

  /// One element of an array becomes an extreme, a small number, or its neighbour's value.
  void element() {
    const io::SectionEntry e = entry(1 + below(std::uint64_t{header_.num_sections} - 1));
    const std::size_t size = io::element_size(e.type);
    if (!inside(e) || size == 0 || e.bytes < size) return;
    const std::uint64_t n = e.bytes / size;
    const std::uint64_t at = e.offset + size * below(n);
    if (below(4) == 0) {
      std::memmove(file_.data() + at, file_.data() + e.offset + size * below(n), size);
      return;
    }
    const std::uint64_t value = extreme();
    std::memcpy(file_.data() + at, &value, size);
  }

  void move_inside_section() {
    const io::SectionEntry e = entry(below(header_.num_sections));
    if (!inside(e)) return;
    const std::uint64_t length = 1 + below(std::min<std::uint64_t>(e.bytes, 64));
    std::memmove(file_.data() + e.offset + below(e.bytes - length + 1), file_.data() + e.offset + below(e.bytes - length + 1), length);
  }

  void section_of_one_value() {
    const io::SectionEntry e = entry(1 + below(std::uint64_t{header_.num_sections} - 1));
    if (inside(e)) std::memset(file_.data() + e.offset, static_cast<int>(below(3) == 0 ? 0 : random_() & 0xff), e.bytes);
  }

  void table_word() {
    const std::uint64_t at = entry_at(below(header_.num_sections)) + 4 * below(sizeof(io::SectionEntry) / 4);
    const std::uint64_t value = extreme();
    std::memcpy(file_.data() + at, &value, below(2) == 0 ? 4 : std::min<std::uint64_t>(8, file_.size() - at));
  }

  /// Two names change places, or two whole contents do.
  void swap_sections() {
    if (header_.num_sections < 3) return;
    const std::uint64_t i = 1 + below(std::uint64_t{header_.num_sections} - 1);
    const std::uint64_t j = 1 + below(std::uint64_t{header_.num_sections} - 1);
    io::SectionEntry a = entry(i);
    io::SectionEntry b = entry(j);
    if (below(2) == 0) {
      std::swap(a.name_offset, b.name_offset);
      std::swap(a.name_bytes, b.name_bytes);
      std::memcpy(file_.data() + entry_at(i), &a, sizeof a);
      std::memcpy(file_.data() + entry_at(j), &b, sizeof b);
    } else if (inside(a) && inside(b)) {
      const std::uint64_t n = std::min(a.bytes, b.bytes);
      if (i != j) std::swap_ranges(file_.begin() + static_cast<std::ptrdiff_t>(a.offset), file_.begin() + static_cast<std::ptrdiff_t>(a.offset + n),
                                   file_.begin() + static_cast<std::ptrdiff_t>(b.offset));
    }
  }

  /// A number of the structure's text becomes another of as many digits, or the text grows into what follows.
  void structure_number() {
    const io::SectionEntry e = entry(0);
    if (!inside(e)) return;
    const std::uint64_t begin = e.offset;
    const std::uint64_t end = e.offset + e.bytes;
    for (int attempt = 0; attempt < 20; ++attempt) {
      std::uint64_t at = begin + below(e.bytes);
      const auto digit = [&](std::uint64_t p) { return p >= begin && p < end && file_[p] >= '0' && file_[p] <= '9'; };
      if (!digit(at)) continue;
      while (digit(at - 1)) --at;
      std::uint64_t last = at;
      while (digit(last)) ++last;
      const std::string text = std::to_string(below(2) == 0 ? extreme() : random_());
      for (std::uint64_t p = at, t = 0; p < last; ++p, ++t) file_[p] = below(3) == 0 ? '9' : t < text.size() ? text[t] : '0';
      return;
    }
  }

  void fix_checksums() {
    io::FixedHeader h;
    std::memcpy(&h, file_.data(), sizeof h);
    const auto bytes = std::as_bytes(std::span(file_));
    for (std::uint64_t i = 0; i < h.num_sections && entry_at(i) + sizeof(io::SectionEntry) <= file_.size(); ++i) {
      io::SectionEntry e = entry(i);
      if (!inside(e)) continue;
      const std::span<const std::byte> range = bytes.subspan(e.offset, e.bytes);
      e.checksum = io::checksums(std::span(&range, 1), 1)[0];
      std::memcpy(file_.data() + entry_at(i), &e, sizeof e);
    }
    h.checksum = 0;
    std::memcpy(file_.data(), &h, sizeof h);
    h.checksum = io::hash_bytes(file_.data(), std::min<std::uint64_t>(h.header_bytes, file_.size()));
    std::memcpy(file_.data(), &h, sizeof h);
  }

  std::vector<char> file_;
  io::FixedHeader header_;
  std::mt19937_64 random_;
};

}  // namespace etalage::testing
