// SPDX-License-Identifier: Apache-2.0
// ItemKNN, P3alpha and RP3beta against their defining equations in plain dense loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

#include "etalage/error.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/random_walk.hpp"

namespace etalage {
namespace {

constexpr int kUsers = 60;
constexpr int kItems = 35;
using Dense = std::vector<std::vector<double>>;

Interactions random_data(std::uint32_t seed, bool ones = false) {
  std::mt19937 rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (int u = 0; u < kUsers; ++u) {
    for (int i = 0; i < kItems; ++i)
      if (rng() % 6 == 0) {
        columns.push_back(i);
        values.push_back(ones ? 1.0f : static_cast<float>(1 + rng() % 5));
      }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  return Interactions(CsrMatrix{kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)});
}

Dense dense(const CsrMatrix& m) {
  Dense d(static_cast<std::size_t>(m.rows), std::vector<double>(static_cast<std::size_t>(m.cols), 0.0));
  for (std::int64_t r = 0; r < m.rows; ++r) {
    const auto c = m.view().row_columns(r);
    const auto v = m.view().row_values(r);
    for (std::size_t p = 0; p < c.size(); ++p) d[static_cast<std::size_t>(r)][static_cast<std::size_t>(c[p])] = static_cast<double>(v[p]);
  }
  return d;
}

void expect_weights(const CsrMatrix& w, const Dense& expected) {
  const Dense got = dense(w);
  for (std::size_t i = 0; i < kItems; ++i)
    for (std::size_t j = 0; j < kItems; ++j)
      EXPECT_NEAR(got[i][j], i == j ? 0.0 : std::max(expected[i][j], 0.0), 1e-5 * (1 + std::fabs(expected[i][j]))) << i << ' ' << j;
}

Dense expected_knn(const Interactions& data, const ItemKnnOptions& o) {
  const Dense r = dense(data.user_items());
  Dense x = r;
  std::vector<double> length(kItems, 0.0);
  double average = 0;
  for (const auto& row : r)
    for (std::size_t i = 0; i < kItems; ++i) {
      length[i] += row[i];
      average += row[i] / kItems;
    }
  std::vector<double> damping;
  for (auto& row : x) {
    double owned = 0;
    for (const double v : row) owned += v != 0;
    damping.push_back(std::pow(owned, -static_cast<double>(o.user_damping)));
    const double idf = std::max(0.0, std::log(kItems / (1 + owned)));
    const auto k1 = static_cast<double>(o.bm25_k1);
    const auto b = static_cast<double>(o.bm25_b);
    for (std::size_t i = 0; i < kItems; ++i) {
      if (row[i] == 0) continue;
      if (o.similarity == Similarity::kTfIdf) row[i] = std::sqrt(row[i]) * idf;
      else if (o.similarity == Similarity::kBm25)
        row[i] = row[i] * (k1 + 1) / (k1 * (1 - b + b * length[i] / average) + row[i]) * idf;
      else if (o.similarity != Similarity::kCosine) row[i] = 1;
    }
  }
  Dense w(kItems, std::vector<double>(kItems, 0.0));
  const auto c = [&](std::size_t i, std::size_t j) {
    double sum = 0;
    for (std::size_t u = 0; u < kUsers; ++u)
      if (x[u][i] != 0 && x[u][j] != 0) sum += damping[u] * x[u][i] * x[u][j];
    return sum;
  };
  const auto s = static_cast<double>(o.shrinkage);
  const auto a = static_cast<double>(o.asymmetry);
  for (std::size_t i = 0; i < kItems; ++i)
    for (std::size_t j = 0; j < kItems; ++j) {
      const double cij = c(i, j);
      if (cij == 0) continue;
      switch (o.similarity) {
        case Similarity::kCosine:
        case Similarity::kTfIdf:
        case Similarity::kBm25: w[i][j] = cij / (std::pow(c(i, i), a) * std::pow(c(j, j), 1 - a) + s); break;
        case Similarity::kJaccard: w[i][j] = cij / (c(i, i) + c(j, j) - cij + s); break;
        case Similarity::kTversky:
          w[i][j] = cij / (cij + static_cast<double>(o.tversky_alpha) * (c(i, i) - cij) + static_cast<double>(o.tversky_beta) * (c(j, j) - cij) + s);
          break;
        case Similarity::kConditional: w[i][j] = cij / (c(i, i) * std::pow(c(j, j), static_cast<double>(o.popularity_penalty)) + s); break;
        case Similarity::kLift: w[i][j] = kUsers * cij / (c(i, i) * c(j, j) + s); break;
      }
    }
  return w;
}

class ItemKnnSimilarity : public ::testing::TestWithParam<Similarity> {};

TEST_P(ItemKnnSimilarity, EqualsItsFormula) {
  const Interactions data = random_data(3);
  ItemKnnOptions o;
  o.similarity = GetParam();
  o.num_neighbors = kItems;
  o.shrinkage = 2.5f;
  o.asymmetry = 0.3f;
  o.tversky_alpha = 0.4f;
  o.tversky_beta = 1.7f;
  ItemKnnModel model(o);
  model.fit(data);
  expect_weights(model.weights(), expected_knn(data, o));
  o.user_damping = 0.7f;
  ItemKnnModel damped(o);
  damped.fit(data);
  expect_weights(damped.weights(), expected_knn(data, o));
}

INSTANTIATE_TEST_SUITE_P(All, ItemKnnSimilarity,
                         ::testing::Values(Similarity::kCosine, Similarity::kTfIdf, Similarity::kBm25, Similarity::kJaccard,
                                           Similarity::kTversky, Similarity::kConditional, Similarity::kLift));

TEST(ItemKnnModel, KeepsTheBestNeighboursOfEachItem) {
  const Interactions data = random_data(4);
  ItemKnnModel all({.num_neighbors = kItems});
  ItemKnnModel few({.num_neighbors = 5});
  all.fit(data);
  few.fit(data);
  Scratch scratch;
  std::vector<ItemScore> a(5);
  std::vector<ItemScore> b(10);
  for (int i = 0; i < kItems; ++i) {
    const std::size_t n = all.similar_items(i, a, scratch);
    ASSERT_EQ(few.similar_items(i, b, scratch), n);
    for (std::size_t p = 0; p < n; ++p) {
      EXPECT_EQ(a[p].item, b[p].item);
      EXPECT_EQ(a[p].score, b[p].score);
      EXPECT_NE(a[p].item, i);
    }
  }
}

TEST(RandomWalkModel, EqualsTheThreeStepWalk) {
  const Interactions data = random_data(5);
  const Dense r = dense(data.user_items());
  for (const auto& [alpha, beta] : std::vector<std::pair<float, float>>{{1.0f, 0.0f}, {0.7f, 0.0f}, {1.2f, 0.4f}}) {
    RandomWalkModel model({.alpha = alpha, .beta = beta, .num_neighbors = kItems}, beta != 0);
    model.fit(data);
    Dense w(kItems, std::vector<double>(kItems, 0.0));
    for (std::size_t i = 0; i < kItems; ++i)
      for (std::size_t j = 0; j < kItems; ++j) {
        double total_i = 0;
        double users_j = 0;
        for (const auto& row : r) {
          total_i += row[i];
          users_j += row[j] != 0;
        }
        for (const auto& row : r) {
          double total_u = 0;
          for (const double v : row) total_u += v;
          if (row[i] != 0 && row[j] != 0)
            w[i][j] += std::pow(row[i] / total_i, static_cast<double>(alpha)) * std::pow(row[j] / total_u, static_cast<double>(alpha));
        }
        if (w[i][j] != 0) w[i][j] /= std::pow(users_j, static_cast<double>(beta));
      }
    expect_weights(model.weights(), w);
  }
}

TEST(RandomWalkModel, NegativeValuesAndBadOptionsAreRefused) {
  const std::vector<std::int64_t> offsets{0, 1};
  const std::vector<std::int32_t> columns{0};
  const std::vector<float> values{-1.0f};
  RandomWalkModel model;
  EXPECT_THROW(model.fit(Interactions(CsrMatrix{1, 1, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)})),
               std::invalid_argument);
  EXPECT_THROW(RandomWalkModel({.alpha = 0}), std::invalid_argument);
  EXPECT_THROW(RandomWalkModel({.beta = NAN}), std::invalid_argument);
  EXPECT_THROW(RandomWalkModel({.beta = 1}, false), std::invalid_argument);
  EXPECT_THROW(ItemKnnModel({.num_neighbors = 0}), std::invalid_argument);
  EXPECT_THROW(ItemKnnModel({.shrinkage = -1}), std::invalid_argument);
}

TEST(ItemSimilarityModel, ScoresAreTheHistorysWeightsAndExplainSumsToThem) {
  const Interactions data = random_data(6);
  ItemKnnModel model({.num_neighbors = 10, .normalize = true});
  model.fit(data);
  model.set_history(data.user_items());
  const Dense w = dense(model.weights());
  const Dense r = dense(data.user_items());
  Scratch scratch;
  std::vector<std::int32_t> items(kItems);
  for (int i = 0; i < kItems; ++i) items[static_cast<std::size_t>(i)] = i;
  std::vector<float> scores(kItems);
  for (int u = 0; u < kUsers; ++u) {
    const std::vector<std::int32_t> session{3, 3, 8};
    const Query query{.user = u, .session = session};
    model.score(query, items, scores, scratch);
    for (std::size_t j = 0; j < kItems; ++j) {
      double expected = 2 * w[3][j] + w[8][j];
      for (std::size_t i = 0; i < kItems; ++i) expected += r[static_cast<std::size_t>(u)][i] * w[i][j];
      EXPECT_NEAR(static_cast<double>(scores[j]), expected, 1e-4);
      const Explanation e = model.explain(query, static_cast<int>(j), 1000);
      float sum = 0;
      for (const ItemScore& part : e.contributions) sum += part.score;
      EXPECT_NEAR(sum, scores[j], 1e-4f);
      EXPECT_NEAR(e.total, scores[j], 1e-4f);
    }
  }
}

TEST(ItemSimilarityModel, RecommendsTheBestUnseenAndFillsTheListWithTheRest) {
  const Interactions data = random_data(7);
  ItemKnnModel model({.num_neighbors = 2});  // so few that most items have no weight
  model.fit(data);
  model.set_history(data.user_items());
  Scratch scratch;
  std::vector<std::int32_t> items(kItems);
  for (int i = 0; i < kItems; ++i) items[static_cast<std::size_t>(i)] = i;
  std::vector<float> scores(kItems);
  std::vector<ItemScore> out(kItems + 5);
  for (int u = 0; u < kUsers; ++u) {
    const Query query{.user = u};
    model.score(query, items, scores, scratch);
    const auto seen = data.user_items().view().row_columns(u);
    std::vector<ItemScore> expected;
    for (int i = 0; i < kItems; ++i)
      if (!std::binary_search(seen.begin(), seen.end(), i)) expected.push_back({i, scores[static_cast<std::size_t>(i)]});
    std::stable_sort(expected.begin(), expected.end(), [](const ItemScore& a, const ItemScore& b) { return a.score > b.score; });
    for (const std::size_t k : {std::size_t{1}, std::size_t{5}, out.size()}) {
      const std::size_t n = model.recommend(query, std::span(out).first(k), scratch);
      ASSERT_EQ(n, std::min(k, expected.size()));
      for (std::size_t p = 0; p < n; ++p) {
        EXPECT_EQ(out[p].item, expected[p].item);
        EXPECT_EQ(out[p].score, expected[p].score);
      }
    }
  }
}

TEST(ItemSimilarityModel, ThreadsDoNotChangeABit) {
  const Interactions data = random_data(8);
  RandomWalkModel one({.beta = 0.3f, .num_neighbors = 7, .num_threads = 1});
  RandomWalkModel four({.beta = 0.3f, .num_neighbors = 7, .num_threads = 4});
  one.fit(data);
  four.fit(data);
  EXPECT_TRUE(std::ranges::equal(one.weights().columns, four.weights().columns));
  EXPECT_TRUE(std::ranges::equal(one.weights().values, four.weights().values));
}

TEST(ItemSimilarityModel, AnUnfittedModelSaysSo) {
  Scratch scratch;
  std::vector<ItemScore> out(3);
  EXPECT_THROW((void)ItemKnnModel().recommend({}, out, scratch), NotFittedError);
}

TEST(ItemSimilarityModel, AnUnknownShopperWithNothingStillGetsAList) {
  ItemKnnModel model;
  model.fit(random_data(9));
  Scratch scratch;
  std::vector<ItemScore> out(3);
  EXPECT_EQ(model.recommend({}, out, scratch), 3u);
  EXPECT_GT(out[0].score, 0.0f);
}

}  // namespace
}  // namespace etalage
