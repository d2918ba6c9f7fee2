// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "io/csv_parser.hpp"

namespace {

using etalage::detail::CsvChunk;
using etalage::detail::CsvLayout;

/// Every row's fields and line, and every refusal, as one list.
std::vector<std::string> read(const std::string& text, std::size_t chunk_bytes, int threads) {
  CsvLayout layout;
  layout.num_fields = 2;
  layout.chosen = {0, 1, 0};
  layout.chosen_names = {"a", "b", "a"};
  std::vector<std::string> out;
  for (const CsvChunk& c : etalage::detail::parse_records(text, 0, 1, layout, chunk_bytes, threads)) {
    for (std::int64_t r = 0; r < c.rows; ++r) {
      std::string row = std::to_string(c.line_of(r));
      for (const auto& column : c.columns) {
        const auto field = column[static_cast<std::size_t>(r)];
        row += '|';
        row += field.missing() ? std::string_view("-") : field.view(c.buffers);
      }
      out.push_back(row);
    }
    for (const auto& x : c.refusals) out.push_back(std::to_string(x.line) + " " + x.reason);
  }
  std::sort(out.begin(), out.end());
  return out;
}

TEST(CsvParser, ReadsTheSameForEveryChunkSize) {
  const std::string text =
      "a,b\n\"q,1\",\"two\nlines\"\n\nshort\n\"x\"\"y\",\"\"\r\n,plain\r\n\"\n\n\",z\n\"bad\"tail,1\na,b,c\n\"a\n\nb\"\"\nc\",\"\"\"\"\nlast,\"one\"";
  const std::vector<std::string> whole = read(text, text.size() + 1, 1);
  EXPECT_EQ(whole.size(), 10u);
  EXPECT_NE(std::find(whole.begin(), whole.end(), "2|q,1|two\nlines|q,1"), whole.end());
  EXPECT_NE(std::find(whole.begin(), whole.end(), "6|x\"y|-|x\"y"), whole.end());
  EXPECT_NE(std::find(whole.begin(), whole.end(), "5 has 1 fields, must have 2"), whole.end());
  for (std::size_t chunk = 1; chunk < text.size(); ++chunk)
    for (const int threads : {1, 3}) EXPECT_EQ(read(text, chunk, threads), whole) << chunk;
}

TEST(CsvParser, ReadsTheSameForEveryChunkSizeOfRandomText) {
  std::uint64_t x = 7;
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (int i = 0; i < 120; ++i) {
      x = x * 6364136223846793005ULL + 1442695040888963407ULL;
      text += "ab,,\"\"\n\n\r\xc3"[x >> 33 & 0xf ? (x >> 40) % 9 : 0];
    }
    const std::vector<std::string> whole = read(text, text.size() + 1, 1);
    for (const std::size_t chunk : {1u, 2u, 3u, 7u, 16u, 50u}) EXPECT_EQ(read(text, chunk, 2), whole) << text;
  }
}

TEST(CsvParser, EmptyTextHasNoRecords) { EXPECT_TRUE(read("", 16, 1).empty()); }

}  // namespace
