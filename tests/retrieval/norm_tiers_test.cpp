// SPDX-License-Identifier: Apache-2.0
// Lists for inner products: by length, then by direction. Held to what a partition has to be, to the reading they save, and
// to their files.
#include "retrieval/lists/norm_tiers.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"
#include "retrieval/scorer.hpp"
#include "retrieval/store_of_vectors.hpp"

namespace etalage::retrieval {
namespace {

using test::heavy_tailed;
using test::id_range;
using test::store_of;
using test::Vectors;

constexpr std::size_t kDim = 32;

std::vector<std::vector<std::size_t>> lists_of(const NormTiers& tiers, const ItemStore& store) {
  std::vector<std::vector<std::size_t>> lists(tiers.num_lists());
  std::vector<float> scores(tiers.num_lists());
  for (std::size_t r = 0; r < store.rows; ++r) lists.at(tiers.list_of(store.vector(r), store.norms2[r], scores.data())).push_back(r);
  return lists;
}

/// Gaussian directions around no centres, lengths e^(sigma z): what factors of a large catalogue look like.
Vectors log_normal(std::size_t rows, double sigma, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Vectors v{kDim, std::vector<float>(rows * kDim)};
  for (std::size_t i = 0; i < rows; ++i) {
    const double length = std::exp(sigma * normal(random));
    for (std::size_t f = 0; f < kDim; ++f) v.data[i * kDim + f] = static_cast<float>(length * normal(random) / (1 + static_cast<double>(f) / 8));
  }
  return v;
}

TEST(NormTiers, LongRowsLieInSmallListsAndInFirstOnes) {
  const ItemStore store = store_of(log_normal(8000, 0.8, 1));
  const auto tiers = NormTiers::train(store, 90, 42, 2);
  EXPECT_NEAR(static_cast<double>(tiers->num_lists()), 90, 10);
  const auto lists = lists_of(*tiers, store);
  const auto median_norm = [&](std::size_t begin, std::size_t end) {
    std::vector<float> all;
    for (std::size_t l = begin; l < end; ++l)
      for (const std::size_t r : lists[l]) all.push_back(store.norms2[r]);
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
    return std::pair(all[all.size() / 2], all.size());
  };
  const std::size_t half = lists.size() / 2;
  const auto [long_norm, long_rows] = median_norm(0, half);
  const auto [short_norm, short_rows] = median_norm(half, lists.size());
  EXPECT_GT(long_norm, 4 * short_norm);
  EXPECT_LT(4 * long_rows, short_rows);
  EXPECT_EQ(long_rows + short_rows, store.rows);
}

TEST(NormTiers, RowsOfOneLengthAreOneTier) {
  const Vectors v = log_normal(3000, 0.0, 2);
  ItemStore store(kDim, v.rows());
  std::vector<float> unit(kDim);
  for (std::size_t i = 0; i < v.rows(); ++i) {
    normalize(v.row(i).data(), kDim, unit.data());
    store.write(i, unit.data(), static_cast<std::int64_t>(i));
    store.publish();
  }
  const auto tiers = NormTiers::train(store, 50, 42, 2);
  EXPECT_EQ(tiers->num_lists(), 50u);
  // Directions decide alone: a row and ten times the row are in one list.
  std::vector<float> scores(50);
  for (std::size_t r = 0; r < 100; ++r) {
    std::vector<float> longer(store.vector(r), store.vector(r) + kDim);
    for (float& x : longer) x *= 10;
    EXPECT_EQ(tiers->list_of(longer.data(), 100.0f, scores.data()), tiers->list_of(store.vector(r), 1.0f, scores.data()));
  }
}

TEST(NormTiers, RowsWithoutLengthFindAList) {
  Vectors v = log_normal(2000, 0.8, 3);
  std::fill(v.data.begin(), v.data.begin() + 500 * kDim, 0.0f);
  const ItemStore store = store_of(v);
  const auto tiers = NormTiers::train(store, 40, 42, 1);
  EXPECT_EQ(lists_of(*tiers, store).size(), tiers->num_lists());
  const Vectors nothing{kDim, std::vector<float>(1000 * kDim, 0.0f)};
  const ItemStore zeros = store_of(nothing);
  EXPECT_GE(NormTiers::train(zeros, 30, 42, 1)->num_lists(), 1u);
}

TEST(NormTiers, AnyNumberOfThreadsGivesTheSameLists) {
  const ItemStore store = store_of(log_normal(4000, 0.8, 4));
  const auto one = lists_of(*NormTiers::train(store, 60, 42, 1), store);
  EXPECT_EQ(lists_of(*NormTiers::train(store, 60, 42, 3), store), one);
}

TEST(TieredIndex, FindsLargeProductsInAFewRows) {
  constexpr std::size_t items = 20000;
  const Vectors data = log_normal(items, 0.8, 1);
  const Vectors queries = log_normal(100, 0.0, 2);
  ItemIndex exact(kDim, IndexMetric::kDot, IndexKind::kExact);
  ItemIndex index(kDim, IndexMetric::kDot, IndexKind::kIvf);
  exact.add(data.view(), id_range(0, items));
  index.add(data.view(), id_range(0, items));
  for (const std::size_t k : {10u, 100u}) {
    const auto truth = test::search_all(exact, queries, k);
    index.set_nprobe(8);  // of about 141: 6 % of the rows
    EXPECT_GE(test::recall(test::search_all(index, queries, k), truth), 0.95) << k;
    EXPECT_LE(index.distances_per_query(queries.view(), k), 0.08 * items);
    const auto ids = id_range(1, items / 2, 2);
    const ItemFilter half = ItemFilter::allow(std::span<const std::int64_t>(ids));
    EXPECT_GE(test::recall(test::search_all(index, queries, k, &half), test::search_all(exact, queries, k, &half)), 0.95) << k;
  }
  index.set_nprobe(1000);
  EXPECT_EQ(test::recall(test::search_all(index, queries, 10), test::search_all(exact, queries, 10)), 1.0);
}

TEST(TieredIndex, KeepsRecallWhileLongerRowsCome) {
  constexpr std::size_t items = 6000;
  const Vectors data = log_normal(items, 0.8, 1);
  Vectors later = log_normal(items, 0.8, 5);
  for (float& x : later.data) x *= 3;
  ItemIndex exact(kDim, IndexMetric::kDot, IndexKind::kExact);
  ItemIndex index(kDim, IndexMetric::kDot, IndexKind::kIvf, {.nprobe = 12});
  for (ItemIndex* i : {&exact, &index}) {
    i->add(data.view(), id_range(0, items));
    for (std::size_t begin = 0; begin < items; begin += 1000) i->add(later.slice(begin, begin + 1000).view(), id_range(static_cast<std::int64_t>(items + begin), 1000));
  }
  const Vectors queries = log_normal(100, 0.0, 2);
  const auto truth = test::search_all(exact, queries, 10);
  EXPECT_GE(test::recall(test::search_all(index, queries, 10), truth), 0.9) << "longer than any row that was there at training";
  index.compact();
  EXPECT_GE(test::recall(test::search_all(index, queries, 10), truth), 0.95);
}

TEST(TieredIndex, ABatchAnswersAsItsQueriesDo) {
  constexpr std::size_t items = 5000;
  const Vectors data = heavy_tailed(items, kDim, 1);
  const Vectors queries = log_normal(70, 0.0, 2);
  ItemIndex index(kDim, IndexMetric::kDot, IndexKind::kIvf, {.nprobe = 4});
  index.add(data.view(), id_range(0, items));
  std::vector<Neighbor> all(70 * 10);
  std::vector<std::size_t> counts(70);
  index.search_batch(queries.view(), {all.data(), 70, 10}, counts, {}, 2);
  const auto alone = test::search_all(index, queries, 10);
  for (std::size_t i = 0; i < 70; ++i) {
    ASSERT_EQ(counts[i], alone[i].size());
    for (std::size_t j = 0; j < counts[i]; ++j) EXPECT_EQ(all[i * 10 + j].id, alone[i][j].id);
  }
}

TEST(TieredIndex, AnswersTheSameFromAFileAndGoesOnFromThere) {
  constexpr std::size_t items = 3000;
  const Vectors queries = log_normal(20, 0.0, 2);
  ItemIndex index(kDim, IndexMetric::kDot, IndexKind::kIvf, {.nprobe = 3});
  index.add(log_normal(items, 0.8, 1).view(), id_range(0, items));
  const auto bytes = save_to_memory(index);
  const auto back = load_index_from_memory(bytes);
  const auto wanted = test::search_all(index, queries, 10);
  const auto found = test::search_all(*back, queries, 10);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    for (std::size_t j = 0; j < wanted[i].size(); ++j) {
      EXPECT_EQ(found[i][j].id, wanted[i][j].id);
      EXPECT_EQ(found[i][j].score, wanted[i][j].score);
    }
  EXPECT_EQ(back->distances_per_query(queries.view(), 10), index.distances_per_query(queries.view(), 10));
  EXPECT_LT(index.distances_per_query(queries.view(), 10), items / 4);
  // It goes on as if it had not been saved.
  const Vectors more = log_normal(200, 1.2, 7);
  index.add(more.view(), id_range(items, 200));
  back->add(more.view(), id_range(items, 200));
  EXPECT_EQ(back->distances_per_query(queries.view(), 10), index.distances_per_query(queries.view(), 10));
}

}  // namespace
}  // namespace etalage::retrieval
