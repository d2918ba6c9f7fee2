// SPDX-License-Identifier: Apache-2.0
// EASE and SLIM against their defining equations in plain double loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "etalage/error.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/slim.hpp"
#include "models/linear/spd_inverse.hpp"

namespace etalage {
namespace {

using Dense = std::vector<std::vector<double>>;

Interactions random_data(int users, int items, std::uint32_t seed, std::uint32_t one_in = 8) {
  std::mt19937 rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (int u = 0; u < users; ++u) {
    for (int i = 0; i < items; ++i)
      if (rng() % one_in == 0) {
        columns.push_back(i);
        values.push_back(static_cast<float>(1 + rng() % 3));
      }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  return Interactions(CsrMatrix{users, items, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)});
}

Dense gram_of(const Interactions& data) {
  const auto n = static_cast<std::size_t>(data.num_items());
  Dense g(n, std::vector<double>(n, 0.0));
  const CsrView rows = data.user_items().view();
  for (std::int64_t u = 0; u < rows.rows; ++u) {
    const auto c = rows.row_columns(u);
    const auto v = rows.row_values(u);
    for (std::size_t a = 0; a < c.size(); ++a)
      for (std::size_t b = 0; b < c.size(); ++b)
        g[static_cast<std::size_t>(c[a])][static_cast<std::size_t>(c[b])] += static_cast<double>(v[a]) * static_cast<double>(v[b]);
  }
  return g;
}

Dense weights_of(const ItemSimilarityModel& m) {
  const auto n = static_cast<std::size_t>(m.num_items());
  Dense w(n, std::vector<double>(n, 0.0));
  for (std::size_t i = 0; i < n; ++i) {
    if (m.is_dense()) {
      for (std::size_t j = 0; j < n; ++j) w[i][j] = static_cast<double>(m.dense_weights()[i * n + j]);
      continue;
    }
    const auto c = m.weights().view().row_columns(static_cast<std::int64_t>(i));
    const auto v = m.weights().view().row_values(static_cast<std::int64_t>(i));
    for (std::size_t p = 0; p < c.size(); ++p) w[i][static_cast<std::size_t>(c[p])] = static_cast<double>(v[p]);
  }
  return w;
}

/// The gradient of the ridge problem is zero at every weight that is free: (G + l2) W(:, j) = G(:, j) off the diagonal.
void expect_ridge_solution(const Dense& g, const Dense& w, double l2, const std::function<bool(std::size_t, std::size_t)>& is_free) {
  for (std::size_t j = 0; j < g.size(); ++j) {
    EXPECT_EQ(w[j][j], 0.0);
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (i == j) continue;
      if (!is_free(i, j)) {
        EXPECT_EQ(w[i][j], 0.0);
        continue;
      }
      double residual = g[i][j] - l2 * w[i][j];
      for (std::size_t k = 0; k < g.size(); ++k) residual -= g[i][k] * w[k][j];
      EXPECT_NEAR(residual, 0.0, 2e-4 * (1 + g[i][i])) << i << ' ' << j;
    }
  }
}

TEST(NegatedInverse, TimesTheMatrixIsMinusOneForAwkwardSizes) {
  for (const std::size_t n : {1u, 2u, 31u, 32u, 33u, 64u, 127u, 129u, 300u}) {
    std::mt19937 rng(static_cast<unsigned>(n));
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> x(n * (n + 3));
    for (float& v : x) v = normal(rng);
    const std::size_t ld = n + 2;
    std::vector<float> a(n * ld, 7.0f);
    Dense full(n, std::vector<double>(n, 0.0));
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t k = 0; k < n + 3; ++k) full[i][j] += static_cast<double>(x[i * (n + 3) + k]) * static_cast<double>(x[j * (n + 3) + k]);
        if (i == j) full[i][j] += static_cast<double>(n);
        if (j >= i) a[i * ld + j] = static_cast<float>(full[i][j]);
      }
    std::vector<float> one = a;
    ASSERT_TRUE(negated_inverse(one.data(), n, ld, 1));
    ASSERT_TRUE(negated_inverse(a.data(), n, ld, 3));
    EXPECT_EQ(a, one) << "threads change no bit";
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        double sum = 0;
        for (std::size_t k = 0; k < n; ++k) sum += static_cast<double>(a[std::min(i, k) * ld + std::max(i, k)]) * full[k][j];
        EXPECT_NEAR(sum, i == j ? -1.0 : 0.0, 1e-4) << n;
      }
    EXPECT_EQ(a[ld - 1], 7.0f) << "nothing is written beside the matrix";
  }
}

TEST(NegatedInverse, AMatrixThatIsNotPositiveDefiniteIsNamed) {
  std::vector<float> a{1, 2, 0, 1};
  EXPECT_THROW(negated_inverse(a.data(), 2, 2, 1), NumericalError);
}

TEST(EaseModel, ExactWeightsSolveTheRidgeProblem) {
  for (const int items : {1, 7, 60, 150}) {
    const Interactions data = random_data(200, items, 1);
    EaseModel model({.l2 = 12});
    model.fit(data);
    ASSERT_TRUE(model.is_dense());
    expect_ridge_solution(gram_of(data), weights_of(model), 12, [](std::size_t, std::size_t) { return true; });
  }
}

TEST(EaseModel, FewerUsersThanItemsGiveTheSameSolution) {
  for (const auto& [users, items] : std::vector<std::pair<int, int>>{{1, 3}, {20, 60}, {70, 150}, {130, 200}}) {
    const Interactions data = random_data(users, items, 11);
    EaseModel over_users({.l2 = 7});
    over_users.fit(data);
    expect_ridge_solution(gram_of(data), weights_of(over_users), 7, [](std::size_t, std::size_t) { return true; });
    // No room for the users' matrix beside W.
    EaseModel over_items({.l2 = 7, .memory_budget = 4LL * items * items});
    over_items.fit(data);
    const Dense a = weights_of(over_users);
    const Dense b = weights_of(over_items);
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t j = 0; j < a.size(); ++j) EXPECT_NEAR(a[i][j], b[i][j], 1e-5);
    EaseModel few({.l2 = 7, .num_neighbors = 4});
    few.fit(data);
    const Dense kept = weights_of(few);
    for (std::size_t i = 0; i < a.size(); ++i)
      for (std::size_t j = 0; j < a.size(); ++j)
        EXPECT_TRUE(kept[i][j] == 0 || kept[i][j] == a[i][j]);
  }
}

TEST(EaseModel, ApproximateWeightsSolveItOverTheCandidates) {
  const Interactions data = random_data(150, 50, 2, 6);
  const Dense g = gram_of(data);
  for (const int m : {1, 15, 16, 17, 100}) {
    EaseModel model({.l2 = 9, .method = EaseMethod::kApproximate, .num_candidates = m});
    model.fit(data);
    // The candidates of j by their definition: the largest cosines.
    std::vector<std::vector<bool>> candidate(50, std::vector<bool>(50, false));
    for (std::size_t j = 0; j < 50; ++j) {
      std::vector<std::size_t> order;
      for (std::size_t i = 0; i < 50; ++i)
        if (i != j && g[i][j] != 0) order.push_back(i);
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return g[a][j] / std::sqrt(g[a][a]) > g[b][j] / std::sqrt(g[b][b]) * (1 + 1e-7); });
      for (std::size_t p = 0; p < std::min<std::size_t>(order.size(), static_cast<std::size_t>(m)); ++p) candidate[order[p]][j] = true;
    }
    expect_ridge_solution(g, weights_of(model), 9, [&](std::size_t i, std::size_t j) { return candidate[i][j]; });
  }
}

TEST(EaseModel, BeyondTheBudgetItIsApproximateOrRefused) {
  const Interactions data = random_data(100, 40, 3);
  EaseModel small({.memory_budget = 4 * 40 * 40 - 1});  // 100 users
  small.fit(data);
  EXPECT_FALSE(small.is_dense());
  EaseModel enough({.memory_budget = 4 * 40 * 40});
  enough.fit(data);
  EXPECT_TRUE(enough.is_dense());
  EXPECT_THROW(EaseModel({.method = EaseMethod::kExact, .memory_budget = 100}).fit(data), std::invalid_argument);
  EXPECT_THROW(EaseModel({.l2 = 0}), std::invalid_argument);
  EXPECT_THROW(EaseModel({.num_candidates = 0}), std::invalid_argument);
}

TEST(EaseModel, KeepsTheLargestWeightsOfEachItem) {
  const Interactions data = random_data(100, 40, 4);
  EaseModel all({.l2 = 5});
  EaseModel few({.l2 = 5, .num_neighbors = 6});
  all.fit(data);
  few.fit(data);
  const Dense w = weights_of(all);
  const Dense kept = weights_of(few);
  for (std::size_t i = 0; i < 40; ++i) {
    std::vector<double> sizes;
    for (const double v : w[i]) sizes.push_back(std::fabs(v));
    std::sort(sizes.begin(), sizes.end(), std::greater<>());
    for (std::size_t j = 0; j < 40; ++j) EXPECT_EQ(kept[i][j], std::fabs(w[i][j]) >= sizes[5] ? w[i][j] : 0.0);
  }
}

TEST(EaseModel, APenaltyDividesWeightsForPopularItems) {
  for (const auto& [users, items] : std::vector<std::pair<int, int>>{{150, 50}, {50, 150}}) {
    const Interactions data = random_data(users, items, 14);
    const CsrMatrix columns = transpose(data.user_items().view());
    for (const EaseMethod method : {EaseMethod::kExact, EaseMethod::kApproximate}) {
      EaseModel plain({.l2 = 9, .method = method});
      EaseModel penalized({.l2 = 9, .popularity_penalty = 0.3f, .method = method});
      EaseModel few({.l2 = 9, .popularity_penalty = 0.3f, .num_neighbors = 5, .method = method});
      plain.fit(data);
      penalized.fit(data);
      few.fit(data);
      const Dense w = weights_of(plain);
      const Dense p = weights_of(penalized);
      const Dense kept = weights_of(few);
      for (std::size_t i = 0; i < w.size(); ++i) {
        std::vector<double> sizes;
        for (std::size_t j = 0; j < w.size(); ++j) {
          const auto count = static_cast<double>(std::max<std::size_t>(1, columns.view().row_size(static_cast<std::int64_t>(j))));
          EXPECT_NEAR(p[i][j], w[i][j] * std::pow(count, -0.3), 1e-6);
          sizes.push_back(std::fabs(p[i][j]));
        }
        std::sort(sizes.begin(), sizes.end(), std::greater<>());
        for (std::size_t j = 0; j < w.size(); ++j) {
          EXPECT_TRUE(kept[i][j] == 0 || kept[i][j] == p[i][j]);
          if (std::fabs(p[i][j]) > sizes[5]) {
            EXPECT_EQ(kept[i][j], p[i][j]) << "the largest are those after the penalty";
          }
        }
      }
    }
  }
  EXPECT_THROW(EaseModel({.popularity_penalty = 1.5f}), std::invalid_argument);
}

TEST(EaseModel, AStoppedFitIsTheSolutionOverTheItemsDone) {
  const Interactions data = random_data(300, 300, 5);
  EaseModel model({.l2 = 20});
  const FitReport report = model.fit(data, [](const Progress&) { return false; });
  EXPECT_EQ(report.stop_reason, FitReport::StopReason::kCancelled);
  const Dense w = weights_of(model);
  std::vector<bool> done(300);
  for (std::size_t i = 0; i < 300; ++i) done[i] = std::any_of(w[i].begin(), w[i].end(), [](double v) { return v != 0; });
  const auto count = std::count(done.begin(), done.end(), true);
  EXPECT_GE(count, 100);
  EXPECT_LT(count, 300);
  expect_ridge_solution(gram_of(data), w, 20, [&](std::size_t i, std::size_t j) { return done[i] && done[j]; });
}

TEST(SlimModel, MeetsTheConditionsOfItsMinimum) {
  const Interactions data = random_data(150, 45, 6);
  const Dense g = gram_of(data);
  for (const bool non_negative : {true, false}) {
    const double l1 = 3;
    const double l2 = 8;
    SlimModel model({.l1 = 3, .l2 = 8, .non_negative = non_negative, .iterations = 1000, .tolerance = 1e-6f});
    model.fit(data);
    const Dense w = weights_of(model);
    int positive = 0;
    int negative = 0;
    for (std::size_t j = 0; j < 45; ++j) {
      EXPECT_EQ(w[j][j], 0.0);
      for (std::size_t i = 0; i < 45; ++i) {
        // Items that share no user with j are no candidates.
        if (i == j || g[i][j] == 0) continue;
        double gradient = g[i][j] - l2 * w[i][j];
        for (std::size_t k = 0; k < 45; ++k) gradient -= g[i][k] * w[k][j];
        const double tolerance = 1e-4 * g[j][j];
        if (w[i][j] > 0) EXPECT_NEAR(gradient, l1, tolerance);
        else if (w[i][j] < 0) EXPECT_NEAR(gradient, -l1, tolerance);
        else EXPECT_TRUE(gradient <= l1 + tolerance && (non_negative || gradient >= -l1 - tolerance)) << gradient;
        positive += w[i][j] > 0;
        negative += w[i][j] < 0;
      }
    }
    EXPECT_GT(positive, 50);
    if (non_negative) EXPECT_EQ(negative, 0);
    else EXPECT_GT(negative, 50);
  }
}

TEST(LinearModels, ThreadsDoNotChangeABit) {
  const Interactions data = random_data(200, 90, 7);
  const auto same = [&](auto make) {
    auto one = make(1);
    auto three = make(3);
    one.fit(data);
    three.fit(data);
    EXPECT_EQ(weights_of(one), weights_of(three));
  };
  same([](int threads) { return EaseModel({.num_threads = threads}); });
  const Interactions wide = random_data(90, 200, 8);
  EaseModel one({.num_threads = 1});
  EaseModel three({.num_threads = 3});
  one.fit(wide);
  three.fit(wide);
  EXPECT_EQ(weights_of(one), weights_of(three));
  same([](int threads) { return EaseModel({.method = EaseMethod::kApproximate, .num_candidates = 20, .num_threads = threads}); });
  same([](int threads) { return SlimModel({.l1 = 0.5f, .l2 = 4, .num_candidates = 30, .num_threads = threads}); });
}

TEST(LinearModels, EmptyDataAndItemsWithoutUsersAreNoError) {
  for (const auto& [users, items] : std::vector<std::pair<int, int>>{{1, 1}, {1, 4}, {4, 1}, {5, 5}}) {
    const Interactions nothing(CsrMatrix{users, items, Array<std::int64_t>(static_cast<std::size_t>(users) + 1), {}, {}});
    EaseModel exact;
    EaseModel approximate({.method = EaseMethod::kApproximate});
    SlimModel slim({.l2 = 0});
    exact.fit(nothing);
    approximate.fit(nothing);
    slim.fit(nothing);
    for (const ItemSimilarityModel* m : {static_cast<ItemSimilarityModel*>(&exact), static_cast<ItemSimilarityModel*>(&approximate), static_cast<ItemSimilarityModel*>(&slim)}) {
      Scratch scratch;
      std::vector<ItemScore> out(3);
      EXPECT_EQ(m->recommend({}, out, scratch), static_cast<std::size_t>(std::min(items, 3)));
    }
  }
}

}  // namespace
}  // namespace etalage
