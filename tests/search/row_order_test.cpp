// SPDX-License-Identifier: Apache-2.0
// Scans by falling norm: the same keys as scans of the rows as they lie.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/kernel_data.hpp"
#include "search/coded_panels.hpp"
#include "search/exact.hpp"
#include "search/row_order.hpp"

namespace etalage::search {
namespace {

using namespace kernels;

using testing::TestRows;

/// Rows of many lengths: row r is scaled by a factor that falls from 1 to 1/200 with a shuffled rank.
std::vector<float> of_many_lengths(std::size_t rows, std::size_t dim, bool integers, unsigned seed) {
  const TestRows data(rows, dim, 0, integers, seed);
  std::vector<float> out(data.data(), data.data() + rows * dim);
  for (std::size_t r = 0; r < rows; ++r) {
    const float factor = 1 / static_cast<float>(1 + (r * 7919) % rows % 200);
    for (std::size_t f = 0; f < dim; ++f) out[r * dim + f] *= factor;
  }
  return out;
}

double norm_of(const float* x, std::size_t dim) {
  double sum = 0;
  for (std::size_t f = 0; f < dim; ++f) sum += static_cast<double>(x[f]) * static_cast<double>(x[f]);
  return std::sqrt(sum);
}

TEST(RowOrder, IsAPermutationWhoseReachBoundsWhatIsLeft) {
  for (const std::size_t n : {1u, 63u, 64u, 65u, 1000u}) {
    const auto data = of_many_lengths(n, 20, false, 5);
    const RowOrder order = RowOrder::of(data.data(), n, 20, 20, 2);
    std::vector<std::uint32_t> sorted = order.rows;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(sorted[i], i);
    ASSERT_EQ(order.reach.size(), (n + 63) / 64);
    for (std::size_t i = 0; i < n; ++i) ASSERT_GE(order.reach[i / 64], norm_of(&data[order.rows[i] * 20], 20));
    for (std::size_t s = 1; s < order.reach.size(); ++s) ASSERT_LE(order.reach[s], order.reach[s - 1]);
    if (n == 1000u) {
      EXPECT_FALSE(order.ascending);
      EXPECT_LT(order.reach.back(), order.reach.front() / 20);
    }
  }
}

TEST(RowOrder, LeavesRowsOfOneLengthAsTheyLie) {
  std::vector<float> data(300 * 8, 0.5f);
  const RowOrder order = RowOrder::of(data.data(), 300, 8, 8, 1);
  EXPECT_TRUE(order.ascending);
  EXPECT_TRUE(std::is_sorted(order.rows.begin(), order.rows.end()));
  EXPECT_GE(order.reach.back(), std::sqrt(2.0f));
}

TEST(RowOrder, IsEmptyWhereARowIsNotFiniteOrAllAreZero) {
  std::vector<float> data(300 * 8, 0.0f);
  EXPECT_TRUE(RowOrder::of(data.data(), 300, 8, 8, 1).rows.empty());
  data[77] = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(RowOrder::of(data.data(), 300, 8, 8, 1).rows.empty());
  data[77] = std::numeric_limits<float>::quiet_NaN();
  data[5] = 1;
  EXPECT_TRUE(RowOrder::of(data.data(), 300, 8, 8, 1).rows.empty());
  EXPECT_TRUE(RowOrder::of(data.data(), 0, 8, 8, 1).rows.empty());
}

class ScansByNorm : public ::testing::TestWithParam<SimdLevel> {};
INSTANTIATE_TEST_SUITE_P(All, ScansByNorm, ::testing::ValuesIn(available_levels()),
                         [](const auto& param) { return std::string(name(param.param)); });

TEST_P(ScansByNorm, EqualThoseOfRowsAsTheyLie) {
  const ScanTable& table = scan_at(GetParam());
  const CodeTable& codes = code_at(GetParam());
  constexpr std::size_t kQueries = 61;
  const std::vector<std::int32_t> excluded{0, 1, 17, 900, 1499};
  const ItemFilter deny = ItemFilter::deny(std::vector<std::int64_t>{5, 6, 7, 1000});
  const ItemFilter few = ItemFilter::allow(std::vector<std::int64_t>{1, 2, 40, 41, 700});
  for (const std::size_t dim : {16u, 33u, 128u})
    for (const std::size_t n : {70u, 1500u, 2500u})
      for (const bool integers : {false, true}) {
        auto data = of_many_lengths(n, dim, integers, static_cast<unsigned>(dim + n));
        for (std::size_t r = 50; r + 50 < n; r += 11) std::copy_n(&data[(r % 48) * dim], dim, &data[r * dim]);  // ties
        const TestRows queries(kQueries, dim, 0, integers, 3);
        ScoredRows plain{.data = data.data(), .rows = n, .dim = dim, .stride = dim};
        const RowOrder order = RowOrder::of(data.data(), n, dim, dim, 2);
        ASSERT_FALSE(order.ascending);
        ScoredRows ordered = plain;
        ordered.order = &order;
        std::vector<ScanRequest> requests;
        for (std::size_t q = 0; q < kQueries; ++q)
          requests.push_back({queries[q], q % 7 == 3 ? 0u : q % 5 == 2 ? 30u : 10u, q % 2 == 0 ? std::span<const std::int32_t>(excluded) : std::span<const std::int32_t>(),
                              q % 4 == 1 ? &deny : q % 16 == 6 ? &few : nullptr});
        ScanWorkspace a, b, c;
        std::vector<std::span<const std::uint64_t>> want(kQueries), got(kQueries), panels(kQueries);
        exact_top_k(plain, requests, want, a, table, codes);
        exact_top_k(ordered, requests, got, b, table, codes);
        for (std::size_t q = 0; q < kQueries; ++q)
          ASSERT_TRUE(std::ranges::equal(want[q], got[q])) << "dim " << dim << " rows " << n << " query " << q;
        if (codes.panel == 0) continue;
        const CodedPanels made(ordered, order, codes, 2);
        ordered.panels = &made;
        exact_top_k(ordered, requests, panels, c, table, codes);
        for (std::size_t q = 0; q < kQueries; ++q)
          ASSERT_TRUE(std::ranges::equal(want[q], panels[q])) << "panels, dim " << dim << " rows " << n << " query " << q;
      }
}

}  // namespace
}  // namespace etalage::search
