// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "serving/events/journal_format.hpp"

namespace etalage::testing {

using Folder = std::map<std::string, std::vector<std::byte>>;

/// Makes harm of a journal's folder. Equal seeds, equal folders.
class JournalMutator {
 public:
  JournalMutator(Folder good, std::uint64_t seed) : folder_(std::move(good)), random_(seed) {}

  /// What disks and people do: bytes and runs of bits of one file, pieces of files moved, cut, doubled, emptied; whole files
  /// gone, renamed, mixed up. Checksums stay as they are. The manifest is changed but never taken away: without it a folder
  /// is one of earlier versions, which does not say how much it held.
  Folder damaged() {
    for (auto n = 1 + below(2); n != 0; --n) {
      auto& [name, bytes] = file();
      switch (below(9)) {
        case 0: flip(bytes); break;
        case 1: flip(bytes); break;
        case 2: run(bytes); break;
        case 3: if (!bytes.empty()) bytes.resize(below(bytes.size())); break;
        case 4: move_piece(bytes); break;
        case 5: if (name != "MANIFEST") folder_.erase(name); break;
        case 6: std::swap(bytes, file().second); break;
        case 7: rename(name); break;
        default: double_piece(bytes); break;
      }
    }
    return std::move(folder_);
  }

  /// What nothing but the checks of the values themselves can notice: words of records, of file headers and of the manifest
  /// become others, records are left out, doubled and exchanged, and every checksum fits again.
  Folder forged() {
    for (auto n = 1 + below(3); n != 0; --n) {
      auto& [name, bytes] = file();
      if (name == "MANIFEST") forge_mark(bytes);
      else if (bytes.size() >= journal::kFileHeader) forge_records(bytes);
      if (below(40) == 0) rename(name);
    }
    return std::move(folder_);
  }

 private:
  std::uint64_t below(std::uint64_t n) { return n == 0 ? 0 : random_() % n; }
  std::pair<const std::string, std::vector<std::byte>>& file() {
    return *std::next(folder_.begin(), static_cast<std::ptrdiff_t>(below(folder_.size())));
  }

  std::uint64_t extreme() {
    static constexpr std::uint64_t kValues[] = {0, 1, 2, 3, 127, 255, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
                                                0x8000000000000000, 0xffffffffffffffff, 0xfffffffffffffffe, 0x7f800000, 0x7fc00000, 0x7f7fffff,
                                                0x7ff0000000000000, 0x7ff8000000000000, 0x7fefffffffffffff, 0x1000000000000000};
    return below(4) == 0 ? random_() : below(3) == 0 ? below(300) : kValues[below(std::size(kValues))];
  }

  void flip(std::vector<std::byte>& bytes) {
    if (!bytes.empty()) bytes[below(bytes.size())] ^= static_cast<std::byte>(1 << below(8));
  }
  void run(std::vector<std::byte>& bytes) {
    if (bytes.empty()) return;
    const std::uint64_t at = below(bytes.size());
    const auto value = static_cast<std::byte>(below(3) == 0 ? 0 : below(2) == 0 ? 255 : below(256));
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), std::min<std::uint64_t>(1 + below(600), bytes.size() - at), value);
  }
  void move_piece(std::vector<std::byte>& bytes) {
    if (bytes.empty()) return;
    const std::uint64_t n = 1 + below(std::min<std::uint64_t>(bytes.size(), 300));
    std::memmove(bytes.data() + below(bytes.size() - n + 1), bytes.data() + below(bytes.size() - n + 1), n);
  }
  void double_piece(std::vector<std::byte>& bytes) {
    if (bytes.empty()) return;
    const std::uint64_t at = below(bytes.size());
    const std::vector<std::byte> piece(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                                       bytes.begin() + static_cast<std::ptrdiff_t>(at + std::min<std::uint64_t>(1 + below(500), bytes.size() - at)));
    bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size() + 1)), piece.begin(), piece.end());
  }
  void rename(const std::string& name) {
    if (name == "MANIFEST") return;
    auto node = folder_.extract(name);
    if (node.empty()) return;
    std::string& key = node.key();
    const std::size_t dot = key.rfind(".log");
    if (dot != std::string::npos) {
      const std::string number = below(4) == 0 ? std::to_string(extreme()) : std::to_string(below(400));
      key = key.substr(0, key.find('-') + 1) + std::string(20 - number.size(), '0') + number + (below(20) == 0 ? ".log.tmp" : ".log");
    }
    folder_.insert(std::move(node));
  }

  void put_word(std::vector<std::byte>& bytes, std::size_t begin, std::size_t end) {
    static constexpr std::size_t kSizes[] = {1, 1, 2, 4, 4, 8, 8};
    if (begin >= end) return;
    const std::size_t at = begin + below(end - begin);
    const std::uint64_t value = extreme();
    if (below(3) == 0) bytes[at] ^= static_cast<std::byte>(1 << below(8));
    else std::memcpy(bytes.data() + at, &value, std::min(kSizes[below(std::size(kSizes))], end - at));
  }

  /// The checksum over the 56 bytes before it, as file headers and marks have it.
  static void seal(std::vector<std::byte>& bytes, std::size_t at) {
    const std::uint64_t sum = XXH3_64bits(bytes.data() + at, 56);
    std::memcpy(bytes.data() + at + 56, &sum, sizeof sum);
  }

  void forge_mark(std::vector<std::byte>& bytes) {
    for (std::size_t at = 0; at + 64 <= bytes.size(); at += 64) {
      if (below(2) == 0) {
        const std::uint64_t value = extreme();
        std::memcpy(bytes.data() + at + 16 + 8 * below(3), &value, sizeof value);
      } else if (below(4) == 0) {
        put_word(bytes, at, at + 56);
      }
      seal(bytes, at);
    }
  }

  void forge_records(std::vector<std::byte>& bytes) {
    std::vector<std::vector<std::byte>> records;
    for (std::size_t at = journal::kFileHeader;;) {
      const auto r = journal::parse_record(std::span(bytes).subspan(at));
      if (!r) break;
      const std::size_t end = at + journal::padded(r->header.size);
      records.emplace_back(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(end));
      at = end;
    }
    if (records.empty()) return;
    for (auto n = 1 + below(3); n != 0; --n) {
      std::vector<std::byte>& r = records[below(records.size())];
      journal::RecordHeader h{};
      std::memcpy(&h, r.data(), sizeof h);
      switch (below(16)) {
        case 0: h.sequence = below(2) == 0 ? extreme() : h.sequence + below(3) - 1; break;
        case 1: h.durable = extreme(); break;
        case 2: h.kind = static_cast<std::uint32_t>(below(6)); break;
        case 3: h.size = static_cast<std::uint32_t>(below(h.size + 1)); break;
        case 4: std::swap(r, records[below(records.size())]); continue;
        case 5: r = records[below(records.size())]; continue;
        default: put_word(r, journal::kRecordHeader, journal::kRecordHeader + h.size); break;
      }
      std::memcpy(r.data(), &h, sizeof h);
    }
    std::vector<std::byte> out(bytes.begin(), bytes.begin() + journal::kFileHeader);
    if (below(30) == 0) {
      put_word(out, 8, 56);
      seal(out, 0);
    }
    const bool renumber = below(2) == 0;  // so that the records behind a forged place are read too
    journal::RecordHeader first{};
    std::memcpy(&first, records[0].data(), sizeof first);
    for (std::uint64_t i = 0; const std::vector<std::byte>& r : records) {
      journal::RecordHeader h{};
      std::memcpy(&h, r.data(), sizeof h);
      const auto payload = std::span(r).subspan(journal::kRecordHeader, std::min<std::size_t>(h.size, r.size() - journal::kRecordHeader));
      journal::append_record(out, static_cast<journal::RecordKind>(h.kind), renumber ? first.sequence + i : h.sequence, h.durable, payload);
      ++i;
    }
    bytes = std::move(out);
  }

  Folder folder_;
  std::mt19937_64 random_;
};

}  // namespace etalage::testing
