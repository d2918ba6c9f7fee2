// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/frequent_sets.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "etalage/marketing/association_rules.hpp"

namespace etalage {
namespace {

struct Baskets {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
};

Baskets random_baskets(std::size_t n, std::int32_t items, int most, unsigned seed) {
  std::mt19937 rng(seed);
  Baskets b;
  for (std::size_t i = 0; i < n; ++i) {
    const auto size = static_cast<int>(rng() % static_cast<unsigned>(most + 1));
    for (int k = 0; k < size; ++k) b.items.push_back(static_cast<std::int32_t>(rng() % static_cast<unsigned>(items)));
    b.offsets.push_back(static_cast<std::int64_t>(b.items.size()));
  }
  return b;
}

TEST(FrequentSets, CountsEverySetOfSmallCases) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    const Baskets b = random_baskets(60, 8, 7, seed);
    for (const std::int64_t min_count : {1, 3, 9}) {
      std::map<std::vector<std::int32_t>, std::int64_t> want;
      for (std::uint32_t mask = 1; mask < 256; ++mask) {
        std::vector<std::int32_t> set;
        for (std::int32_t i = 0; i < 8; ++i)
          if ((mask >> i & 1u) != 0) set.push_back(i);
        std::int64_t count = 0;
        for (std::size_t r = 0; r + 1 < b.offsets.size(); ++r) {
          std::uint32_t held = 0;
          for (std::int64_t i = b.offsets[r]; i < b.offsets[r + 1]; ++i) held |= 1u << b.items[static_cast<std::size_t>(i)];
          count += (held & mask) == mask ? 1 : 0;
        }
        if (count >= min_count) want[set] = count;
      }
      const FrequentSets sets = frequent_sets(b.offsets, b.items, {.min_count = min_count});
      std::map<std::vector<std::int32_t>, std::int64_t> got;
      for (std::size_t s = 0; s < sets.size(); ++s) got[{sets.of(s).begin(), sets.of(s).end()}] = sets.counts[s];
      EXPECT_EQ(got, want);
      EXPECT_EQ(sets.size(), want.size());
      for (std::size_t s = 1; s < sets.size(); ++s) {
        EXPECT_LE(sets.of(s - 1).size(), sets.of(s).size());
        if (sets.of(s - 1).size() == sets.of(s).size()) {
          EXPECT_GE(sets.counts[s - 1], sets.counts[s]);
        }
      }
    }
  }
}

TEST(FrequentSets, AnyNumberOfThreadsGivesTheSameAnswer) {
  const Baskets b = random_baskets(3000, 60, 15, 1);
  const FrequentSets one = frequent_sets(b.offsets, b.items, {.min_count = 20, .num_threads = 1});
  const FrequentSets four = frequent_sets(b.offsets, b.items, {.min_count = 20, .num_threads = 4});
  EXPECT_GT(one.size(), 500u);
  EXPECT_EQ(one.items, four.items);
  EXPECT_EQ(one.counts, four.counts);
  EXPECT_EQ(one.offsets, four.offsets);
}

TEST(FrequentSets, BadInputIsNamed) {
  const std::vector<std::int32_t> items{0, 1, 2};
  const std::vector<std::int64_t> good{0, 3};
  for (const std::vector<std::int64_t>& offsets : {std::vector<std::int64_t>{}, {0, 2}, {1, 3}, {0, 2, 1, 3}, {0, 4}})
    EXPECT_THROW((void)frequent_sets(offsets, items, {}), std::invalid_argument);
  EXPECT_THROW((void)frequent_sets(good, std::vector<std::int32_t>{0, -1, 2}, {}), std::invalid_argument);
  EXPECT_THROW((void)frequent_sets(good, items, {.min_count = 0}), std::invalid_argument);
  EXPECT_THROW((void)frequent_sets(good, items, {.max_length = -1}), std::invalid_argument);
  EXPECT_THROW((void)frequent_sets(good, items, {.max_sets = 3, .num_threads = 2}), std::invalid_argument);
  EXPECT_EQ(frequent_sets(std::vector<std::int64_t>{0}, {}, {}).size(), 0u);
}

TEST(Share, IsTheShortestDecimal) {
  for (std::uint64_t hundredths = 0; hundredths <= 100; ++hundredths) {
    const Share s = Share::of(static_cast<double>(hundredths) / 100);
    EXPECT_EQ(s.numerator * 100, hundredths * s.denominator);
    EXPECT_TRUE(s.reached_by(hundredths, 100));
    if (hundredths > 0) {
      EXPECT_FALSE(s.reached_by(hundredths - 1, 100));
    }
    EXPECT_EQ(s.smallest_part(100), hundredths);
  }
  EXPECT_EQ(Share::of(1e-3).denominator, 1000u);
  EXPECT_EQ(Share::of(1.5e-10).numerator, 3u);
  EXPECT_EQ(Share::of(0.8).smallest_part(9835), 7868u);
  EXPECT_TRUE((Share{1, 3}.reached_by(std::uint64_t{1} << 62, (std::uint64_t{1} << 62) * 3)));
  EXPECT_FALSE((Share{1, 3}.reached_by((std::uint64_t{1} << 62) - 1, (std::uint64_t{1} << 62) * 3)));
  for (const double bad : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN(), 1e-30}) EXPECT_THROW((void)Share::of(bad), std::invalid_argument);
}

TEST(AssociationRules, HoldEveryRuleAndNameAMissingPart) {
  const Baskets b = random_baskets(200, 7, 5, 3);
  const FrequentSets sets = frequent_sets(b.offsets, b.items, {.min_count = 3});
  std::size_t expected = 0;
  for (std::size_t s = 0; s < sets.size(); ++s) expected += sets.of(s).size() >= 2 ? sets.of(s).size() : 0;
  const AssociationRules all = association_rules(sets, {});
  EXPECT_EQ(all.set.size(), expected);
  EXPECT_EQ(all.tested, static_cast<std::int64_t>(expected));
  const Share half = Share::of(0.5);
  std::size_t confident = 0;
  for (std::size_t i = 0; i < all.set.size(); ++i)
    confident += 2 * sets.counts[static_cast<std::size_t>(all.set[i])] >= sets.counts[static_cast<std::size_t>(all.antecedent[i])] ? 1 : 0;
  EXPECT_EQ(association_rules(sets, {.min_confidence = half, .num_threads = 3}).set.size(), confident);
  FrequentSets part = sets;
  part.offsets.erase(part.offsets.begin() + 1);
  for (std::size_t i = 1; i < part.offsets.size(); ++i) --part.offsets[i];
  part.items.erase(part.items.begin());
  part.counts.erase(part.counts.begin());
  EXPECT_THROW((void)association_rules(part, {}), std::invalid_argument);
}

TEST(AssociationRules, FisherSumsToOneAndCountsMustAgree) {
  for (const PairCounts& c : {PairCounts{3, 10, 20, 100}, PairCounts{1, 5, 5, 9}, PairCounts{5, 5, 5, 5}, PairCounts{1000, 2000, 3000, 10000}}) {
    PairCounts below = c;
    --below.both;
    const double less = c.both > std::max<std::int64_t>(0, c.a + c.b - c.baskets) ? fisher_fewer(below) : 0;
    EXPECT_NEAR(fisher_more(c) + less, 1, 1e-10);
  }
  EXPECT_THROW((void)fisher_more({3, 2, 5, 10}), std::invalid_argument);
  EXPECT_THROW((void)fisher_more({0, 8, 8, 10}), std::invalid_argument);
  EXPECT_EQ(benjamini_hochberg(std::vector<double>{0.01, 0.04, 0.03}), (std::vector<double>{0.03, 0.04, 0.04}));
  EXPECT_THROW((void)benjamini_hochberg(std::vector<double>{1.5}), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
