// SPDX-License-Identifier: Apache-2.0
#include "etalage/retrieval/item_index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string>

#include "etalage/error.hpp"
#include "retrieval/index_data.hpp"
#include "support/message_of.hpp"

namespace etalage {
namespace {

using test::clustered;
using test::id_range;
using test::message_of;
using test::Vectors;

std::vector<IndexKind> kinds() { return {IndexKind::kExact, IndexKind::kIvf, IndexKind::kIvfPq, IndexKind::kHnsw}; }

const char* name(IndexKind k) { return k == IndexKind::kExact ? "exact" : k == IndexKind::kHnsw ? "hnsw" : k == IndexKind::kIvf ? "ivf" : "ivf_pq"; }

double score(IndexMetric metric, std::span<const float> q, std::span<const float> x) {
  double dot = 0;
  double qq = 0;
  double xx = 0;
  double l2 = 0;
  for (std::size_t f = 0; f < q.size(); ++f) {
    dot += double{q[f]} * x[f];
    qq += double{q[f]} * q[f];
    xx += double{x[f]} * x[f];
    l2 += (double{q[f]} - x[f]) * (double{q[f]} - x[f]);
  }
  if (metric == IndexMetric::kDot) return dot;
  if (metric == IndexMetric::kL2) return -l2;
  return qq > 0 && xx > 0 ? dot / std::sqrt(qq * xx) : 0;
}

class EveryMetric : public testing::TestWithParam<IndexMetric> {};

TEST_P(EveryMetric, ExactSearchIsTheDefinition) {
  const Vectors items = clustered(700, 19, 5, 1);
  const Vectors queries = clustered(20, 19, 5, 2);
  ItemIndex index(19, GetParam(), IndexKind::kExact);
  const auto ids = id_range(1000, 700, 3);
  index.add(items.view(), ids);
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    std::vector<std::pair<double, std::int64_t>> expected;
    for (std::size_t r = 0; r < items.rows(); ++r) expected.emplace_back(-score(GetParam(), queries.row(i), items.row(r)), ids[r]);
    std::sort(expected.begin(), expected.end());
    std::vector<Neighbor> found(30);
    Scratch scratch;
    ASSERT_EQ(index.search(queries.row(i), found, nullptr, scratch), 30u);
    for (std::size_t j = 0; j < 30; ++j) {
      EXPECT_EQ(found[j].id, expected[j].second);
      EXPECT_NEAR(found[j].score, -expected[j].first, 1e-4 * (1 + std::abs(expected[j].first)));
    }
  }
}

TEST_P(EveryMetric, KindsGiveTheSameScoresForTheSameItems) {
  const Vectors items = clustered(4000, 16, 10, 1);
  const Vectors queries = clustered(10, 16, 10, 2);
  std::map<std::pair<std::size_t, std::int64_t>, float> exact;
  for (const IndexKind kind : kinds()) {
    ItemIndex index(16, GetParam(), kind, {.nprobe = 8});
    index.add(items.view(), id_range(0, 4000));
    const auto all = test::search_all(index, queries, kind == IndexKind::kExact ? 4000 : 10);
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < all[i].size(); ++j) {
        if (kind == IndexKind::kExact) {
          exact[{i, all[i][j].id}] = all[i][j].score;
        } else {
          EXPECT_EQ(all[i][j].score, (exact[{i, all[i][j].id}])) << name(kind);
        }
        EXPECT_GE(all[i][j > 0 ? j - 1 : 0].score, all[i][j].score) << name(kind);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, EveryMetric, testing::Values(IndexMetric::kCosine, IndexMetric::kDot, IndexMetric::kL2));

TEST(ItemIndex, TiesBreakByLowerId) {
  const Vectors items{2, {1, 0, 1, 0, 1, 0, 0, 1}};
  const std::vector<std::int64_t> ids{30, 10, 20, 5};
  for (const IndexKind kind : kinds()) {
    ItemIndex index(2, IndexMetric::kDot, kind);
    index.add(items.view(), ids);
    const Vectors query{2, {1, 0}};
    const auto found = test::search_all(index, query, 4)[0];
    ASSERT_EQ(found.size(), 4u);
    EXPECT_EQ(found[0].id, 10);
    EXPECT_EQ(found[1].id, 20);
    EXPECT_EQ(found[2].id, 30);
    EXPECT_EQ(found[3].id, 5);
  }
}

TEST(ItemIndex, AZeroVectorHasCosineZero) {
  ItemIndex index(2, IndexMetric::kCosine, IndexKind::kExact);
  index.add(Vectors{2, {0, 0, -1, 0}}.view(), id_range(0, 2));
  const auto found = test::search_all(index, Vectors{2, {2, 0, 0, 0}}, 2);
  EXPECT_EQ(found[0][0].id, 0);
  EXPECT_EQ(found[0][0].score, 0.0f);
  EXPECT_EQ(found[0][1].score, -1.0f);
  EXPECT_EQ(found[1][0].score, 0.0f);
}

TEST(ItemIndex, ChangesAreWhatASearchFromScratchWouldSee) {
  // Random adds, updates and removes against a map; every search result must be right for an exhaustive k.
  for (const IndexKind kind : kinds()) {
    std::mt19937 random(11);
    ItemIndex index(8, IndexMetric::kL2, kind, {.M = 8, .ef_construction = 40, .seed = 3, .num_threads = 2});
    std::map<std::int64_t, std::vector<float>> truth;
    const auto vectors_of = [&](std::size_t n) {
      return clustered(n, 8, 4, static_cast<std::uint32_t>(random()));
    };
    for (int round = 0; round < 30; ++round) {
      std::set<std::int64_t> chosen;
      for (int i = 0; i < 60; ++i) chosen.insert(static_cast<std::int64_t>(random() % 900) * 1000003);
      std::vector<std::int64_t> fresh;
      std::vector<std::int64_t> known;
      for (const std::int64_t id : chosen) (truth.contains(id) ? known : fresh).push_back(id);
      const Vectors a = vectors_of(fresh.size());
      index.add(a.view(), fresh);
      for (std::size_t i = 0; i < fresh.size(); ++i) truth[fresh[i]].assign(a.row(i).begin(), a.row(i).end());
      if (round % 3 == 1) {
        const Vectors u = vectors_of(known.size());
        index.update(u.view(), known);
        for (std::size_t i = 0; i < known.size(); ++i) truth[known[i]].assign(u.row(i).begin(), u.row(i).end());
      } else if (round % 3 == 2) {
        known.push_back(77);  // not there
        EXPECT_EQ(index.remove(known), known.size() - 1);
        for (const std::int64_t id : known) truth.erase(id);
      }
      ASSERT_EQ(index.size(), truth.size());
    }
    auto ids = index.ids();
    std::sort(ids.begin(), ids.end());
    std::vector<std::int64_t> expected_ids;
    for (const auto& [id, v] : truth) expected_ids.push_back(id);
    EXPECT_EQ(ids, expected_ids);
    const Vectors queries = vectors_of(5);
    const auto found = test::search_all(index, queries, truth.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      ASSERT_EQ(found[i].size(), truth.size()) << name(kind);
      for (const Neighbor& n : found[i]) EXPECT_NEAR(n.score, score(IndexMetric::kL2, queries.row(i), truth.at(n.id)), 1e-3);
    }
  }
}

TEST(ItemIndex, RemovedItemsNeverComeBack) {
  for (const IndexKind kind : kinds()) {
    const Vectors items = clustered(5000, 12, 10, 4);
    ItemIndex index(12, IndexMetric::kCosine, kind, {.compact_share = 1.0});
    index.add(items.view(), id_range(1, 5000));
    EXPECT_EQ(index.remove(id_range(1, 2000)), 2000u);
    EXPECT_EQ(index.remove(id_range(1, 2000)), 0u);
    EXPECT_EQ(index.dead_rows(), 2000u);
    for (const auto& row : test::search_all(index, items.slice(0, 50), 10))
      for (const Neighbor& n : row) EXPECT_GT(n.id, 2000) << name(kind);
    const std::size_t before = index.memory_bytes();
    index.compact();
    EXPECT_EQ(index.dead_rows(), 0u);
    EXPECT_LT(index.memory_bytes(), before * 7 / 10) << name(kind);
    for (const auto& row : test::search_all(index, items.slice(0, 50), 10)) {
      EXPECT_EQ(row.size(), 10u);
      for (const Neighbor& n : row) EXPECT_GT(n.id, 2000) << name(kind);
    }
  }
}

TEST(ItemIndex, CompactionStartsByItself) {
  ItemIndex index(4, IndexMetric::kDot, IndexKind::kExact, {.compact_share = 0.25});
  index.add(clustered(1000, 4, 3, 1).view(), id_range(0, 1000));
  index.remove(id_range(0, 240));
  EXPECT_EQ(index.dead_rows(), 240u);
  index.remove(id_range(240, 20));
  EXPECT_EQ(index.dead_rows(), 0u);
  EXPECT_EQ(index.size(), 740u);
}

TEST(ItemIndex, BatchesEqualSingleSearchesForAnyNumberOfThreads) {
  const Vectors items = clustered(3000, 24, 10, 5);
  const Vectors queries = clustered(60, 24, 10, 6);
  const auto allowed = id_range(0, 700, 2);
  const ItemFilter shared = ItemFilter::allow(std::span<const std::int64_t>(allowed));
  std::vector<ItemFilter> each;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const auto denied = id_range(static_cast<std::int64_t>(i), 100 * (i % 7));
    each.push_back(ItemFilter::deny(std::span<const std::int64_t>(denied)));
  }
  for (const IndexKind kind : kinds()) {
    ItemIndex index(24, IndexMetric::kDot, kind);
    index.add(items.view(), id_range(0, 3000));
    for (int form = 0; form < 3; ++form) {
      std::vector<const ItemFilter*> filters;
      if (form == 1) filters = {&shared};
      for (std::size_t i = 0; form == 2 && i < each.size(); ++i) filters.push_back(&each[i]);
      for (const int threads : {1, 2, 5}) {
        std::vector<Neighbor> out(queries.rows() * 12);
        std::vector<std::size_t> counts(queries.rows());
        index.search_batch(queries.view(), {out.data(), queries.rows(), 12}, counts, filters, threads);
        Scratch scratch;
        for (std::size_t i = 0; i < queries.rows(); ++i) {
          std::vector<Neighbor> one(12);
          const ItemFilter* f = form == 0 ? nullptr : form == 1 ? &shared : &each[i];
          ASSERT_EQ(index.search(queries.row(i), one, f, scratch), counts[i]);
          for (std::size_t j = 0; j < counts[i]; ++j) {
            EXPECT_EQ(out[i * 12 + j].id, one[j].id) << name(kind) << " form " << form;
            EXPECT_EQ(out[i * 12 + j].score, one[j].score);
            EXPECT_TRUE(f == nullptr || f->allows(one[j].id));
          }
        }
      }
    }
  }
}

TEST(ItemIndex, EmptyIndexesAndEmptyCallsAreFine) {
  for (const IndexKind kind : kinds()) {
    ItemIndex index(3, IndexMetric::kDot, kind);
    const Vectors query{3, {1, 2, 3}};
    EXPECT_TRUE(test::search_all(index, query, 5)[0].empty());
    index.add({}, {});
    index.update({}, {});
    EXPECT_EQ(index.remove({}), 0u);
    index.compact();
    EXPECT_EQ(index.size(), 0u);
    index.add(query.view(), id_range(9, 1));
    EXPECT_TRUE(test::search_all(index, query, 0)[0].empty());
    EXPECT_EQ(test::search_all(index, query, 5)[0].size(), 1u);
    const ItemFilter none = ItemFilter::allow(std::span<const std::int64_t>{});
    EXPECT_TRUE(test::search_all(index, query, 5, &none)[0].empty());
    EXPECT_EQ(index.remove(id_range(9, 1)), 1u);
    EXPECT_TRUE(test::search_all(index, query, 5)[0].empty());
    index.compact();
    index.add(query.view(), id_range(9, 1));
    EXPECT_EQ(test::search_all(index, query, 5)[0].size(), 1u);
  }
}

TEST(ItemIndex, GraphsRepeatForAnyNumberOfThreads) {
  const Vectors items = clustered(3000, 16, 10, 5);
  const Vectors queries = clustered(50, 16, 10, 6);
  const auto run = [&](int threads) {
    ItemIndex index(16, IndexMetric::kDot, IndexKind::kHnsw, {.ef_search = 10, .num_threads = threads});
    index.add(items.slice(0, 2000).view(), id_range(0, 2000));
    index.add(items.slice(2000, 3000).view(), id_range(2000, 1000));
    return test::search_all(index, queries, 10);
  };
  const auto a = run(1);
  const auto b = run(4);
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[i].size(); ++j) EXPECT_EQ(a[i][j].id, b[i][j].id);
}

TEST(ItemIndex, KMeansGivesTheSameListsForAnyNumberOfThreads) {
  const Vectors items = clustered(4000, 16, 10, 5);
  const Vectors queries = clustered(50, 16, 10, 6);
  const auto run = [&](int threads) {
    ItemIndex index(16, IndexMetric::kL2, IndexKind::kIvfPq, {.nprobe = 1, .rescore_factor = 1, .num_threads = threads});
    index.add(items.view(), id_range(0, 4000));
    return test::search_all(index, queries, 10);
  };
  const auto a = run(1);
  const auto b = run(3);
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < a[i].size(); ++j) EXPECT_EQ(a[i][j].id, b[i][j].id);
}

TEST(ItemIndex, BadCallsNameArgumentValueAndRule) {
  ItemIndex index(3, IndexMetric::kDot, IndexKind::kExact);
  const Vectors two{3, {1, 2, 3, 4, 5, 6}};
  const auto add = [&](const Vectors& v, std::vector<std::int64_t> ids) { return message_of([&] { index.add(v.view(), ids); }); };
  EXPECT_EQ(add(two, {1}), "vectors has 2 rows, must have one for each of the 1 ids");
  EXPECT_EQ(add(Vectors{2, {1, 2}}, {1}), "vectors has 2 columns, must have dim = 3");
  EXPECT_EQ(add(two, {4, -2}), "ids[1] is -2, must be >= 0");
  EXPECT_EQ(add(two, {4, 4}), "ids[1] is 4, must not occur twice in one call");
  EXPECT_EQ(add(Vectors{3, {1, NAN, 3}}, {1}), "vectors[0] holds nan, must be finite");
  EXPECT_NE(add(Vectors{3, {1, 1e30f, 3}}, {1}).find("squared norm"), std::string::npos);
  EXPECT_EQ(index.size(), 0u);
  index.add(two.view(), id_range(4, 2));
  EXPECT_EQ(add(two, {9, 5}), "ids[1] is 5, must not be in the index yet (update replaces)");
  EXPECT_EQ(message_of([&] { index.update(two.view(), id_range(5, 2)); }), "ids[1] is 6, must be in the index (add is for new items)");
  EXPECT_EQ(message_of([&] { index.remove(id_range(-1, 1)); }), "ids[0] is -1, must be >= 0");
  EXPECT_EQ(index.size(), 2u);
  Scratch scratch;
  std::vector<Neighbor> out(2);
  const std::vector<float> wrong{1, 2};
  EXPECT_EQ(message_of([&] { index.search(wrong, out, nullptr, scratch); }), "query has 2 values, must have dim = 3");
  const std::vector<float> bad{1, INFINITY, 0};
  EXPECT_EQ(message_of([&] { index.search(bad, out, nullptr, scratch); }), "query holds inf, must be finite");
  EXPECT_EQ(message_of([] { ItemIndex(0, IndexMetric::kDot, IndexKind::kExact); }), "dim is 0, must be >= 1");
  EXPECT_EQ(message_of([] { ItemIndex(4, IndexMetric::kDot, IndexKind::kIvfPq, {.pq_m = 3}); }), "pq_m is 3, must be a divisor of dim (4)");
  EXPECT_EQ(message_of([&] { index.set_ef_search(0); }), "ef_search is 0, must be >= 1");
  EXPECT_EQ(message_of([&] { index.set_nprobe(-1); }), "nprobe is -1, must be >= 1");
}

TEST(ItemIndexOptions, EachBoundIsHeld) {
  const auto refused = [](auto change, const char* text) {
    ItemIndexOptions o;
    change(o);
    EXPECT_EQ(message_of([&] { o.validate(); }).find(text), 0u) << text;
  };
  EXPECT_NO_THROW(ItemIndexOptions{}.validate());
  refused([](auto& o) { o.M = 1; }, "M is 1, must be in [2, 256]");
  refused([](auto& o) { o.M = 257; }, "M is 257");
  refused([](auto& o) { o.ef_construction = 0; }, "ef_construction is 0, must be >= 1");
  refused([](auto& o) { o.ef_search = 0; }, "ef_search is 0, must be >= 1");
  refused([](auto& o) { o.nlist = -1; }, "nlist is -1, must be >= 0");
  refused([](auto& o) { o.nprobe = 0; }, "nprobe is 0, must be >= 1");
  refused([](auto& o) { o.pq_m = -1; }, "pq_m is -1, must be >= 0");
  refused([](auto& o) { o.pq_bits = 3; }, "pq_bits is 3, must be in [4, 8]");
  refused([](auto& o) { o.rescore_factor = 0; }, "rescore_factor is 0, must be >= 1");
  refused([](auto& o) { o.compact_share = 0; }, "compact_share is 0, must be in (0, 1]");
  refused([](auto& o) { o.compact_share = NAN; }, "compact_share is nan");
  refused([](auto& o) { o.num_threads = -1; }, "num_threads is -1, must be >= 0");
}

}  // namespace
}  // namespace etalage
