// SPDX-License-Identifier: Apache-2.0
// Every kind of broken file: a FormatError, or the same model; never a crash, never memory beyond the file's own size.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <random>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "io/checksum.hpp"
#include "io/format.hpp"
#include "io/tiny_model.hpp"

namespace {
// What a load asked for: the sum and the largest single request.
std::size_t g_total = 0;
std::size_t g_largest = 0;

void* counted(std::size_t size, std::size_t alignment) {
  g_total += size;
  g_largest = std::max(g_largest, size);
  void* p = alignment <= alignof(std::max_align_t) ? std::malloc(size == 0 ? 1 : size)
                                                   : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
}  // namespace

// Both sides are replaced here; g++ warns where it inlines only one of them.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t n) { return counted(n, 1); }
void* operator new(std::size_t n, std::align_val_t a) { return counted(n, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

namespace etalage {
namespace {

using testing::tiny_model;
using testing::TinyModel;

class DamagedFile : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { register_model("Tiny", &TinyModel::from_state); }

  const std::vector<char> good_ = save_to_memory(tiny_model());

  io::FixedHeader header() const {
    io::FixedHeader h;
    std::memcpy(&h, good_.data(), sizeof h);
    return h;
  }
  std::vector<char> with(const io::FixedHeader& h) const {
    std::vector<char> out = good_;
    std::memcpy(out.data(), &h, sizeof h);
    fix(out);
    return out;
  }

  /// Makes every checksum fit the contents, as far as the table can be followed.
  static void fix(std::vector<char>& file) {
    io::FixedHeader h;
    std::memcpy(&h, file.data(), sizeof h);
    const auto bytes = std::as_bytes(std::span(file));
    for (std::uint64_t i = 0; i < h.num_sections; ++i) {
      const std::uint64_t at = sizeof h + i * sizeof(io::SectionEntry);
      if (at + sizeof(io::SectionEntry) > file.size()) break;
      io::SectionEntry e;
      std::memcpy(&e, file.data() + at, sizeof e);
      if (e.offset > file.size() || e.bytes > file.size() - e.offset) continue;
      const std::span<const std::byte> range = bytes.subspan(e.offset, e.bytes);
      e.checksum = io::checksums(std::span(&range, 1), 1)[0];
      std::memcpy(file.data() + at, &e, sizeof e);
    }
    h.checksum = 0;
    std::memcpy(file.data(), &h, sizeof h);
    h.checksum = io::hash_bytes(file.data(), std::min<std::uint64_t>(h.header_bytes, file.size()));
    std::memcpy(file.data(), &h, sizeof h);
  }

  static std::string refusal(const std::vector<char>& file) {
    try {
      (void)load_from_memory(file, {.num_threads = 1});
    } catch (const FormatError& e) {
      return e.what();
    }
    return "loaded";
  }

  /// Uses everything a loaded model has; what is out of bounds crashes here, under a sanitizer at the latest.
  static double exercise(const Recommender& m) {
    Scratch scratch;
    std::vector<ItemScore> out(8);
    double sum = static_cast<double>(m.recommend({}, out, scratch));
    for (int i = 0; m.item_ids() && i < m.num_items(); ++i) {
      sum += m.item_ids()->find(std::int64_t{i});
      sum += static_cast<double>(m.item_ids()->text_at(i).size());
    }
    for (int u = 0; m.user_ids() && u < m.num_users(); ++u) sum += m.user_ids()->find(m.user_ids()->text_at(u));
    if (m.has_history())
      for (std::int64_t r = 0; r < m.history().rows; ++r)
        for (const std::int32_t c : m.history().view().row_columns(r)) sum += c;
    return sum;
  }

  void expect_refused_or_harmless(const std::vector<char>& file, bool must_be_equal) const {
    g_total = 0;
    g_largest = 0;
    std::shared_ptr<Recommender> model;
    try {
      model = load_from_memory(file, {.num_threads = 1});
    } catch (const FormatError&) {
    }
    EXPECT_LT(g_largest, 16 * good_.size());
    EXPECT_LT(g_total, 512 * good_.size());
    if (model == nullptr) return;
    if (must_be_equal) {
      EXPECT_EQ(save_to_memory(*model), good_);
    } else {
      EXPECT_GE(exercise(*model), -1e12);
    }
  }
};

TEST_F(DamagedFile, EveryTruncationIsNamed) {
  for (std::size_t n = 0; n < good_.size(); ++n) {
    const std::vector<char> cut(good_.begin(), good_.begin() + static_cast<std::ptrdiff_t>(n));
    const std::string m = refusal(cut);
    ASSERT_NE(m.find("truncated: found " + std::to_string(n) + " bytes, expected "), std::string::npos) << n << ": " << m;
  }
  std::vector<char> longer = good_;
  longer.push_back('x');
  EXPECT_NE(refusal(longer).find("found " + std::to_string(longer.size()) + " bytes, expected " + std::to_string(good_.size())),
            std::string::npos);
}

TEST_F(DamagedFile, TruncatedFilesOnDiskAreNamedToo) {
  const testing::TempDir dir;
  for (const std::size_t n : {std::size_t{0}, std::size_t{5}, std::size_t{127}, good_.size() / 2, good_.size() - 1}) {
    testing::write_bytes(dir / "m", std::span(good_).first(n));
    for (const Verify v : {Verify::kHeader, Verify::kFull}) {
      try {
        (void)load(dir / "m", {.verify = v});
        FAIL() << n;
      } catch (const FormatError& e) {
        EXPECT_NE(std::string(e.what()).find((dir / "m").string() + ": truncated: found " + std::to_string(n)), std::string::npos) << e.what();
      }
    }
  }
}

TEST_F(DamagedFile, ForeignNewerAndSwappedFilesAreToldApart) {
  EXPECT_NE(refusal({'P', 'K', 3, 4, 0, 0, 0, 0, 0, 0}).find("not an etalage file: begins with 50 4b 03 04"), std::string::npos);
  io::FixedHeader h = header();
  h.version = 2;
  h.library_version = 0x010203;
  EXPECT_NE(refusal(with(h)).find("found format version 2 (written by etalage 1.2.3), this library reads up to version 1: upgrade etalage"),
            std::string::npos);
  h = header();
  h.version = 0;
  EXPECT_NE(refusal(with(h)).find("found format version 0"), std::string::npos);
  h = header();
  h.byte_order = 0x04030201;
  EXPECT_NE(refusal(with(h)).find("found byte order mark 01 02 03 04, expected 04 03 02 01"), std::string::npos);
  h = header();
  h.flags = 1;
  EXPECT_NE(refusal(with(h)).find("found flags 1"), std::string::npos);
  h = header();
  h.num_sections = 0xffffffff;
  EXPECT_NE(refusal(with(h)).find("found a header of"), std::string::npos);
  h = header();
  h.num_sections = 0;
  EXPECT_NE(refusal(with(h)).find("damaged"), std::string::npos);
  h = header();
  h.header_bytes = ~std::uint64_t{0};
  EXPECT_NE(refusal(with(h)).find("found a header of 18446744073709551615 bytes"), std::string::npos);
  h = header();
  std::memset(h.kind, 'k', sizeof h.kind);
  EXPECT_NE(refusal(with(h)).find("found a kind"), std::string::npos);
  h = header();
  h.reserved_b[39] = 1;
  EXPECT_NE(refusal(with(h)).find("reserved"), std::string::npos);
}

TEST_F(DamagedFile, EveryFieldOfTheSectionTableIsBounded) {
  const std::uint64_t huge[] = {0, 1, 63, 64, 4096, std::uint64_t{1} << 31, std::uint64_t{1} << 32, std::uint64_t{1} << 62, ~std::uint64_t{0}};
  const std::size_t entries = header().num_sections;
  for (std::size_t i = 0; i < entries; ++i) {
    for (std::size_t word = 0; word < sizeof(io::SectionEntry) / 8; ++word) {
      for (const std::uint64_t v : huge) {
        std::vector<char> file = good_;
        std::memcpy(file.data() + sizeof(io::FixedHeader) + i * sizeof(io::SectionEntry) + word * 8, &v, 8);
        fix(file);
        expect_refused_or_harmless(file, false);
      }
    }
  }
}

TEST_F(DamagedFile, FlippedBytesNeverGoUnnoticed) {
  std::mt19937 rng(7);
  int refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::vector<char> file = good_;
    for (auto n = 1 + rng() % 3; n != 0; --n) file[rng() % file.size()] ^= static_cast<char>(1 + rng() % 255);
    expect_refused_or_harmless(file, true);
    refused += refusal(file) != "loaded";
  }
  // Only the padding between sections can change unseen, and then nothing has changed.
  EXPECT_GT(refused, 2500);
}

TEST_F(DamagedFile, ContentsForgedWithRightChecksumsDoNotCrash) {
  std::mt19937 rng(11);
  int refused = 0;
  for (int round = 0; round < 10000; ++round) {
    std::vector<char> file = good_;
    const auto n = 1 + rng() % 4;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t at = rng() % file.size();
      switch (rng() % 3) {
        case 0:
          file[at] ^= static_cast<char>(1u << rng() % 8);
          break;
        case 1:
          file[at] = static_cast<char>(rng());
          break;
        default: {
          static constexpr std::int64_t edges[] = {0, -1, 1, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, 255};
          std::memcpy(file.data() + at, &edges[rng() % std::size(edges)], std::min<std::size_t>(8, file.size() - at));
        }
      }
    }
    fix(file);
    expect_refused_or_harmless(file, false);
    refused += refusal(file) != "loaded";
  }
  EXPECT_GT(refused, 2500);
}

TEST_F(DamagedFile, RandomBytesBehindAGoodHeaderDoNotCrash) {
  std::mt19937 rng(13);
  const std::size_t begin = header().header_bytes;
  for (int round = 0; round < 2000; ++round) {
    std::vector<char> file = good_;
    for (std::size_t i = begin; i < file.size(); ++i) file[i] = round % 2 ? static_cast<char>(rng()) : "0123456789 \n=AZ"[rng() % 15];
    fix(file);
    EXPECT_NE(refusal(file), "loaded");
    expect_refused_or_harmless(file, false);
  }
}

/// A file whose structure is the given text.
std::vector<char> with_structure(const std::string& text) {
  std::vector<io::Section> sections(1);
  sections[0].count = sections[0].bytes = text.size();
  const auto range = std::as_bytes(std::span(text));
  sections[0].checksum = io::checksums(std::span(&range, 1), 1)[0];
  const auto head = io::make_header("Tiny", sections);
  std::vector<char> out(sections[0].offset + text.size());
  std::memcpy(out.data(), head.data(), head.size());
  std::memcpy(out.data() + sections[0].offset, text.data(), text.size());
  return out;
}

TEST_F(DamagedFile, LengthsInTheStructureAreBoundedByWhatIsLeft) {
  for (const char* text : {"", "x", "-1", "1", "99999999999999999999999", "4000000000", "1 18446744073709551615", "1 3\nYWJj\n 9 0",
                           "1 3\nYWJj\n 2 9223372036854775807", "1 3\nYWJj\n 3 2305843009213693951", "1 3\nYWJj\n 4 1000000 1",
                           "1 3\nYWJj\n 4 10 9999999 9999999", "2 3\nYWJj\n 0 1 3\nYWJj\n 0 1", "1 0 0 1", "1 3\n!!!!\n 0 1", "1 3\nYWJj\n 0 z"}) {
    const std::string padded = std::string(text) + std::string(40, ' ');
    for (const std::string& t : {std::string(text), padded}) {
      g_total = g_largest = 0;
      const std::string m = refusal(with_structure(t));
      EXPECT_LT(g_largest, 100000u) << t;
      EXPECT_NE(m.find("damaged structure"), std::string::npos) << "'" << t << "' gave: " << m;
    }
  }
  EXPECT_NE(refusal(with_structure("1 3\nYWJj\n 0 1")).find("not found"), std::string::npos);
}

}  // namespace
}  // namespace etalage
