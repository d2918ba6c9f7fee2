// SPDX-License-Identifier: Apache-2.0
#include "search/top_k.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "models/factor_fixture.hpp"

namespace etalage {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Case {
  std::vector<float> scores;
  std::vector<std::int32_t> excluded;
  std::vector<ItemFilter> filters;  // the first allows everything
};

// Scores of few distinct values, some of which say "not a candidate".
Case make(std::size_t n, unsigned seed) {
  std::mt19937 rng(seed);
  Case c;
  std::vector<std::int64_t> some;
  for (std::size_t i = 0; i < n; ++i) {
    const auto r = rng() % 12;
    c.scores.push_back(r == 0 ? -kInf : r == 1 ? std::nanf("") : r == 2 ? -0.0f : static_cast<float>(r) - 5);
    if (rng() % 5 == 0) c.excluded.push_back(static_cast<std::int32_t>(i));
    if (rng() % 7 == 0) some.push_back(static_cast<std::int64_t>(i));
  }
  some.push_back(static_cast<std::int64_t>(n) + 3);
  c.filters = {ItemFilter(), ItemFilter::allow(some), ItemFilter::deny(some),
               ItemFilter::allow(some) & ItemFilter::deny(c.excluded)};
  return c;
}

std::vector<ItemScore> by_definition(const Case& c, bool exclude, const ItemFilter* filter, std::size_t k) {
  std::vector<ItemScore> all;
  for (std::size_t i = 0; i < c.scores.size(); ++i) {
    const auto item = static_cast<std::int32_t>(i);
    if (exclude && std::binary_search(c.excluded.begin(), c.excluded.end(), item)) continue;
    if (filter != nullptr && !filter->allows(item)) continue;
    if (c.scores[i] > -kInf) all.push_back({item, c.scores[i]});
  }
  std::stable_sort(all.begin(), all.end(), [](const ItemScore& a, const ItemScore& b) { return a.score > b.score; });
  all.resize(std::min(all.size(), k));
  return all;
}

TEST(TopK, DenseAndListedSelectionEqualASort) {
  for (const std::size_t n : {0u, 1u, 5u, 255u, 256u, 257u, 3000u}) {
    const Case c = make(n, static_cast<unsigned>(n));
    std::vector<std::int32_t> items(n);
    for (std::size_t i = 0; i < n; ++i) items[i] = static_cast<std::int32_t>(i);
    Scratch scratch;
    for (const std::size_t k : {0u, 1u, 10u, 5000u})
      for (const bool exclude : {false, true})
        for (const ItemFilter& filter : c.filters) {
          const auto want = by_definition(c, exclude, &filter, k);
          const std::span<const std::int32_t> excluded = exclude ? std::span<const std::int32_t>(c.excluded) : std::span<const std::int32_t>();
          std::vector<ItemScore> out(k);
          out.resize(select_top_k(c.scores, excluded, &filter, out, scratch));
          EXPECT_EQ(out, want) << "dense, n " << n << " k " << k;
          out.assign(k, {});
          out.resize(select_top_k(items, c.scores, excluded, &filter, out, scratch));
          EXPECT_EQ(out, want) << "listed, n " << n << " k " << k;
        }
  }
}

TEST(TopK, SeenItemsAreSortedAndUniqueWithoutACopyWhereTheyAreSo) {
  Scratch scratch;
  const std::vector<std::int32_t> sorted{1, 4, 9};
  EXPECT_EQ(sorted_unique(sorted, {}, scratch).data(), sorted.data());
  const std::vector<std::int32_t> session{9, 2, 2};
  const auto both = sorted_unique(sorted, session, scratch);
  EXPECT_EQ(std::vector<std::int32_t>(both.begin(), both.end()), (std::vector<std::int32_t>{1, 2, 4, 9}));
  const auto only = sorted_unique(session, {}, scratch);
  EXPECT_EQ(std::vector<std::int32_t>(only.begin(), only.end()), (std::vector<std::int32_t>{2, 9}));
  EXPECT_TRUE(sorted_unique({}, {}, scratch).empty());
}

}  // namespace
}  // namespace etalage
