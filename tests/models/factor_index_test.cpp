// SPDX-License-Identifier: Apache-2.0
// FactorModel through an index: exact ones change nothing, approximate ones little, and nothing unwanted comes back.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "etalage/io/serialization.hpp"
#include "etalage/models/vectors.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "models/factor_fixture.hpp"

namespace etalage {
namespace {

constexpr int kUsers = 40;
constexpr int kItems = 3000;
constexpr int kDim = 12;

std::shared_ptr<VectorsModel> model() {
  auto m = std::make_shared<VectorsModel>(testing::normal_factors(kUsers, kDim, 1), testing::normal_factors(kItems, kDim, 2), kDim);
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u <= kUsers; ++u) offsets.push_back(9 * u);
  for (std::int32_t u = 0; u < kUsers; ++u)
    for (std::int32_t j = 0; j < 9; ++j) columns.push_back(u + 300 * j);
  Array<float> values(columns.size());
  values.fill(1.0f);
  m->set_history({kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), values});
  return m;
}

std::shared_ptr<ItemIndex> index_of(const FactorModel& m, IndexKind kind) {
  auto index = std::make_shared<ItemIndex>(m.factors(), IndexMetric::kDot, kind, ItemIndexOptions{.ef_search = 200});
  std::vector<std::int64_t> ids(static_cast<std::size_t>(m.num_items()));
  std::iota(ids.begin(), ids.end(), std::int64_t{0});
  index->add({m.item_factors().data(), ids.size(), static_cast<std::size_t>(m.factors())}, ids);
  return index;
}

std::vector<ItemScore> ask(const Recommender& m, const Query& q, std::size_t k) {
  Scratch scratch;
  std::vector<ItemScore> out(k);
  out.resize(m.recommend(q, out, scratch));
  return out;
}

void expect_same(const std::vector<ItemScore>& a, const std::vector<ItemScore>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].item, b[i].item);
    EXPECT_EQ(a[i].score, b[i].score);
  }
}

TEST(FactorIndex, AnExactIndexChangesNoBit) {
  const auto plain = model();
  const auto indexed = model();
  indexed->set_index(index_of(*indexed, IndexKind::kExact));
  const std::vector<std::int32_t> some{5, 17, 305, 900, 2999};
  const ItemFilter deny = ItemFilter::deny(some);
  const ItemFilter allow = ItemFilter::allow(some);
  std::vector<Query> queries;
  for (std::int32_t u = 0; u < kUsers; u += 3) {
    queries.push_back({.user = u});
    queries.push_back({.user = u, .filter = &deny});
    queries.push_back({.user = u, .filter = &allow});
    queries.push_back({.user = u, .session = some, .exclude_seen = false});
    queries.push_back({.history = some});
  }
  for (const std::size_t k : {1u, 10u, 2995u}) {
    std::vector<ItemScore> out(queries.size() * k);
    std::vector<std::size_t> counts(queries.size());
    indexed->recommend_batch(queries, {out.data(), queries.size(), k}, counts, 2);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      expect_same(ask(*indexed, queries[q], k), ask(*plain, queries[q], k));
      expect_same({out.begin() + static_cast<std::ptrdiff_t>(q * k), out.begin() + static_cast<std::ptrdiff_t>(q * k + counts[q])},
                  ask(*plain, queries[q], k));
    }
  }
}

TEST(FactorIndex, ApproximateResultsAreScoredExactlyAndLeaveOutWhatWasSeen) {
  const auto plain = model();
  const auto indexed = model();
  indexed->set_index(index_of(*indexed, IndexKind::kIvfPq));
  std::size_t found = 0;
  for (std::int32_t u = 0; u < kUsers; ++u) {
    const auto got = ask(*indexed, {.user = u}, 10);
    ASSERT_EQ(got.size(), 10u);
    const auto seen = indexed->history().view().row_columns(u);
    for (const ItemScore& r : got) {
      EXPECT_FALSE(std::binary_search(seen.begin(), seen.end(), r.item));
      float score = 0;
      Scratch scratch;
      plain->score({.user = u}, {&r.item, 1}, {&score, 1}, scratch);
      EXPECT_EQ(r.score, score);
      for (const ItemScore& e : ask(*plain, {.user = u}, 10)) found += e.item == r.item ? 1 : 0;
    }
  }
  EXPECT_GT(found, static_cast<std::size_t>(kUsers) * 8);
}

TEST(FactorIndex, IsPartOfTheFileAndForgottenWithTheItems) {
  const auto m = model();
  m->set_index(index_of(*m, IndexKind::kIvfPq));
  const auto again = std::dynamic_pointer_cast<VectorsModel>(load_from_memory(save_to_memory(*m)));
  ASSERT_NE(again, nullptr);
  ASSERT_NE(again->index(), nullptr);
  for (const std::int32_t u : {0, 11, 39}) expect_same(ask(*again, {.user = u}, 10), ask(*m, {.user = u}, 10));
  const std::vector<float> row(kDim, 0.5f);
  const MatrixView<const float> one(row.data(), 1, kDim);
  const std::vector<std::int32_t> beyond{kUsers};
  again->partial_fit_users(beyond, one);
  EXPECT_NE(again->index(), nullptr);
  const std::vector<std::int32_t> third{3};
  again->partial_fit_items(third, one);
  EXPECT_EQ(again->index(), nullptr);
  EXPECT_NE(m->index(), nullptr);
}

TEST(FactorIndex, OnlyAnIndexThatFitsIsTaken) {
  const auto m = model();
  EXPECT_THROW(m->set_index(std::make_shared<ItemIndex>(kDim, IndexMetric::kDot, IndexKind::kExact)), std::invalid_argument);
  EXPECT_THROW(m->set_index(std::make_shared<ItemIndex>(kDim + 1, IndexMetric::kDot, IndexKind::kExact)), std::invalid_argument);
  auto cosine = std::make_shared<ItemIndex>(kDim, IndexMetric::kCosine, IndexKind::kExact);
  std::vector<std::int64_t> ids(kItems);
  std::iota(ids.begin(), ids.end(), std::int64_t{0});
  cosine->add({m->item_factors().data(), kItems, kDim}, ids);
  EXPECT_THROW(m->set_index(cosine), std::invalid_argument);
  m->set_index(nullptr);
  EXPECT_EQ(m->index(), nullptr);
}

}  // namespace
}  // namespace etalage
