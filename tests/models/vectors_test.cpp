// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/vectors.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "models/factor_fixture.hpp"

namespace etalage {
namespace {

using testing::brute_force;
using testing::normal_factors;
using testing::recommend;

MatrixView<const float> view(const Array<float>& a, std::size_t dim) { return {a.data(), a.size() / dim, dim}; }

VectorsModel model(VectorMetric metric, std::size_t users = 20, std::size_t items = 90, std::size_t dim = 12) {
  return {normal_factors(users, dim, 1), normal_factors(items, dim, 2), static_cast<std::int32_t>(dim), {metric}};
}

std::vector<float> mean_of(const VectorsModel& m, std::span<const std::int32_t> items, std::span<const float> weights) {
  std::vector<float> mean(static_cast<std::size_t>(m.factors()));
  float total = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const float w = weights.empty() ? 1.0f : weights[i];
    for (std::size_t f = 0; f < mean.size(); ++f) mean[f] += w * m.item_row(items[i])[f];
    total += std::abs(w);
  }
  for (float& v : mean) v /= total;
  return mean;
}

class VectorsMetric : public ::testing::TestWithParam<VectorMetric> {};
INSTANTIATE_TEST_SUITE_P(Both, VectorsMetric, ::testing::Values(VectorMetric::kDot, VectorMetric::kCosine));

TEST_P(VectorsMetric, ScoresAreTheMetric) {
  const Array<float> users = normal_factors(6, 12, 1);
  const Array<float> items = normal_factors(40, 12, 2);
  const VectorsModel m(view(users, 12), view(items, 12), {GetParam()});
  std::vector<std::int32_t> all(40);
  for (std::int32_t i = 0; i < 40; ++i) all[static_cast<std::size_t>(i)] = i;
  std::vector<float> scores(40), of_vector(40);
  Scratch scratch;
  for (std::size_t u = 0; u < 6; ++u) {
    m.score({.user = static_cast<std::int32_t>(u)}, all, scores, scratch);
    m.score_vector(view(users, 12).row(u), all, of_vector, scratch);
    EXPECT_EQ(scores, of_vector);
    for (std::size_t i = 0; i < 40; ++i) {
      double ab = 0, aa = 0, bb = 0;
      for (std::size_t f = 0; f < 12; ++f) {
        const double a = users[u * 12 + f];
        const double b = items[i * 12 + f];
        ab += a * b;
        aa += a * a;
        bb += b * b;
      }
      EXPECT_NEAR(scores[i], GetParam() == VectorMetric::kDot ? ab : ab / std::sqrt(aa * bb), 1e-6);
    }
  }
}

TEST_P(VectorsMetric, UsersAndTheirVectorsAnswerAlike) {
  const Array<float> users = normal_factors(150, 12, 1);
  const VectorsModel m(view(users, 12), view(normal_factors(300, 12, 2), 12), {GetParam()});
  const ItemFilter filter = ItemFilter::deny(std::vector<std::int32_t>{1, 5, 7});
  std::vector<Query> queries(150);
  for (std::size_t u = 0; u < 150; ++u) queries[u].filter = u % 2 == 0 ? &filter : nullptr;
  std::vector<ItemScore> out(150 * 8);
  std::vector<std::size_t> counts(150);
  m.recommend_vectors(view(users, 12), queries, {out.data(), 150, 8}, counts, 2);
  Scratch scratch;
  std::vector<ItemScore> single(8);
  for (std::size_t u = 0; u < 150; ++u) {
    const Query q{.user = static_cast<std::int32_t>(u), .filter = queries[u].filter};
    const auto expected = brute_force(m, q, {}, 8);
    EXPECT_EQ(recommend(m, q, 8), expected);
    EXPECT_EQ(m.recommend_vector(view(users, 12).row(u), queries[u], single, scratch), 8u);
    EXPECT_EQ(single, expected);
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.begin() + static_cast<std::ptrdiff_t>(u * 8)));
  }
  m.recommend_vectors(view(users, 12), {}, {out.data(), 150, 8}, counts, 1);
  EXPECT_TRUE(std::equal(out.begin() + 8, out.begin() + 16, recommend(m, {.user = 1}, 8).begin()));
  EXPECT_THROW(m.recommend_vectors(view(users, 12), std::span(queries).first(3), {out.data(), 150, 8}, counts),
               std::invalid_argument);
}

TEST_P(VectorsMetric, LargeBatchesAnswerAsEachQueryAlone) {
  constexpr std::size_t kUsers = 700, kItems = 2600, kDim = 24;  // enough queries to take the items by their norms
  const Array<float> users = normal_factors(kUsers, kDim, 1);
  Array<float> items = normal_factors(kItems, kDim, 2);
  float* values = items.mutable_data();
  for (std::size_t i = 0; i < items.size(); ++i) values[i] /= static_cast<float>(1 + (i / kDim) % 30);
  const VectorsModel m(view(users, kDim), view(items, kDim), {GetParam()});
  std::vector<Query> queries;
  for (std::size_t u = 0; u < kUsers; ++u) queries.push_back({.user = static_cast<std::int32_t>(u)});
  std::vector<ItemScore> batch(kUsers * 20);
  std::vector<std::size_t> counts(kUsers);
  m.recommend_batch(queries, {batch.data(), kUsers, 20}, counts, 2);
  Scratch scratch;
  for (std::size_t u = 0; u < kUsers; ++u) {
    std::vector<ItemScore> one(20);
    ASSERT_EQ(m.recommend(queries[u], one, scratch), counts[u]);
    for (std::size_t i = 0; i < counts[u]; ++i) {
      ASSERT_EQ(batch[u * 20 + i].item, one[i].item);
      ASSERT_EQ(batch[u * 20 + i].score, one[i].score);
    }
  }
}

TEST_P(VectorsMetric, HistoryAndSessionAreTheMeanOfTheirItems) {
  const VectorsModel m = model(GetParam());
  const std::vector<std::int32_t> history{4, 9, 30};
  const std::vector<float> values{2.0f, -1.0f, 0.5f};
  const std::vector<std::int32_t> session{9, 1};
  std::vector<float> factor(12);
  Scratch scratch;
  m.query_factor({.history = history, .session = session, .history_values = values}, factor, scratch);
  const std::vector<std::int32_t> all{4, 9, 30, 9, 1};
  const std::vector<float> weights{2.0f, -1.0f, 0.5f, 1.0f, 1.0f};
  const std::vector<float> mean = mean_of(m, all, weights);
  double norm = 0;
  for (const float v : mean) norm += static_cast<double>(v) * v;
  const double scale = GetParam() == VectorMetric::kCosine ? std::sqrt(norm) : 1.0;
  for (std::size_t f = 0; f < 12; ++f) EXPECT_NEAR(factor[f], mean[f] / scale, 1e-6);
  const auto got = recommend(m, {.history = history, .session = session}, 90);
  EXPECT_EQ(got.size(), 86u);
  EXPECT_EQ(got, brute_force(m, {.history = history, .session = session}, all, 90));
}

TEST_P(VectorsMetric, SavedAndLoadedAnswersAreTheSame) {
  VectorsModel m = model(GetParam());
  std::vector<std::int64_t> keys;
  for (std::int64_t i = 0; i < 90; ++i) keys.push_back(1000 + i);
  m.set_ids(nullptr, std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys))));
  const auto loaded = load_from_memory(save_to_memory(m));
  ASSERT_EQ(loaded->kind(), "Vectors");
  for (std::int32_t u = 0; u < 20; ++u) EXPECT_EQ(recommend(*loaded, {.user = u}, 10), recommend(m, {.user = u}, 10));
  EXPECT_EQ(loaded->item_ids()->find(1005), 5);
  Scratch scratch;
  std::vector<ItemScore> a(5), b(5);
  m.similar_items(3, a, scratch);
  loaded->similar_items(3, b, scratch);
  EXPECT_EQ(a, b);
  EXPECT_EQ(dynamic_cast<const VectorsModel&>(*loaded).options().metric, GetParam());
}

TEST_P(VectorsMetric, PartialFitReplacesAndAppends) {
  VectorsModel m = model(GetParam());
  const Array<float> handed_out = m.item_factors();
  const std::vector<float> before(handed_out.begin(), handed_out.end());
  const Array<float> fresh = normal_factors(3, 12, 7);
  const std::vector<std::int32_t> items{92, 5, 90};  // 91 comes into being as zeros
  m.partial_fit_items(items, view(fresh, 12));
  EXPECT_EQ(m.num_items(), 93);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), handed_out.begin()));
  Array<float> rows(93 * 12);
  std::copy(before.begin(), before.end(), rows.mutable_data());
  const auto whole = [&](std::size_t from, std::size_t to) { std::copy_n(fresh.data() + from * 12, 12, rows.mutable_data() + to * 12); };
  whole(0, 92);
  whole(1, 5);
  whole(2, 90);
  const VectorsModel expected(m.user_factors(), rows, 12, {GetParam()});
  for (std::int32_t u = 0; u < 20; ++u) {
    const auto got = recommend(m, {.user = u}, 93);
    const auto want = recommend(expected, {.user = u}, 93);
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i].score, want[i].score, 1e-6);
  }
  m.partial_fit_users(std::vector<std::int32_t>{20}, view(normal_factors(1, 12, 8), 12));
  EXPECT_EQ(m.num_users(), 21);
  Scratch scratch;
  std::vector<float> scores(1);
  m.score({.user = 20}, std::vector<std::int32_t>{91}, scores, scratch);
  EXPECT_EQ(scores[0], 0.0f);
}

TEST(Vectors, GrowingKeepsKeysAndHistoryWhole) {
  VectorsModel m = model(VectorMetric::kDot, 2, 3, 12);
  const auto keys = [](std::vector<std::int64_t> k) { return std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(k))); };
  m.set_ids(keys({1, 2}), keys({10, 11, 12}));
  CsrMatrix history{2, 3, Array<std::int64_t>(std::vector<std::int64_t>{0, 1, 2}), Array<std::int32_t>(std::vector<std::int32_t>{0, 2}),
                    Array<float>(std::vector<float>{1, 1})};
  m.set_history(history);
  const Array<float> fresh = normal_factors(1, 12, 7);
  EXPECT_THROW(m.partial_fit_users(std::vector<std::int32_t>{3}, view(fresh, 12)), std::invalid_argument);
  EXPECT_EQ(m.num_users(), 2);
  m.partial_fit_users(std::vector<std::int32_t>{3}, view(fresh, 12), keys({1, 2, 3, 4}));
  m.partial_fit_items(std::vector<std::int32_t>{3}, view(fresh, 12), keys({10, 11, 12, 13}));
  EXPECT_EQ(m.history().rows, 4);
  EXPECT_EQ(m.history().cols, 4);
  EXPECT_EQ(recommend(m, {.user = 3}, 9).size(), 4u);
  EXPECT_EQ(recommend(m, {.user = 1}, 9).size(), 3u);
  const auto loaded = load_from_memory(save_to_memory(m));
  EXPECT_EQ(recommend(*loaded, {.user = 3}, 9), recommend(m, {.user = 3}, 9));
}

TEST(Vectors, BadVectorsAreRefused) {
  const Array<float> items = normal_factors(5, 4, 1);
  EXPECT_THROW(VectorsModel(view(normal_factors(2, 3, 1), 3), view(items, 4)), std::invalid_argument);
  EXPECT_THROW(VectorsModel({}, {}), std::invalid_argument);
  EXPECT_THROW(VectorsModel(Array<float>(3), Array<float>(items), 4), std::invalid_argument);
  EXPECT_THROW(VectorsModel(Array<float>(), Array<float>(items), 0), std::invalid_argument);
  Array<float> bad = items;
  bad.mutable_view()[9] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(VectorsModel({}, view(bad, 4)), std::invalid_argument);
  VectorsModel m({}, view(items, 4));
  EXPECT_EQ(m.num_users(), 0);
  Scratch scratch;
  std::vector<ItemScore> out(3);
  EXPECT_THROW((void)m.recommend({.user = 0}, out, scratch), std::out_of_range);
  EXPECT_THROW(m.partial_fit_items(std::vector<std::int32_t>{1, 1}, view(normal_factors(2, 4, 1), 4)), std::invalid_argument);
  EXPECT_THROW(m.partial_fit_items(std::vector<std::int32_t>{-1}, view(normal_factors(1, 4, 1), 4)), std::out_of_range);
  EXPECT_THROW(m.partial_fit_items(std::vector<std::int32_t>{1}, view(normal_factors(1, 3, 1), 3)), std::invalid_argument);
  EXPECT_THROW(m.partial_fit_items(std::vector<std::int32_t>{1}, view(Array<float>(bad.view().subspan(8, 4)), 4)),
               std::invalid_argument);
  m.partial_fit_items({}, {});
  EXPECT_EQ(m.num_items(), 5);
  EXPECT_THROW((void)m.explain({.user = 0}, 0, 3), UnsupportedError);
}

// Enough items of many lengths that the longest are kept apart from the third question on; then items change and come.
TEST(VectorsModel, RanksByScoresWhateverIsReadFirst) {
  constexpr std::size_t kItems = 9000, kDim = 64;
  Array<float> items = normal_factors(kItems, kDim, 2);
  const auto shorten = [](std::span<float> rows) {
    for (std::size_t r = 0; r < rows.size() / kDim; ++r)
      for (std::size_t f = 0; f < kDim; ++f) rows[r * kDim + f] /= 1 + static_cast<float>((r * 7919) % 900) / 9;
  };
  shorten(items.mutable_view());
  VectorsModel m(normal_factors(20, kDim, 1), std::move(items), static_cast<std::int32_t>(kDim), {VectorMetric::kDot});
  std::vector<std::int64_t> half;
  for (std::int64_t i = 0; i < 9500; i += 2) half.push_back(i);
  const ItemFilter even = ItemFilter::allow(half);
  const std::vector<std::int32_t> seen{0, 3, 900, 1800, 2700};
  Scratch scratch;
  for (int round = 0; round < 12; ++round) {
    if (round > 4) {
      const std::vector<std::int32_t> changed{900 * (round - 5), 17 + round, m.num_items() + 3};
      Array<float> rows = normal_factors(3, kDim, static_cast<unsigned>(round));
      if (round % 2 == 0) shorten(rows.mutable_view());
      m.partial_fit_items(changed, view(rows, kDim));
    }
    Query query{.user = round};
    if (round % 3 == 1) query.filter = &even;
    if (round % 3 == 2) query.history = seen;
    std::vector<std::int32_t> all(static_cast<std::size_t>(m.num_items()));
    std::iota(all.begin(), all.end(), 0);
    std::vector<float> scores(all.size());
    m.score(query, all, scores, scratch);
    std::erase_if(all, [&](std::int32_t i) {
      return (query.filter != nullptr && !even.allows(i)) || (round % 3 == 2 && std::binary_search(seen.begin(), seen.end(), i));
    });
    const auto at = [&](std::int32_t i) { return scores[static_cast<std::size_t>(i)]; };
    std::sort(all.begin(), all.end(), [&](std::int32_t a, std::int32_t b) { return at(a) != at(b) ? at(a) > at(b) : a < b; });
    std::vector<ItemScore> got(30);
    ASSERT_EQ(m.recommend(query, got, scratch), 30u);
    for (std::size_t i = 0; i < 30; ++i) {
      ASSERT_EQ(got[i].item, all[i]) << "round " << round << " place " << i;
      ASSERT_EQ(got[i].score, at(all[i])) << "round " << round << " place " << i;
    }
    std::vector<ItemScore> batch(30);
    std::size_t count = 0;
    m.recommend_batch({&query, 1}, {batch.data(), 1, 30}, {&count, 1}, 1);
    for (std::size_t i = 0; i < 30; ++i) ASSERT_EQ(batch[i].item, got[i].item);
  }
}

}  // namespace
}  // namespace etalage
