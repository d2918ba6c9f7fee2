// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "kernels/dot_kernels.hpp"
#include "kernels/kernel_data.hpp"

namespace etalage::kernels {
namespace {

using testing::awkward_lengths;
using testing::sum_tolerance;
using testing::TestRows;

class DotLevels : public ::testing::TestWithParam<SimdLevel> {
 protected:
  const DotTable& table() const { return dot_at(GetParam()); }
  const DotTable& oracle() const { return dot_at(SimdLevel::kScalar); }
};
INSTANTIATE_TEST_SUITE_P(All, DotLevels, ::testing::ValuesIn(available_levels()),
                         [](const auto& param) { return std::string(name(param.param)); });

TEST_P(DotLevels, IntegersAreExact) {
  for (const std::size_t dim : awkward_lengths())
    for (const std::size_t misaligned : {0u, 1u, 3u}) {
      const TestRows rows(3, dim, misaligned, true, static_cast<unsigned>(dim));
      ASSERT_EQ(table().dot(rows[0], rows[1], dim), oracle().dot(rows[0], rows[1], dim)) << dim;
      ASSERT_EQ(table().squared_distance(rows[0], rows[1], dim), oracle().squared_distance(rows[0], rows[1], dim)) << dim;
    }
}

TEST_P(DotLevels, RealValuesAreWithinRounding) {
  for (const std::size_t dim : awkward_lengths()) {
    const TestRows rows(2, dim, 1, false, static_cast<unsigned>(dim));
    ASSERT_NEAR(table().dot(rows[0], rows[1], dim), oracle().dot(rows[0], rows[1], dim),
                sum_tolerance(rows[0], rows[1], dim));
    ASSERT_NEAR(table().squared_distance(rows[0], rows[1], dim), oracle().squared_distance(rows[0], rows[1], dim),
                4 * (sum_tolerance(rows[0], rows[0], dim) + sum_tolerance(rows[1], rows[1], dim)));
  }
}

TEST_P(DotLevels, ManyRowsHaveTheBitsOfOne) {
  for (const std::size_t dim : {1u, 5u, 16u, 31u, 64u, 100u, 128u})
    for (std::size_t n = 0; n < 11; ++n) {
      const TestRows rows(12, dim, 1, false, static_cast<unsigned>(dim + n));
      const std::vector<const float*> pointers = rows.pointers(1, n, 1);
      std::vector<float> dots(n + 1, -1.0f), distances(n + 1, -1.0f);
      table().dots(rows[0], pointers.data(), n, dim, dots.data());
      table().squared_distances(rows[0], pointers.data(), n, dim, distances.data());
      for (std::size_t i = 0; i < n; ++i) {
        ASSERT_EQ(dots[i], table().dot(rows[0], rows[1 + i], dim));
        ASSERT_EQ(distances[i], table().squared_distance(rows[0], rows[1 + i], dim));
      }
      ASSERT_EQ(dots[n], -1.0f) << "nothing is written behind the results";
    }
}

}  // namespace
}  // namespace etalage::kernels
