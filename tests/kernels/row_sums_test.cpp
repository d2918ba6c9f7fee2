// SPDX-License-Identifier: Apache-2.0
// Every SIMD level against the plain twin: equal to the bit on small integers, and column by column on anything else.
#include "kernels/row_sums.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernel_data.hpp"

namespace etalage::kernels {
namespace {

class RowSumsKernel : public ::testing::TestWithParam<SimdLevel> {
 protected:
  const RowSums& simd = row_sums_at(GetParam());
  const RowSums& plain = row_sums_at(SimdLevel::kScalar);
};

INSTANTIATE_TEST_SUITE_P(Levels, RowSumsKernel, ::testing::ValuesIn(available_levels()),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST_P(RowSumsKernel, IsExactOnIntegersAndLeavesTheRestAlone) {
  std::mt19937 rng(1);
  for (const std::size_t n : testing::awkward_lengths()) {
    for (const std::size_t m : {0u, 1u, 2u, 9u, 40u}) {
      const testing::TestRows data(30, n, n % 3, true, 7);
      std::vector<std::int32_t> rows(m);
      std::vector<float> weights(m);
      for (std::size_t j = 0; j < m; ++j) {
        rows[j] = static_cast<std::int32_t>(rng() % 30);
        weights[j] = static_cast<float>(static_cast<int>(rng() % 7) - 3);
      }
      std::vector<float> out(n + 3, 99.0f);
      std::vector<float> want(n);
      const float* start = data[0];
      simd.combine(start, data.stride(), n, rows.data(), weights.data(), m, out.data() + 1);
      plain.combine(start, data.stride(), n, rows.data(), weights.data(), m, want.data());
      for (std::size_t f = 0; f < n; ++f) ASSERT_EQ(out[1 + f], want[f]) << n << ' ' << m << ' ' << f;
      ASSERT_EQ(out[0], 99.0f);
      ASSERT_EQ(out[n + 1], 99.0f);
    }
  }
}

TEST_P(RowSumsKernel, AColumnDoesNotDependOnThoseBesideIt) {
  const std::size_t n = 131;
  const testing::TestRows data(25, n, 0, false, 3);
  std::vector<std::int32_t> rows;
  std::vector<float> weights;
  for (int j = 0; j < 25; ++j) {
    rows.push_back((j * 7) % 25);
    weights.push_back(std::sin(static_cast<float>(j)));
  }
  std::vector<float> together(n);
  simd.combine(data[0], data.stride(), n, rows.data(), weights.data(), rows.size(), together.data());
  for (std::size_t f = 0; f < n; ++f) {
    float alone = 0;
    simd.combine(data[0] + f, data.stride(), 1, rows.data(), weights.data(), rows.size(), &alone);
    ASSERT_EQ(alone, together[f]);
    double exact = 0;
    for (std::size_t j = 0; j < rows.size(); ++j)
      exact += static_cast<double>(weights[j]) * static_cast<double>(data[static_cast<std::size_t>(rows[j])][f]);
    ASSERT_NEAR(static_cast<double>(together[f]), exact, 1e-5);
  }
}

}  // namespace
}  // namespace etalage::kernels
