// SPDX-License-Identifier: Apache-2.0
// The longest rows first: the same keys as scans of the rows as they lie, also after rows have changed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "kernels/kernel_data.hpp"
#include "search/exact.hpp"
#include "search/longest_rows.hpp"

namespace etalage::search {
namespace {

using namespace kernels;
using testing::TestRows;

/// Few rows are long: row r is divided by a shuffled rank's share.
struct Rows {
  std::size_t n, dim;
  std::vector<float> data;
  Rows(std::size_t rows, std::size_t dimensions, bool integers, unsigned seed, float spread = 100) : n(rows), dim(dimensions) {
    const TestRows drawn(rows, dim, 0, integers, seed);
    data.assign(drawn.data(), drawn.data() + rows * dim);
    for (std::size_t r = 0; r < n; ++r) {
      const float rank = static_cast<float>((r * 7919) % n) / static_cast<float>(n);
      for (std::size_t f = 0; f < dim; ++f) data[r * dim + f] /= 1 + spread * rank;
    }
  }
  void tie() {
    for (std::size_t r = 50; r + 50 < n; r += 11) std::copy_n(&data[(r % 48) * dim], dim, &data[r * dim]);
  }
  [[nodiscard]] ScoredRows view() const { return {.data = data.data(), .rows = n, .dim = dim, .stride = dim}; }
};

class LongestFirst : public ::testing::TestWithParam<SimdLevel> {
 protected:
  const ScanTable& table = scan_at(GetParam());
  const CodeTable& codes = code_at(GetParam());
};
INSTANTIATE_TEST_SUITE_P(All, LongestFirst, ::testing::ValuesIn(available_levels()),
                         [](const auto& param) { return std::string(name(param.param)); });

std::vector<std::uint8_t> mask_of(std::size_t n, std::size_t one_in) {
  std::vector<std::uint8_t> mask(n, 0);
  for (std::size_t i = 0; i < n; i += one_in) mask[i] = 1;
  return mask;
}

/// Requests of many kinds over `rows`; true for those that the longest rows answered.
void expect_same(const Rows& rows, const LongestRows& longest, const ScanTable& table, const CodeTable& codes, std::size_t most_read) {
  const std::vector<std::int32_t> excluded{0, 1, 2, 3, 17, 900, 1499};
  const ItemFilter deny = ItemFilter::deny(std::vector<std::int64_t>{5, 6, 7, 1000});
  const ItemFilter half = ItemFilter::from_mask(mask_of(rows.n, 2));
  const ItemFilter tenth = ItemFilter::from_mask(mask_of(rows.n, 10));
  const ItemFilter few = ItemFilter::allow(std::vector<std::int64_t>{1, 2, 40, 41, 700});
  const ItemFilter* filters[] = {nullptr, &deny, &half, &tenth, &few};
  constexpr std::size_t kQueries = 40;
  const TestRows queries(kQueries, rows.dim, 0, true, 3);
  const ScoredRows plain = rows.view();
  ScoredRows with = plain;
  with.longest = &longest;
  std::vector<ScanRequest> requests;
  for (std::size_t q = 0; q < kQueries; ++q)
    requests.push_back({queries[q], q % 9 == 3 ? 1u : q % 5 == 2 ? 40u : 10u, q % 2 == 0 ? std::span<const std::int32_t>(excluded) : std::span<const std::int32_t>(),
                        filters[q % 5]});
  ScanWorkspace a, b, c;
  std::vector<std::span<const std::uint64_t>> together(kQueries);
  exact_top_k(with, requests, together, c, table, codes);
  std::size_t answered = 0;
  for (std::size_t q = 0; q < kQueries; ++q) {
    const std::span<const std::uint64_t> want = exact_top_k(plain, requests[q], a, table);
    ASSERT_TRUE(std::ranges::equal(want, exact_top_k(with, requests[q], b, table))) << "query " << q;
    ASSERT_TRUE(std::ranges::equal(want, together[q])) << "together, query " << q;
    std::size_t met = 0;
    std::vector<std::uint64_t> keys(rows.n);
    ScanWorkspace d;
    if (longest.scan(with, requests[q], 1, d, keys.data(), table, met)) ++answered;
    ASSERT_LE(met, most_read) << "query " << q;
  }
  if (most_read < rows.n) {
    EXPECT_GE(answered, kQueries / 2);
  }
}

TEST_P(LongestFirst, EqualRowsAsTheyLie) {
  for (const auto& [n, dim] : {std::pair<std::size_t, std::size_t>{9001, 64}, {33000, 17}, {16384, 32}})
    for (const bool integers : {false, true}) {
      Rows rows(n, dim, integers, static_cast<unsigned>(n));
      if (integers) rows.tie();
      const LongestRows longest = LongestRows::of(rows.view(), codes, 2);
      ASSERT_TRUE(longest.is_order());
      ASSERT_NE(longest.order(), nullptr);
      expect_same(rows, longest, table, codes, integers ? n : n / 2);
    }
}

TEST_P(LongestFirst, EqualRowsAsTheyLieWhereManyAreInReach) {
  const Rows rows(9001, 64, false, 4, 0.8f);
  const LongestRows longest = LongestRows::of(rows.view(), codes, 1);
  ASSERT_TRUE(longest.is_order());
  expect_same(rows, longest, table, codes, rows.n);
}

TEST_P(LongestFirst, FollowChanges) {
  Rows rows(16000, 33, true, 6);
  std::optional<LongestRows> longest = LongestRows::of(rows.view(), codes, 1);
  for (int round = 0; round < 5; ++round) {
    // A short row becomes the longest, the longest becomes short, rows come: with values and without.
    const std::vector<std::int32_t> changed{3 * round, 7919 + round, static_cast<std::int32_t>(rows.n) + 2};
    rows.data.resize((rows.n + 4) * rows.dim, 0.0f);
    rows.n += 4;
    for (const std::int32_t r : changed)
      for (std::size_t f = 0; f < rows.dim; ++f) rows.data[static_cast<std::size_t>(r) * rows.dim + f] = static_cast<float>((f * 7 + static_cast<std::size_t>(r)) % 9) - 4;
    const std::int32_t gone = 100 + round;
    std::fill_n(&rows.data[static_cast<std::size_t>(gone) * rows.dim], rows.dim, 0.0f);
    std::vector<std::int32_t> all = changed;
    all.push_back(gone);
    longest = longest->after(all, rows.n);
    ASSERT_TRUE(longest.has_value());
    EXPECT_EQ(longest->order(), nullptr);
    expect_same(rows, *longest, table, codes, rows.n);
  }
  std::vector<std::int32_t> many(rows.n / 32);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::int32_t>(i);
  EXPECT_FALSE(longest->after(many, rows.n).has_value());
  EXPECT_FALSE(longest->after({}, 2 * rows.n).has_value());
}

TEST(LongestRows, AreNoOrderWhereThereIsNothingToGain) {
  const std::vector<float> alike(std::size_t{9000} * 64, 0.5f);
  const ScoredRows rows{.data = alike.data(), .rows = 9000, .dim = 64, .stride = 64};
  const LongestRows longest = LongestRows::of(rows, code(), 1);
  EXPECT_FALSE(longest.is_order());
  ASSERT_NE(longest.order(), nullptr);
  const std::int32_t changed[] = {4};
  EXPECT_EQ(longest.after(changed, 9000)->order(), nullptr);
  const Rows few(100, 64, false, 1);
  EXPECT_FALSE(LongestRows::of(few.view(), code(), 1).is_order());
}

TEST(LongestOnDemand, AreMadeWhenRequestsRepeat) {
  const Rows rows(9001, 64, false, 2);
  LongestOnDemand demand;
  EXPECT_EQ(demand.get(rows.view(), 1, 1), nullptr);
  EXPECT_EQ(demand.get(rows.view(), 1, 1), nullptr);
  ASSERT_NE(demand.get(rows.view(), 1, 1), nullptr);
  EXPECT_EQ(demand.get(rows.view(), 1, 1), demand.made());
  LongestOnDemand next;
  const std::int32_t changed[] = {4};
  next.follow(demand, changed, 9001);
  ASSERT_NE(next.get(rows.view(), 1, 1), nullptr);
  std::vector<std::int32_t> many(1000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i] = static_cast<std::int32_t>(i);
  LongestOnDemand last;
  last.follow(next, many, 9001);
  EXPECT_EQ(last.made(), nullptr);
  EXPECT_EQ(last.get(rows.view(), 2, 1), nullptr);
  EXPECT_NE(last.get(rows.view(), 1, 1), nullptr);
}

TEST(LongestOnDemand, MayBeAskedByMany) {
  const Rows rows(9001, 64, false, 2);
  LongestOnDemand demand;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      ScanWorkspace mine, plain;
      for (int i = 0; i < 20; ++i) {
        ScoredRows with = rows.view();
        with.longest = demand.get(with, 1, 1);
        const ScanRequest request{rows.data.data() + 64 * i, 10};
        EXPECT_TRUE(std::ranges::equal(exact_top_k(with, request, mine), exact_top_k(rows.view(), request, plain)));
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_NE(demand.made(), nullptr);
}

}  // namespace
}  // namespace etalage::search
