// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <string>
#include <tuple>

#include "kernels/kernel_data.hpp"
#include "kernels/rank_key.hpp"
#include "kernels/scan_kernels.hpp"
#include "search/exact.hpp"

namespace etalage::search {
namespace {

using namespace kernels;

using testing::awkward_lengths;
using testing::sum_tolerance;
using testing::TestRows;

TEST(RankKey, OrdersByScoreThenLowerIndex) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> ascending{-kInf, -3e38f, -1.5f, -1e-40f, 0.0f, 1e-45f, 1e-30f, 1.0f, 3e38f, kInf};
  for (std::size_t i = 1; i < ascending.size(); ++i) {
    EXPECT_LT(rank_key(ascending[i - 1], 0), rank_key(ascending[i], 0x7FFFFFFF));
    EXPECT_GT(rank_key(ascending[i], 3), rank_key(ascending[i], 4));
  }
  EXPECT_EQ(rank_key(-0.0f, 7), rank_key(0.0f, 7));
  for (const float s : ascending) {
    EXPECT_EQ(key_score(rank_key(s, 123)), s);
    EXPECT_EQ(key_index(rank_key(s, 123)), 123u);
  }
}

class ScanLevels : public ::testing::TestWithParam<SimdLevel> {
 protected:
  const ScanTable& table() const { return scan_at(GetParam()); }
  const ScanTable& oracle() const { return scan_at(SimdLevel::kScalar); }

  static std::vector<float> scores(const ScanTable& t, const TestRows& rows, std::size_t n, const float* query,
                                   std::size_t dim, const float* scale, const float* offset) {
    const std::vector<const float*> p = rows.pointers(0, n, t.panel);
    std::vector<float> out(p.size());
    std::vector<float> scales(p.size()), offsets(p.size());
    if (scale != nullptr) std::copy_n(scale, n, scales.begin());
    if (offset != nullptr) std::copy_n(offset, n, offsets.begin());
    t.score_rows(p.data(), n, query, dim, scale != nullptr ? scales.data() : nullptr,
                 offset != nullptr ? offsets.data() : nullptr, out.data());
    out.resize(n);
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(All, ScanLevels, ::testing::ValuesIn(available_levels()),
                         [](const auto& param) { return std::string(name(param.param)); });

TEST_P(ScanLevels, IntegerScoresAreExact) {
  for (const std::size_t dim : awkward_lengths())
    for (const std::size_t n : {1u, 7u, 16u, 33u, 64u}) {
      const TestRows rows(n, dim, dim % 3, true, static_cast<unsigned>(dim));
      const TestRows query(1, dim, 1, true, 5);
      ASSERT_EQ(scores(table(), rows, n, query[0], dim, nullptr, nullptr),
                scores(oracle(), rows, n, query[0], dim, nullptr, nullptr))
          << "dim " << dim << " rows " << n;
    }
}

TEST_P(ScanLevels, ScaleAndOffsetAreAppliedInThatOrder) {
  constexpr std::size_t kRows = 50;
  constexpr std::size_t kDim = 21;
  const TestRows rows(kRows, kDim, 1, true, 1);
  const TestRows query(1, kDim, 0, true, 2);
  std::vector<float> scale(kRows), offset(kRows);
  for (std::size_t i = 0; i < kRows; ++i) {
    scale[i] = static_cast<float>(i % 5) * 0.5f;
    offset[i] = static_cast<float>(i) - 20;
  }
  for (const float* s : {static_cast<const float*>(nullptr), static_cast<const float*>(scale.data())})
    for (const float* o : {static_cast<const float*>(nullptr), static_cast<const float*>(offset.data())})
      EXPECT_EQ(scores(table(), rows, kRows, query[0], kDim, s, o), scores(oracle(), rows, kRows, query[0], kDim, s, o));
}

TEST_P(ScanLevels, RealScoresAreWithinRoundingAndFusedLevelsAgree) {
  for (const std::size_t dim : awkward_lengths()) {
    const TestRows rows(40, dim, 1, false, static_cast<unsigned>(dim));
    const TestRows query(1, dim, 3, false, 77);
    const auto got = scores(table(), rows, 40, query[0], dim, nullptr, nullptr);
    const auto want = scores(oracle(), rows, 40, query[0], dim, nullptr, nullptr);
    for (std::size_t i = 0; i < 40; ++i) ASSERT_NEAR(got[i], want[i], sum_tolerance(rows[i], query[0], dim));
    if (GetParam() == SimdLevel::kAvx512) {
      ASSERT_EQ(got, scores(scan_at(SimdLevel::kAvx2), rows, 40, query[0], dim, nullptr, nullptr));
    }
  }
}

TEST_P(ScanLevels, CollectFindsWhatIsAbove) {
  for (const std::size_t n : awkward_lengths()) {
    const TestRows row(1, n, 1, true, static_cast<unsigned>(n));
    for (const float threshold : {-std::numeric_limits<float>::infinity(), -2.0f, 5.0f, 6.0f}) {
      std::vector<std::uint64_t> got(n + 1), want(n + 1);
      const std::size_t g = table().collect(row[0], n, 1000, threshold, got.data());
      const std::size_t w = oracle().collect(row[0], n, 1000, threshold, want.data());
      ASSERT_EQ(g, w);
      ASSERT_EQ(got, want);
    }
  }
}

// Brute force from the level's own scores, by the definition of the order.
std::vector<std::uint64_t> brute_force(const ScoredRows& rows, const ScanRequest& request, const ScanTable& table) {
  std::vector<std::int32_t> all(rows.rows);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
  std::vector<float> scores(rows.rows);
  exact_scores(rows, request.query, all, scores.data(), table);
  std::vector<std::int32_t> order;
  for (const std::int32_t i : all)
    if (!std::binary_search(request.excluded.begin(), request.excluded.end(), i) &&
        (request.filter == nullptr || request.filter->allows(i)))
      order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  order.resize(std::min(order.size(), request.k));
  std::vector<std::uint64_t> keys;
  for (const std::int32_t i : order) keys.push_back(rank_key(scores[static_cast<std::size_t>(i)], static_cast<std::uint32_t>(i)));
  return keys;
}

TEST_P(ScanLevels, SingleAndBlockedScansEqualBruteForce) {
  for (const auto& [num_rows, dim, integers] : {std::tuple<std::size_t, std::size_t, bool>{1, 3, true}, {47, 8, true},
                                                {49, 17, false}, {640, 30, true}, {2500, 33, false}, {900, 128, true}, {1100, 96, false}, {500, 65, true}}) {
    const TestRows data(num_rows, dim, 1, integers, 3);
    const TestRows queries(37, dim, 1, integers, 4);
    std::vector<float> scale(num_rows), offset(num_rows);
    std::vector<std::int32_t> excluded;
    std::vector<std::int64_t> few, most;
    for (std::size_t i = 0; i < num_rows; ++i) {
      scale[i] = static_cast<float>(1 + i % 3);
      offset[i] = static_cast<float>(i % 7);
      if (i % 4 == 1) excluded.push_back(static_cast<std::int32_t>(i));
      if (i % 10 == 0) few.push_back(static_cast<std::int64_t>(i));
      if (i % 10 != 0) most.push_back(static_cast<std::int64_t>(i));
    }
    const std::vector<ItemFilter> filters{ItemFilter::allow(few), ItemFilter::allow(most), ItemFilter::deny(few),
                                          ItemFilter::deny(most), ItemFilter::allow(few) & ItemFilter::deny(excluded)};
    for (const bool adjusted : {false, true}) {
      ScoredRows rows{data.data(), num_rows, dim, data.stride()};
      if (adjusted) {
        rows.scale = scale.data();
        rows.offset = offset.data();
      }
      std::vector<ScanRequest> requests;
      for (std::size_t q = 0; q < queries.size(); ++q) {
        ScanRequest r{queries[q], std::array<std::size_t, 4>{10, 0, 1, num_rows + 5}[q % 4]};
        if (q % 3 == 1) r.excluded = excluded;
        if (q % 2 == 1) r.filter = &filters[(q / 2) % filters.size()];
        requests.push_back(r);
      }
      ScanWorkspace workspace;
      std::vector<std::span<const std::uint64_t>> results(requests.size());
      std::vector<std::vector<std::uint64_t>> want;
      for (const ScanRequest& r : requests) {
        want.push_back(brute_force(rows, r, table()));
        const auto single = exact_top_k(rows, r, workspace, table());
        ASSERT_EQ(std::vector<std::uint64_t>(single.begin(), single.end()), want.back());
      }
      exact_top_k(rows, requests, results, workspace, table());
      for (std::size_t q = 0; q < requests.size(); ++q)
        ASSERT_EQ(std::vector<std::uint64_t>(results[q].begin(), results[q].end()), want[q])
            << "rows " << num_rows << " dim " << dim << " query " << q;
    }
  }
}

TEST(Dispatch, LevelInUseIsTheForcedOrTheHighestOne) {
  const char* forced = std::getenv("ETALAGE_SIMD");
  const std::vector<SimdLevel> levels = available_levels();
  EXPECT_EQ(levels.front(), SimdLevel::kScalar);
  if (forced != nullptr && *forced != '\0') {
    EXPECT_STREQ(name(level()), forced);
  } else {
    EXPECT_EQ(level(), levels.back());
  }
  EXPECT_EQ(&scan(), &scan_at(level()));
}

}  // namespace
}  // namespace etalage::search
