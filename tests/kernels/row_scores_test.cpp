// SPDX-License-Identifier: Apache-2.0
// Products with columns: every SIMD level against the plain twin, and many queries against one.
#include "kernels/row_scores.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/kernel_data.hpp"

namespace etalage::kernels {
namespace {

class ColumnScores : public ::testing::TestWithParam<SimdLevel> {
 protected:
  const RowScores& simd = row_scores_at(GetParam());
  const RowScores& plain = row_scores_at(SimdLevel::kScalar);
};

INSTANTIATE_TEST_SUITE_P(Levels, ColumnScores, ::testing::ValuesIn(available_levels()),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST_P(ColumnScores, AreExactOnIntegers) {
  for (const std::size_t n : testing::awkward_lengths())
    for (const std::size_t dim : {1u, 3u, 16u, 33u}) {
      const testing::TestRows columns(dim, n, 0, true, 1);
      const testing::TestRows query(1, dim, 0, true, 2);
      std::vector<float> out(n + 1, 99.0f), want(n);
      simd.dot_columns(query[0], columns.data(), dim, n, out.data());
      plain.dot_columns(query[0], columns.data(), dim, n, want.data());
      for (std::size_t j = 0; j < n; ++j) ASSERT_EQ(out[j], want[j]) << n << ' ' << dim << ' ' << j;
      ASSERT_EQ(out[n], 99.0f);
    }
}

TEST_P(ColumnScores, OfManyQueriesHaveTheBitsOfOne) {
  constexpr std::size_t dim = 29;
  for (const std::size_t n : testing::awkward_lengths())
    for (std::size_t m = 0; m <= 14; ++m) {
      const testing::TestRows columns(dim, n, 0, false, 1);
      const testing::TestRows queries(m, dim, 0, false, 2);
      std::vector<float> out(m * n + 1, 99.0f), want(n);
      simd.dot_columns_of(queries.data(), m, columns.data(), dim, n, out.data());
      for (std::size_t i = 0; i < m; ++i) {
        simd.dot_columns(queries[i], columns.data(), dim, n, want.data());
        for (std::size_t j = 0; j < n; ++j) ASSERT_EQ(out[i * n + j], want[j]) << n << ' ' << m << ' ' << i << ' ' << j;
      }
      ASSERT_EQ(out[m * n], 99.0f);
    }
}

}  // namespace
}  // namespace etalage::kernels
