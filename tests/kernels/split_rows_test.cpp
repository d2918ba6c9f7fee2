// SPDX-License-Identifier: Apache-2.0
// Rows joined from codes and what these leave out: every level writes what the plain twin does, whatever the bytes.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernel_data.hpp"
#include "kernels/split_rows.hpp"

namespace etalage::kernels {
namespace {

class SplitLevels : public ::testing::TestWithParam<SimdLevel> {};
INSTANTIATE_TEST_SUITE_P(All, SplitLevels, ::testing::ValuesIn(available_levels()), [](const auto& p) { return std::string(name(p.param)); });

TEST_P(SplitLevels, WriteWhatTheTwinDoes) {
  std::mt19937 random(3);
  int refused = 0;
  for (const std::size_t dim : testing::awkward_lengths()) {
    if (dim == 0) continue;
    const std::size_t width = (dim + 15) / 16 * 16;
    for (int repeat = 0; repeat < 60; ++repeat) {
      std::vector<std::uint8_t> codes(width, 128);
      std::vector<std::uint8_t> rest(SplitShape::bytes(dim));
      for (std::size_t f = 0; f < dim; ++f) {
        codes[f] = static_cast<std::uint8_t>(random());
        if (repeat % 3 == 1 && random() % 4 == 0) codes[f] = 128;
        if (repeat % 3 == 2) codes[f] = static_cast<std::uint8_t>(128 + random() % 40);
      }
      for (std::uint8_t& r : rest) r = static_cast<std::uint8_t>(random());
      const float scale = repeat % 5 == 0 ? 1e-32f : std::ldexp(0.7f, static_cast<int>(random() % 60) - 30);
      // Behind the row nothing is written.
      std::vector<float> expected(dim + 1, 17.0f);
      std::vector<float> found(dim + 1, 17.0f);
      const bool whole = scalar::split_rows_table.join(codes.data(), scale, rest.data(), dim, expected.data());
      ASSERT_EQ(split_rows_at(GetParam()).join(codes.data(), scale, rest.data(), dim, found.data()), whole) << dim;
      refused += whole ? 0 : 1;
      ASSERT_EQ(found[dim], 17.0f);
      if (!whole) continue;
      for (std::size_t f = 0; f < dim; ++f) ASSERT_EQ(std::memcmp(&expected[f], &found[f], sizeof(float)), 0) << dim << ", dimension " << f;
    }
  }
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace etalage::kernels
