// SPDX-License-Identifier: Apache-2.0
// Recall@10 of the approximate kinds against the exact one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"

namespace etalage {
namespace {

using test::id_range;
using test::Vectors;

constexpr std::size_t kItems = 10000;
constexpr std::size_t kQueries = 100;
constexpr std::size_t kDim = 32;

struct Case {
  const char* name;
  bool heavy_tailed;
  IndexMetric metric;
};

class Recall : public testing::TestWithParam<Case> {
 protected:
  static Vectors items(const Case& c) { return c.heavy_tailed ? test::heavy_tailed(kItems, kDim, 1) : test::clustered(kItems, kDim, 40, 1); }
  static Vectors queries() { return test::clustered(kQueries, kDim, 40, 2); }

  static void expect_recall(IndexKind kind, ItemIndexOptions options, double lowest) {
    const Vectors data = items(GetParam());
    ItemIndex exact(kDim, GetParam().metric, IndexKind::kExact);
    ItemIndex index(kDim, GetParam().metric, kind, options);
    exact.add(data.view(), id_range(0, kItems));
    index.add(data.view(), id_range(0, kItems));
    const double all = test::recall(test::search_all(index, queries(), 10), test::search_all(exact, queries(), 10));
    EXPECT_GE(all, lowest) << "without a filter";
    for (const std::int64_t every : {10, 100, 1000}) {
      // Shares of 10 %, 1 % and 0.1 %.
      const auto ids = id_range(3, kItems / static_cast<std::size_t>(every), every);
      const ItemFilter filter = ItemFilter::allow(std::span<const std::int64_t>(ids));
      const auto found = test::search_all(index, queries(), 10, &filter);
      for (const auto& row : found) {
        ASSERT_EQ(row.size(), std::min<std::size_t>(10, ids.size()));
        for (const Neighbor& n : row) ASSERT_TRUE(filter.allows(n.id));
      }
      EXPECT_GE(test::recall(found, test::search_all(exact, queries(), 10, &filter)), lowest) << "one in " << every;
    }
  }
};

TEST_P(Recall, OfGraphs) {
  expect_recall(IndexKind::kHnsw, {.ef_search = 100}, 0.97);
}

TEST_P(Recall, OfInvertedLists) { expect_recall(IndexKind::kIvfPq, {.nprobe = 32, .rescore_factor = 20}, 0.95); }

TEST_P(Recall, OfInvertedListsInEightBits) { expect_recall(IndexKind::kIvf, {.nprobe = 24}, 0.97); }

INSTANTIATE_TEST_SUITE_P(Data, Recall,
                         testing::Values(Case{"ClusteredCosine", false, IndexMetric::kCosine}, Case{"ClusteredL2", false, IndexMetric::kL2},
                                         Case{"HeavyTailedDot", true, IndexMetric::kDot}),
                         [](const auto& i) { return i.param.name; });

TEST(Replacement, OfHalfByLargerNormsKeepsRecallAndMemory) {
  constexpr std::size_t items = 5000;
  const Vectors before = test::clustered(items, kDim, 40, 1);
  const Vectors larger = test::clustered(items / 2, kDim, 40, 3).scale(1, 10, 4);
  const Vectors queries = test::clustered(200, kDim, 40, 2);
  for (const bool in_steps : {false, true}) {
    ItemIndex index(kDim, IndexMetric::kDot, IndexKind::kHnsw);
    index.add(before.view(), id_range(0, items));
    // Every other item, all at once or as a shop would over a day.
    const std::size_t step = in_steps ? items / 20 : items / 2;
    for (std::size_t begin = 0; begin < items / 2; begin += step)
      index.update(larger.slice(begin, begin + step).view(), id_range(static_cast<std::int64_t>(2 * begin), step, 2));
    Vectors now = before;
    for (std::size_t i = 0; i < items / 2; ++i) std::copy(larger.row(i).begin(), larger.row(i).end(), now.data.begin() + static_cast<std::ptrdiff_t>(2 * i * kDim));
    ItemIndex exact(kDim, IndexMetric::kDot, IndexKind::kExact);
    ItemIndex fresh(kDim, IndexMetric::kDot, IndexKind::kHnsw);
    exact.add(now.view(), id_range(0, items));
    fresh.add(now.view(), id_range(0, items));
    const auto truth = test::search_all(exact, queries, 10);
    const double fresh_recall = test::recall(test::search_all(fresh, queries, 10), truth);
    EXPECT_GE(fresh_recall, 0.95);
    EXPECT_GE(test::recall(test::search_all(index, queries, 10), truth), fresh_recall - 0.01) << "before compaction";
    index.compact();
    EXPECT_GE(test::recall(test::search_all(index, queries, 10), truth), fresh_recall - 0.01);
    EXPECT_LE(static_cast<double>(index.memory_bytes()), 1.3 * static_cast<double>(fresh.memory_bytes()));
    EXPECT_EQ(index.size(), items);
  }
}

TEST(Growth, OneByOneWithEverLargerNormsKeepsRecall) {
  constexpr std::size_t n = 3000;
  Vectors data = test::clustered(n, kDim, 40, 1);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t f = 0; f < kDim; ++f) data.data[i * kDim + f] *= 1 + 30 * static_cast<float>(i) / n;
  ItemIndex index(kDim, IndexMetric::kDot, IndexKind::kHnsw);
  ItemIndex exact(kDim, IndexMetric::kDot, IndexKind::kExact);
  exact.add(data.view(), id_range(0, n));
  for (std::size_t i = 0; i < n; ++i) index.add(data.slice(i, i + 1).view(), id_range(static_cast<std::int64_t>(i), 1));
  const Vectors queries = test::clustered(200, kDim, 40, 2);
  EXPECT_GE(test::recall(test::search_all(index, queries, 10), test::search_all(exact, queries, 10)), 0.95);
}

TEST(Filters, ThatContradictTheQueryAreStillAnsweredInFull) {
  // Allowed: the items farthest from the query. A walk would have to cross the whole graph.
  const Vectors data = test::clustered(kItems, kDim, 40, 1);
  ItemIndex index(kDim, IndexMetric::kL2, IndexKind::kHnsw);
  ItemIndex exact(kDim, IndexMetric::kL2, IndexKind::kExact);
  index.add(data.view(), id_range(0, kItems));
  exact.add(data.view(), id_range(0, kItems));
  const Vectors queries = test::clustered(20, kDim, 40, 2);
  const auto ranking = test::search_all(exact, queries, kItems);
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    std::vector<std::int64_t> far;
    for (std::size_t j = kItems * 4 / 5; j < kItems; ++j) far.push_back(ranking[i][j].id);
    const ItemFilter filter = ItemFilter::allow(std::span<const std::int64_t>(far));
    const Vectors query = queries.slice(i, i + 1);
    const auto found = test::search_all(index, query, 10, &filter);
    ASSERT_EQ(found[0].size(), 10u);
    EXPECT_GE(test::recall(found, test::search_all(exact, query, 10, &filter)), 0.9);
  }
}

}  // namespace
}  // namespace etalage
