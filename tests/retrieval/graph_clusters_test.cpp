// SPDX-License-Identifier: Apache-2.0
// Graphs of many rows, whose links are chosen from near rows that clusters give.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/row_scores.hpp"
#include "retrieval/graph/cluster_candidates.hpp"
#include "retrieval/index_data.hpp"
#include "retrieval/item_store.hpp"
#include "retrieval/scorer.hpp"

namespace etalage::retrieval {
namespace {

using test::clustered;
using test::id_range;
using test::Vectors;

constexpr std::size_t kRows = 20'000;

ItemIndexOptions options_of(int threads) {
  ItemIndexOptions o;
  o.ef_construction = 40;
  o.num_threads = threads;
  return o;
}

class GraphClusters : public testing::TestWithParam<IndexMetric> {};

TEST_P(GraphClusters, FindWhatAnExactSearchFinds) {
  const Vectors x = clustered(kRows, 24, 300, 1);
  const Vectors q = clustered(200, 24, 300, 2);
  ItemIndex graph(24, GetParam(), IndexKind::kHnsw, options_of(2));
  ItemIndex exact(24, GetParam(), IndexKind::kExact);
  graph.add(x.view(), id_range(0, kRows));
  exact.add(x.view(), id_range(0, kRows));
  const auto truth = test::search_all(exact, q, 10);
  EXPECT_GE(test::recall(test::search_all(graph, q, 10), truth), 0.97);

  // What comes later is linked to what is there.
  const Vectors more = clustered(500, 24, 300, 3);
  graph.add(more.view(), id_range(kRows, 500));
  exact.add(more.view(), id_range(kRows, 500));
  std::size_t itself = 0;
  for (const auto& found : test::search_all(graph, more, 1)) itself += found[0].id >= static_cast<std::int64_t>(kRows);
  EXPECT_GE(itself, 495U);
  EXPECT_GE(test::recall(test::search_all(graph, q, 10), test::search_all(exact, q, 10)), 0.97);
}

TEST_P(GraphClusters, AreTheSameForAnyNumberOfThreads) {
  const Vectors x = clustered(kRows, 16, 50, 4);
  const Vectors q = clustered(300, 16, 50, 5);
  ItemIndex one(16, GetParam(), IndexKind::kHnsw, options_of(1));
  ItemIndex two(16, GetParam(), IndexKind::kHnsw, options_of(2));
  one.add(x.view(), id_range(0, kRows));
  two.add(x.view(), id_range(0, kRows));
  EXPECT_EQ(one.distances_per_query(q.view(), 10), two.distances_per_query(q.view(), 10));
  const auto a = test::search_all(one, q, 10);
  const auto b = test::search_all(two, q, 10);
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[i].size(); ++j) EXPECT_EQ(a[i][j].id, b[i][j].id);
}

INSTANTIATE_TEST_SUITE_P(Metrics, GraphClusters, testing::Values(IndexMetric::kCosine, IndexMetric::kL2));

TEST(GraphClusters, ManyCopiesOfOneVectorAreLinkedAndFound) {
  Vectors x = clustered(kRows, 16, 50, 6);
  for (std::size_t i = 0; i < kRows / 2; ++i) std::copy_n(x.data.begin(), 16, x.data.begin() + static_cast<std::ptrdiff_t>(2 * i * 16));
  ItemIndex graph(16, IndexMetric::kL2, IndexKind::kHnsw, options_of(2));
  graph.add(x.view(), id_range(0, kRows));
  ItemIndex exact(16, IndexMetric::kL2, IndexKind::kExact);
  exact.add(x.view(), id_range(0, kRows));
  const Vectors q = clustered(200, 16, 50, 7);
  EXPECT_GE(test::recall(test::search_all(graph, q, 10), test::search_all(exact, q, 10)), 0.95);
  Scratch scratch;
  std::vector<Neighbor> found(20);
  ASSERT_EQ(graph.search(x.row(0), found, nullptr, scratch), 20U);
  for (const Neighbor& n : found) EXPECT_EQ(n.score, 0.0F);
}

TEST_P(GraphClusters, MayHoldZeroVectors) {
  Vectors x = clustered(kRows, 16, 50, 9);
  for (std::size_t i = 0; i < kRows; i += 50) std::fill_n(x.data.begin() + static_cast<std::ptrdiff_t>(i * 16), 16, 0.0F);
  const Vectors q = clustered(200, 16, 50, 10);
  ItemIndex one(16, GetParam(), IndexKind::kHnsw, options_of(1));
  ItemIndex two(16, GetParam(), IndexKind::kHnsw, options_of(2));
  ItemIndex exact(16, GetParam(), IndexKind::kExact);
  for (ItemIndex* index : {&one, &two, &exact}) index->add(x.view(), id_range(0, kRows));
  EXPECT_EQ(one.distances_per_query(q.view(), 10), two.distances_per_query(q.view(), 10));
  EXPECT_GE(test::recall(test::search_all(two, q, 10), test::search_all(exact, q, 10)), 0.9);
}

TEST(ClusterCandidates, OfAZeroRowAreTheShortest) {
  if (kernels::code().panel == 0) GTEST_SKIP() << "no panels of eight bits on this CPU";
  Vectors x = clustered(kRows, 16, 50, 11);
  for (std::size_t i = 0; i < kRows; i += 100) std::fill_n(x.data.begin() + static_cast<std::ptrdiff_t>(i * 16), 16, 0.0F);
  ItemStore store(16, kRows);
  for (std::size_t i = 0; i < kRows; ++i) {
    store.write(i, x.row(i).data(), static_cast<std::int64_t>(i));
    store.publish();
  }
  const LinkSpace space{IndexMetric::kL2, store.vectors.data(), store.norms2.data(), 16, store.codes.data(), store.shape, 0};
  const ClusterCandidates clusters(space, std::vector<std::uint8_t>(kRows, 1), 3, 2);
  ClusterCandidates::Worker w;
  std::size_t zeros = 0;
  for (std::size_t c = 0; c < clusters.clusters(); ++c)
    clusters.each(c, 100, 20, w, [&](std::int32_t row, std::span<const kernels::Bounded> found, std::span<const kernels::Bounded> hubs) {
      if (row % 100 != 0) return;
      ++zeros;
      ASSERT_EQ(found.size(), 100U);
      ASSERT_EQ(hubs.size(), 20U);
      for (const auto near : {found, hubs})
        for (const kernels::Bounded& b : near) ASSERT_EQ(b.index % 100, 0U);
    });
  EXPECT_EQ(zeros, kRows / 100);
}

TEST(ClusterCandidates, OfASmallSetAreItsNearestRows) {
  if (kernels::code().panel == 0) GTEST_SKIP() << "no panels of eight bits on this CPU";
  const Vectors x = clustered(kRows, 16, 50, 8);
  ItemStore store(16, kRows);
  for (std::size_t i = 0; i < kRows; ++i) {
    store.write(i, x.row(i).data(), static_cast<std::int64_t>(i));
    store.publish();
  }
  const LinkSpace space{IndexMetric::kL2, store.vectors.data(), store.norms2.data(), 16, store.codes.data(), store.shape, 0};
  ASSERT_TRUE(ClusterCandidates::suit(space, kRows));
  std::vector<std::uint8_t> is_hub(kRows);
  for (std::size_t i = 0; i < kRows; i += 16) is_hub[i] = 1;
  const ClusterCandidates clusters(space, is_hub, 3, 2);
  std::vector<int> seen(kRows);
  ClusterCandidates::Worker w;
  LinkScorer scorer(space);
  std::size_t hits = 0, all = 0;
  for (std::size_t c = 0; c < clusters.clusters(); ++c)
    clusters.each(c, 100, 20, w, [&](std::int32_t row, std::span<const kernels::Bounded> found, std::span<const kernels::Bounded> hubs) {
      ++seen[static_cast<std::size_t>(row)];
      ASSERT_EQ(found.size(), 100U);
      ASSERT_EQ(hubs.size(), 20U);
      for (const kernels::Bounded& b : hubs) ASSERT_EQ(b.index % 16, 0U);
      if (row % 500 != 0) return;
      std::vector<std::int32_t> rows(kRows);
      std::iota(rows.begin(), rows.end(), 0);
      std::vector<float> scores(kRows);
      scorer.set(row);
      scorer.rows(rows.data(), kRows, scores.data());
      std::nth_element(rows.begin(), rows.begin() + 20, rows.end(), [&](std::int32_t a, std::int32_t b) { return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)]; });
      rows.resize(20);
      for (const kernels::Bounded& b : found) hits += std::find(rows.begin(), rows.end(), static_cast<std::int32_t>(b.index)) != rows.end();
      all += 20;
    });
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
  EXPECT_GE(static_cast<double>(hits), 0.98 * static_cast<double>(all));
}

}  // namespace
}  // namespace etalage::retrieval
