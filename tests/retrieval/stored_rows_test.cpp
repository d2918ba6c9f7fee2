// SPDX-License-Identifier: Apache-2.0
// Rows split between their records and what these leave out are the rows to the bit, at every SIMD level, whatever their values.
#include "retrieval/stored_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace etalage::retrieval {
namespace {

using kernels::CodeShape;
using Row = std::vector<float>;

constexpr std::size_t kDims[] = {8, 15, 16, 17, 24, 33, 96, 100, 129, 300, 2048};

/// Records by each level's encoder, each joined at each level. Returns whether the row went into its parts (at every level or none).
bool goes(const Row& row, const std::string& what) {
  const std::size_t dim = row.size();
  const CodeShape shape = CodeShape::dense(dim);
  int split = 0;
  const auto levels = kernels::available_levels();
  for (const kernels::SimdLevel encoder : levels) {
    std::vector<std::uint8_t> record(shape.stride);
    std::vector<std::uint8_t> rest(kernels::SplitShape::bytes(dim), 0xA5);
    kernels::code_at(encoder).encode(row.data(), shape, record.data());
    const std::vector<std::uint8_t> before = record;
    const bool whole = split_row(row.data(), record.data(), shape, rest.data());
    EXPECT_EQ(record, before) << what;
    split += whole ? 1 : 0;
    kernels::CodeTail tail;
    std::memcpy(&tail, record.data() + shape.width, sizeof tail);
    if (!(tail.scale > 0)) {
      EXPECT_FALSE(whole) << what;
      continue;
    }
    for (const kernels::SimdLevel level : levels) {
      Row joined(dim, -5.0f);
      EXPECT_EQ(kernels::split_rows_at(level).join(record.data(), tail.scale, rest.data(), dim, joined.data()), whole) << what;
      if (whole) {
        EXPECT_EQ(std::memcmp(joined.data(), row.data(), dim * sizeof(float)), 0) << what << ", dim " << dim << ", level " << kernels::name(level);
      }
    }
  }
  EXPECT_TRUE(split == 0 || split == static_cast<int>(levels.size())) << what;
  return split > 0;
}

Row normal_row(std::size_t dim, float size, std::mt19937& random) {
  std::normal_distribution<float> normal(0, size);
  Row row(dim);
  for (float& x : row) x = normal(random);
  return row;
}

TEST(SplitRow, OfDenseValuesGoesAtAnySize) {
  std::mt19937 random(1);
  for (const std::size_t dim : kDims)
    for (const float size : {1.0f, 0.1f, 1e-3f, 1e7f, 1e-12f, 1e-20f, 1e-28f, 3.0f}) {
      int whole = 0;
      for (int i = 0; i < 40; ++i) whole += goes(normal_row(dim, size, random), "normal") ? 1 : 0;
      EXPECT_GE(whole, 38) << dim << ", " << size;
    }
}

TEST(SplitRow, KeepsZerosOfBothSignsAndPowersOfTwo) {
  std::mt19937 random(2);
  for (const std::size_t dim : kDims) {
    Row row = normal_row(dim, 1, random);
    for (std::size_t f = 0; f < dim; f += 3) row[f] = f % 2 == 0 ? 0.0f : -0.0f;
    EXPECT_TRUE(goes(row, "every third a zero"));
    Row one_hot(dim, 0.0f);
    one_hot[dim / 2] = -2.5f;
    EXPECT_TRUE(goes(one_hot, "one-hot"));
    EXPECT_TRUE(goes(Row(dim, -0.75f), "equal values"));
    EXPECT_TRUE(goes(Row(dim, 1.0f), "ones"));
    // Counts: small ones have the code 0, and are powers of two among others.
    Row counts(dim);
    for (std::size_t f = 0; f < dim; ++f) counts[f] = f % 2 == 0 ? static_cast<float>(400 + random() % 900) : static_cast<float>(random() % 5);
    EXPECT_TRUE(goes(counts, "counts"));
    for (int below = 0; below < 30; ++below) {
      Row powers(dim, 1.0f);
      powers[1] = std::ldexp(1.0f, -8 - below);
      powers[2] = -std::ldexp(1.3f, -9 - below);
      goes(powers, "powers of two");
    }
  }
}

TEST(SplitRow, SaysWhichRowsAreOdd) {
  std::mt19937 random(3);
  for (const std::size_t dim : kDims) {
    EXPECT_FALSE(goes(Row(dim, 0.0f), "nothing but zeros"));
    EXPECT_FALSE(goes(Row(dim, -0.0f), "nothing but negative zeros"));
    EXPECT_FALSE(goes(normal_row(dim, 1e-35f, random), "too short for a scale"));
    EXPECT_FALSE(goes(normal_row(dim, std::numeric_limits<float>::denorm_min() * 100, random), "denormals"));
    EXPECT_FALSE(goes(normal_row(dim, 1e12f, random), "too long for codes"));
    Row row = normal_row(dim, 1, random);
    row[3] = std::numeric_limits<float>::denorm_min();
    EXPECT_FALSE(goes(row, "one denormal"));
    row[3] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(goes(row, "not finite"));
    Row spike(dim, 1e-6f);  // more values of code 0 than spare bits hold exponents of
    spike[0] = 1;
    EXPECT_FALSE(goes(spike, "one long value"));
  }
}

TEST(SplitRow, HoldsWhateverTheBits) {
  std::mt19937 random(4);
  for (int i = 0; i < 4000; ++i) {
    const std::size_t dim = 8 + random() % 60;
    Row row(dim);
    // Exponents from a range of so many, up to all of them.
    const auto draw = [&] { return static_cast<std::uint32_t>(random()); };
    const std::uint32_t range = std::min(1 + draw() % (1u << (i % 9)), 254u);
    const std::uint32_t first = draw() % (255 - range);
    for (float& x : row) x = std::bit_cast<float>((draw() & 1u) << 31 | (first + draw() % range) << 23 | (draw() & 0x7FFFFFu));
    goes(row, "bits " + std::to_string(i));
  }
}

TEST(SplitRow, MakesARecordAnewThatCannotBeOfTheRow) {
  std::mt19937 random(5);
  const Row row = normal_row(32, 1, random);
  const CodeShape shape = CodeShape::dense(32);
  std::vector<std::uint8_t> record(shape.stride, 130);
  std::vector<std::uint8_t> rest(kernels::SplitShape::bytes(32));
  ASSERT_TRUE(split_row(row.data(), record.data(), shape, rest.data()));
  kernels::CodeTail tail;
  std::memcpy(&tail, record.data() + shape.width, sizeof tail);
  Row joined(32);
  ASSERT_TRUE(kernels::split_rows().join(record.data(), tail.scale, rest.data(), 32, joined.data()));
  EXPECT_EQ(joined, row);
}

}  // namespace
}  // namespace etalage::retrieval
