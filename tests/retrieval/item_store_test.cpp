// SPDX-License-Identifier: Apache-2.0
// Stores whose ids are their row numbers keep none; whatever happens to them, they are as stores that keep their ids.
#include "retrieval/item_store.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <tuple>
#include <utility>
#include <vector>

#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"

namespace etalage::retrieval {
namespace {

using test::clustered;
using test::id_range;
using test::Vectors;

constexpr std::size_t kDim = 12;

void append(ItemStore& store, const Vectors& from, std::int64_t id) {
  if (store.rows == store.capacity()) {
    ItemStore bigger = store.with_capacity(store.rows + 40);
    std::swap(store, bigger);
  }
  const std::vector<std::int64_t> next{id};
  if (!store.takes(next)) store.keep_ids();
  store.write(store.rows, from.row(static_cast<std::size_t>(id)).data(), id);
  store.publish();
}

void expect_same(const ItemStore& a, const ItemStore& b, std::int64_t ids) {
  ASSERT_EQ(a.rows, b.rows);
  ASSERT_EQ(a.live, b.live);
  for (std::int64_t id = -2; id < ids; ++id) ASSERT_EQ(a.find(id), b.find(id)) << id;
  for (std::size_t r = 0; r < a.rows; ++r) {
    ASSERT_EQ(a.id(r), b.id(r)) << r;
    ASSERT_EQ(a.is_alive(r), b.is_alive(r)) << r;
    ASSERT_EQ(a.norm2(r), b.norm2(r)) << r;
  }
}

/// A copy of the live rows alone, in their order.
ItemStore live_rows(const ItemStore& store) {
  std::vector<std::int32_t> rows;
  for (std::size_t r = 0; r < store.rows; ++r)
    if (store.is_alive(r)) rows.push_back(static_cast<std::int32_t>(r));
  return store.gathered(rows, 2);
}

TEST(ItemStore, IsTheSameWhetherItKeepsIdsOrNot) {
  constexpr std::int64_t kIds = 300;
  const Vectors v = clustered(kIds, kDim, 5, 1);
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    ItemStore plain(kDim, 60, false);
    ItemStore kept(kDim, 60);
    kept.keep_ids();
    const auto both = [&](auto change) {
      change(plain);
      change(kept);
    };
    for (std::int64_t i = 0; i < 60; ++i) both([&](ItemStore& s) { append(s, v, i); });
    EXPECT_TRUE(plain.ids.empty());
    EXPECT_TRUE(plain.table.slots().empty());
    expect_same(plain, kept, kIds);
    for (int step = 0; step < 60; ++step) {
      const auto what = random() % 12;
      const auto id = static_cast<std::int64_t>(random() % kIds);
      if (what < 5) {
        if (kept.find(id) >= 0) both([&](ItemStore& s) { s.kill(id); });
      } else if (what < 9) {
        // Ids go on in order for a while.
        const auto next = static_cast<std::int64_t>(kept.rows);
        if (seed % 2 == 0 && next < kIds && kept.find(next) < 0) both([&](ItemStore& s) { append(s, v, next); });
      } else if (what < 10) {
        if (step > 20) both([&](ItemStore& s) { append(s, v, id); });
      } else if (step % 20 == 19) {
        both([](ItemStore& s) {
          ItemStore fresh = live_rows(s);
          std::swap(s, fresh);
        });
      }
      expect_same(plain, kept, kIds);
    }
  }
}

TEST(ItemStore, ForgetsIdsThatAreRowNumbersAgain) {
  const Vectors v = clustered(50, kDim, 5, 1);
  ItemStore store(kDim, 20);
  for (std::int64_t i = 0; i < 20; ++i) append(store, v, i);
  append(store, v, 40);
  EXPECT_FALSE(store.ids.empty());
  store.kill(40);
  EXPECT_TRUE(live_rows(store).ids.empty());
  EXPECT_FALSE(store.with_capacity(100).ids.empty());  // a dead row has another number
  store.kill(3);
  const ItemStore fewer = live_rows(store);
  EXPECT_EQ(fewer.find(4), 3);
  EXPECT_EQ(fewer.find(3), -1);
}

class PlainIds : public testing::TestWithParam<std::tuple<IndexKind, IndexMetric>> {};

TEST_P(PlainIds, AnswerAsAnyOthersThroughAllChanges) {
  const auto [kind, metric] = GetParam();
  constexpr std::int64_t kFar = 1000000;
  const Vectors items = clustered(3000, kDim, 20, 1);
  const Vectors queries = clustered(40, kDim, 20, 2);
  const ItemIndexOptions options{.M = 6, .ef_construction = 40, .ef_search = 40, .nprobe = 4, .compact_share = 0.4, .deterministic = true};
  auto plain = std::make_shared<ItemIndex>(static_cast<int>(kDim), metric, kind, options);
  auto far = std::make_shared<ItemIndex>(static_cast<int>(kDim), metric, kind, options);
  const auto all = [&](auto change) {
    change(*plain, 0);
    change(*far, kFar);
  };
  const auto expect_alike = [&] {
    ASSERT_EQ(plain->size(), far->size());
    const auto ids = plain->ids();
    const auto far_ids = far->ids();
    for (std::size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(ids[i] + kFar, far_ids[i]);
    const auto a = test::search_all(*plain, queries, 10);
    const auto b = test::search_all(*far, queries, 10);
    Scratch scratch;
    std::vector<std::int64_t> some;
    std::vector<std::int64_t> far_some;
    for (std::int64_t id = 0; id < 3000; id += 3) {
      some.push_back(id);
      far_some.push_back(id + kFar);
    }
    const ItemFilter filter = ItemFilter::allow(some);
    const ItemFilter far_filter = ItemFilter::allow(far_some);
    for (std::size_t q = 0; q < queries.rows(); ++q) {
      ASSERT_EQ(a[q].size(), b[q].size());
      for (std::size_t i = 0; i < a[q].size(); ++i) {
        ASSERT_EQ(a[q][i].id + kFar, b[q][i].id);
        ASSERT_EQ(a[q][i].score, b[q][i].score);
      }
      std::vector<Neighbor> x(10);
      std::vector<Neighbor> y(10);
      const std::size_t n = plain->search(queries.row(q), x, &filter, scratch);
      ASSERT_EQ(far->search(queries.row(q), y, &far_filter, scratch), n);
      for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(x[i].id + kFar, y[i].id);
    }
  };
  const auto save_and_load = [&] {
    plain = load_index_from_memory(save_to_memory(*plain));
    far = load_index_from_memory(save_to_memory(*far));
  };
  all([&](ItemIndex& ix, std::int64_t first) { ix.add(items.slice(0, 1500).view(), id_range(first, 1500)); });
  const bool sorted = kind == IndexKind::kIvf;  // rows lie by list, so ids are kept whatever they are
  if (!sorted) {
    EXPECT_GE(far->memory_bytes(), plain->memory_bytes() + 1500 * (sizeof(std::int64_t) + 2 * sizeof(std::int32_t)));
  }
  expect_alike();
  all([&](ItemIndex& ix, std::int64_t first) { ix.add(items.slice(1500, 2000).view(), id_range(first + 1500, 500)); });
  expect_alike();
  if (!sorted) {
    EXPECT_LT(plain->memory_bytes(), far->memory_bytes());
  }
  all([&](ItemIndex& ix, std::int64_t first) { EXPECT_EQ(ix.remove(id_range(first + 100, 70)), 70u); });
  expect_alike();
  save_and_load();
  expect_alike();
  all([&](ItemIndex& ix, std::int64_t first) { ix.add(items.slice(2000, 2100).view(), id_range(first + 2000, 100)); });
  expect_alike();
  all([&](ItemIndex& ix, std::int64_t first) { ix.update(items.slice(2100, 2150).view(), id_range(first + 300, 50)); });
  expect_alike();
  all([&](ItemIndex& ix, std::int64_t first) { ix.add(items.slice(2150, 2200).view(), id_range(first + 120, 50)); });
  expect_alike();
  save_and_load();
  all([&](ItemIndex& ix, std::int64_t first) { EXPECT_EQ(ix.remove(id_range(first, 900)), 880u); });
  expect_alike();
  all([](ItemIndex& ix, std::int64_t) { ix.compact(); });
  expect_alike();
}

INSTANTIATE_TEST_SUITE_P(Kinds, PlainIds,
                         testing::Combine(testing::Values(IndexKind::kExact, IndexKind::kHnsw, IndexKind::kIvf, IndexKind::kIvfPq),
                                          testing::Values(IndexMetric::kCosine, IndexMetric::kDot, IndexMetric::kL2)));

}  // namespace
}  // namespace etalage::retrieval
