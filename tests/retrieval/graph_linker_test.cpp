// SPDX-License-Identifier: Apache-2.0
// The graph that GraphLinker makes, held to what every graph has to be: links in range, none to itself or twice, no more
// than there are places, a way to every node, the same bits for any number of threads.
#include "retrieval/graph/graph_linker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "etalage/retrieval/item_index.hpp"
#include "retrieval/graph/graph_walk.hpp"
#include "retrieval/index_data.hpp"
#include "retrieval/item_store.hpp"

namespace etalage::retrieval {
namespace {

using test::clustered;
using test::heavy_tailed;
using test::id_range;
using test::Vectors;

ItemStore store_of(const Vectors& v, IndexMetric metric) {
  ItemStore store(v.dim, v.rows());
  std::vector<float> x(v.dim);
  for (std::size_t i = 0; i < v.rows(); ++i) {
    std::copy(v.row(i).begin(), v.row(i).end(), x.begin());
    if (metric == IndexMetric::kCosine) normalize(x.data(), x.size(), x.data());
    store.write(i, x.data(), static_cast<std::int64_t>(i));
    store.publish();
  }
  return store;
}

LinkSpace space_of(const ItemStore& s, IndexMetric metric) {
  double sum = 0;
  for (std::size_t i = 0; i < s.rows; ++i) sum += static_cast<double>(s.norms2[i]);
  const double radius2 = s.rows == 0 ? 0 : 2 * sum / static_cast<double>(s.rows);
  return {metric, s.vectors.data(), s.norms2.data(), s.dim, s.codes.data(), s.shape, static_cast<float>(radius2)};
}

void expect_whole(const GraphView& g, std::size_t nodes) {
  ASSERT_EQ(g.nodes, nodes);
  if (nodes == 0) {
    EXPECT_EQ(g.entry, -1);
    return;
  }
  ASSERT_GE(g.entry, 0);
  ASSERT_LT(static_cast<std::size_t>(g.entry), nodes);
  EXPECT_EQ(g.level(static_cast<std::size_t>(g.entry)), g.top_layer + 1);
  std::vector<std::uint8_t> reached(nodes);
  std::vector<std::int32_t> queue{g.entry};
  reached[static_cast<std::size_t>(g.entry)] = 1;
  for (std::size_t i = 0; i < nodes; ++i) {
    const auto node = static_cast<std::int32_t>(i);
    for (std::int32_t layer = 0; layer < g.level(i); ++layer) {
      const auto links = g.links(node, layer);
      ASSERT_LE(links.size(), layer == 0 ? 2 * g.M : g.M);
      std::set<std::int32_t> seen;
      for (const std::int32_t link : links) {
        if (link < 0) break;
        ASSERT_LT(static_cast<std::size_t>(link), nodes);
        EXPECT_NE(link, node);
        EXPECT_GT(g.level(static_cast<std::size_t>(link)), layer);
        EXPECT_TRUE(seen.insert(link).second) << "node " << i << " links to " << link << " twice";
      }
    }
  }
  for (std::size_t head = 0; head < queue.size(); ++head) {
    for (const std::int32_t link : g.links(queue[head], 0)) {
      if (link < 0) break;
      if (std::exchange(reached[static_cast<std::size_t>(link)], std::uint8_t{1}) == 0) queue.push_back(link);
    }
  }
  EXPECT_EQ(queue.size(), nodes) << "some nodes are out of reach";
}

std::vector<std::int32_t> links_of(const GraphView& g, std::size_t node, std::int32_t layer) {
  std::vector<std::int32_t> out(2 * g.M);
  out.resize(gather_links(g, static_cast<std::int32_t>(node), layer, out.data(), [](std::int32_t) { return true; }));
  return out;
}

void expect_same_links(const GraphView& a, const GraphView& b) {
  ASSERT_EQ(a.nodes, b.nodes);
  for (std::size_t i = 0; i < a.nodes; ++i) {
    ASSERT_EQ(a.level(i), b.level(i)) << i;
    for (std::int32_t layer = 0; layer < a.level(i); ++layer) ASSERT_EQ(links_of(a, i, layer), links_of(b, i, layer)) << i;
  }
}

class EveryMetric : public testing::TestWithParam<IndexMetric> {
 protected:
  static std::shared_ptr<HnswGraph> graph_of(const Vectors& v, int M, int threads = 2) {
    const ItemStore store = store_of(v, GetParam());
    return HnswGraph::build({.M = M, .ef_construction = 40}, space_of(store, GetParam()), store.rows, threads);
  }
};

TEST_P(EveryMetric, GraphsAreWholeAtEverySize) {
  for (const int M : {2, 6, 16})
    for (const int count : {0, 1, 2, 3, M + 1, 2 * M + 2, 65, 1500}) {
      const auto n = static_cast<std::size_t>(count);
      SCOPED_TRACE(testing::Message() << n << " nodes, M " << M);
      const auto graph = graph_of(clustered(n, 19, 9, 1), M);
      expect_whole(graph->view(), n);
    }
}

TEST_P(EveryMetric, GraphsOfShortVectorsAndOfHeavyTailsAreWhole) {
  for (const std::size_t dim : {1u, 3u, 8u}) expect_whole(graph_of(clustered(800, dim, 9, 1), 4)->view(), 800);
  expect_whole(graph_of(heavy_tailed(1500, 24, 1), 8)->view(), 1500);
}

TEST_P(EveryMetric, CopiesAndZeroVectorsStayConnected) {
  const Vectors others = clustered(600, 12, 9, 1);
  for (const bool zero : {false, true}) {
    Vectors v = others;
    std::vector<float> copy(others.row(5).begin(), others.row(5).end());
    if (zero) std::fill(copy.begin(), copy.end(), 0.0f);
    for (int i = 0; i < 500; ++i) v.data.insert(v.data.begin() + (i % 3 == 0 ? 0 : static_cast<std::ptrdiff_t>(v.data.size())), copy.begin(), copy.end());
    expect_whole(graph_of(v, 6)->view(), 1100);
  }
  Vectors same{4, std::vector<float>(4 * 700, 1.5f)};
  expect_whole(graph_of(same, 4)->view(), 700);
}

TEST_P(EveryMetric, AnyNumberOfThreadsGivesTheSameBits) {
  const Vectors v = heavy_tailed(5000, 24, 1);
  const auto one = graph_of(v, 8, 1);
  for (const int threads : {2, 5}) {
    const auto many = graph_of(v, 8, threads);
    const GraphView a = one->view();
    const GraphView b = many->view();
    ASSERT_EQ(a.nodes, b.nodes);
    EXPECT_EQ(a.entry, b.entry);
    expect_same_links(a, b);
  }
}

TEST_P(EveryMetric, GrowthIsTheSameForAnyNumberOfThreadsAndFindsWhatABuildDoes) {
  const Vectors v = clustered(4000, 24, 30, 1);
  const Vectors queries = clustered(100, 24, 30, 2);
  ItemIndex exact(24, GetParam(), IndexKind::kExact);
  exact.add(v.view(), id_range(0, 4000));
  const auto truth = test::search_all(exact, queries, 10);
  std::vector<std::vector<std::vector<Neighbor>>> answers;
  for (const int threads : {1, 2, 5}) {
    ItemIndex index(24, GetParam(), IndexKind::kHnsw, {.ef_search = 50, .num_threads = threads});
    index.add(v.slice(0, 2500).view(), id_range(0, 2500));
    for (std::size_t begin = 2500; begin < 4000; begin += 300) index.add(v.slice(begin, begin + 300).view(), id_range(static_cast<std::int64_t>(begin), 300));
    answers.push_back(test::search_all(index, queries, 10));
    EXPECT_GE(test::recall(answers.back(), truth), 0.97);
  }
  for (std::size_t t = 1; t < answers.size(); ++t)
    for (std::size_t i = 0; i < queries.rows(); ++i)
      for (std::size_t j = 0; j < 10; ++j) EXPECT_EQ(answers[t][i][j].id, answers[0][i][j].id);
}

TEST_P(EveryMetric, AGraphAtRestGrowsAsOneThatWasNeverPacked) {
  const Vectors v = clustered(1200, 16, 9, 1);
  const ItemStore store = store_of(v, GetParam());
  const ItemIndexOptions options{.M = 5, .ef_construction = 40};
  const auto packed = HnswGraph::build(options, space_of(store, GetParam()), 1000, 1);
  const auto grown = packed->grown(options, 1200);
  const GraphView a = packed->view();
  const GraphView b = grown->view();
  EXPECT_FALSE(packed->has_room(1001));
  EXPECT_TRUE(grown->has_room(1200));
  EXPECT_LT(packed->memory_bytes(), grown->memory_bytes());
  std::vector<std::int32_t> x(10);
  std::vector<std::int32_t> y(10);
  const auto any = [](std::int32_t) { return true; };
  for (std::int32_t node = 0; node < 1000; ++node)
    for (std::int32_t layer = 0; layer < a.level(static_cast<std::size_t>(node)); ++layer) {
      const std::size_t n = gather_links(a, node, layer, x.data(), any);
      ASSERT_EQ(gather_links(b, node, layer, y.data(), any), n);
      EXPECT_TRUE(std::equal(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n), y.begin()));
      ASSERT_EQ(b.links(node, layer).size(), layer == 0 ? 10u : 5u);
    }
  grown->allocate(1200);
  GraphLinker linker(*grown, space_of(store, GetParam()), 40, 2);
  std::vector<std::int32_t> nodes(1200);
  std::iota(nodes.begin(), nodes.end(), 0);
  for (std::size_t begin = 1000; begin < 1200; begin += 25) linker.link(std::span(nodes).subspan(begin, 25));
  std::vector<std::int32_t> everybody(1200);
  std::iota(everybody.begin(), everybody.end(), 0);
  linker.connect(everybody);
  grown->pack();
  expect_whole(grown->view(), 1200);
}

TEST(WalkPlace, IsBehindAllThatAreAsGood) {
  std::mt19937 random(1);
  for (std::size_t size = 0; size < 40; ++size)
    for (int turn = 0; turn < 50; ++turn) {
      std::vector<WalkState::Entry> pool(size + 1);
      for (std::size_t i = 0; i < size; ++i) pool[i] = {static_cast<float>(random() % 12), 0};
      std::sort(pool.begin(), pool.end() - 1, [](const auto& a, const auto& b) { return a.score > b.score; });
      const auto score = static_cast<float>(random() % 14) - 1;
      std::size_t expected = 0;
      while (expected < size && pool[expected].score >= score) ++expected;
      ASSERT_EQ(walk_place(pool.data(), size, score), expected);
    }
}

TEST(PackedGraph, LinksOfEveryWidthAreTheSame) {
  // More nodes than two bytes name, and than are counted from one base.
  for (const std::size_t n : {0u, 1u, 2u, 3000u, 65535u, 65536u, 70000u}) {
    SCOPED_TRACE(n);
    const ItemStore store = store_of(clustered(n, 4, 30, 1), IndexMetric::kL2);
    const ItemIndexOptions options{.M = 3, .ef_construction = 4};
    const auto built = HnswGraph::build(options, space_of(store, IndexMetric::kL2), n, 2);
    const GraphView packed = built->view();
    EXPECT_EQ(packed.width, n < 65536 ? 2u : 3u);
    expect_whole(packed, n);
    const auto wide = built->grown(options, n);
    expect_same_links(packed, wide->view());
    for (const std::size_t width : {2u, 3u, 4u}) {
      const auto again = built->grown(options, n);
      again->pack(width);
      EXPECT_EQ(again->view().width, std::max(width, packed.width));
      expect_same_links(packed, again->view());
      EXPECT_EQ(again->view().all_links().size(), packed.all_links().size());
    }
  }
}

/// Similarities in double.
double plain_similarity(const LinkSpace& s, std::int32_t i, std::int32_t j) {
  const float* x = s.data + static_cast<std::size_t>(i) * s.dim;
  const float* y = s.data + static_cast<std::size_t>(j) * s.dim;
  double dot = 0;
  double l2 = 0;
  double x2 = 0;
  double y2 = 0;
  for (std::size_t f = 0; f < s.dim; ++f) {
    const auto a = static_cast<double>(x[f]);
    const auto b = static_cast<double>(y[f]);
    dot += a * b;
    l2 += (a - b) * (a - b);
    x2 += a * a;
    y2 += b * b;
  }
  if (s.metric == IndexMetric::kL2) return -l2;
  if (s.metric == IndexMetric::kCosine) return dot;
  const auto radius2 = static_cast<double>(s.radius2);
  return dot + std::sqrt(std::max(radius2 - x2, 0.0)) * std::sqrt(std::max(radius2 - y2, 0.0));
}

TEST_P(EveryMetric, SimilaritiesAreTheirDefinition) {
  const Vectors v = clustered(60, 37, 5, 1);
  const ItemStore store = store_of(v, GetParam());
  std::vector<std::int32_t> rows(60);
  std::iota(rows.begin(), rows.end(), 0);
  for (const bool coded : {false, true}) {
    LinkSpace space = space_of(store, GetParam());
    if (!coded) space.records = nullptr;
    LinkScorer scorer(space);
    std::vector<float> found(60);
    for (const std::int32_t i : {0, 17, 59}) {
      scorer.set(i);
      scorer.rows(rows.data(), 60, found.data());
      const double unit = static_cast<double>(store.norms2[static_cast<std::size_t>(i)]);
      for (const std::int32_t j : rows) {
        EXPECT_NEAR(found[static_cast<std::size_t>(j)], plain_similarity(space, i, j), unit * (coded ? 0.05 : 1e-4));
        EXPECT_EQ(found[static_cast<std::size_t>(j)], scorer.one(j));
      }
    }
  }
}

TEST_P(EveryMetric, ChoicesAreTheirDefinition) {
  const Vectors v = clustered(90, 20, 3, 1);
  const ItemStore store = store_of(v, GetParam());
  LinkSpace space = space_of(store, GetParam());
  space.records = nullptr;
  LinkScorer scorer(space);
  scorer.set(0);
  std::vector<LinkCandidate> sorted;
  for (std::int32_t i = 1; i < 90; ++i) sorted.push_back({scorer.one(i), i, false});
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.similarity > b.similarity; });
  LinkChoice choice;
  for (const std::size_t limit : {1u, 4u, 16u, 90u}) {
    std::vector<std::int32_t> expected;
    for (const auto& c : sorted) {
      const bool stands = std::none_of(expected.begin(), expected.end(), [&](std::int32_t taken) {
        return plain_similarity(space, taken, c.row) >= plain_similarity(space, 0, c.row);
      });
      if (stands && expected.size() < limit) expected.push_back(c.row);
    }
    auto few = sorted;
    few.resize(choice.from_candidates(space, scorer.one(0), limit, few));
    auto list = sorted;
    list.resize(choice.from_list(space, scorer.one(0), limit, list));
    // Those that stand beside each other are known, the others come to them.
    auto known = sorted;
    for (auto& c : known) c.chosen = std::find(expected.begin(), expected.end(), c.row) != expected.end();
    known.resize(choice.from_list(space, scorer.one(0), limit, known));
    for (const auto& found : {few, list, known}) {
      ASSERT_EQ(found.size(), expected.size());
      for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i].row, expected[i]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, EveryMetric, testing::Values(IndexMetric::kCosine, IndexMetric::kDot, IndexMetric::kL2));

}  // namespace
}  // namespace etalage::retrieval
