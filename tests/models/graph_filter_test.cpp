// SPDX-License-Identifier: Apache-2.0
// GraphFilter against its formula in plain dense loops, and the truncated SVD that it stands on. The published members
// are held to their papers' formulas in python/tests/test_graph_filter.py.
#include "etalage/models/graph_filter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "etalage/error.hpp"
#include "models/graph/randomized_svd.hpp"

namespace etalage {
namespace {

constexpr std::size_t kUsers = 60;
constexpr std::size_t kItems = 35;
using Dense = std::vector<std::vector<double>>;

Interactions random_data(std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (std::size_t u = 0; u < kUsers; ++u) {
    for (std::size_t i = 0; i + 1 < kItems; ++i)
      if (u != 4 && rng() % (u % 3 == i % 3 ? 3 : 12) == 0) {
        columns.push_back(static_cast<std::int32_t>(i));
        values.push_back(static_cast<float>(1 + rng() % 3));
      }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  return Interactions(CsrMatrix{kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)});
}

Dense dense(const CsrMatrix& m) {
  Dense d(static_cast<std::size_t>(m.rows), std::vector<double>(static_cast<std::size_t>(m.cols), 0.0));
  for (std::int64_t r = 0; r < m.rows; ++r)
    for (std::size_t p = 0; p < m.view().row_size(r); ++p)
      d[static_cast<std::size_t>(r)][static_cast<std::size_t>(m.view().row_columns(r)[p])] =
          static_cast<double>(m.view().row_values(r)[p]);
  return d;
}

Dense product(const Dense& a, const Dense& b) {
  Dense c(a.size(), std::vector<double>(b[0].size(), 0.0));
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t k = 0; k < b.size(); ++k)
      for (std::size_t j = 0; j < b[0].size(); ++j) c[i][j] += a[i][k] * b[k][j];
  return c;
}

double power(double degree, float exponent) { return degree > 0 ? std::pow(degree, -static_cast<double>(exponent)) : 0.0; }

// S = D_i^-a R^T D_u^-u R D_i^-b
Dense operator_of(const Dense& r, const GraphFilterOptions& o) {
  std::vector<double> users(kUsers, 0.0);
  std::vector<double> items(kItems, 0.0);
  for (std::size_t u = 0; u < kUsers; ++u)
    for (std::size_t i = 0; i < kItems; ++i) {
      users[u] += r[u][i];
      items[i] += r[u][i];
    }
  Dense s(kItems, std::vector<double>(kItems, 0.0));
  for (std::size_t i = 0; i < kItems; ++i)
    for (std::size_t j = 0; j < kItems; ++j) {
      for (std::size_t u = 0; u < kUsers; ++u) s[i][j] += r[u][i] * power(users[u], o.user_exponent) * r[u][j];
      s[i][j] *= power(items[i], o.history_exponent) * power(items[j], o.item_exponent);
    }
  return s;
}

std::vector<float> all_scores(const GraphFilterModel& m, const Query& q) {
  std::vector<std::int32_t> items(kItems);
  for (std::size_t i = 0; i < kItems; ++i) items[i] = static_cast<std::int32_t>(i);
  std::vector<float> out(kItems);
  Scratch scratch;
  m.score(q, items, out, scratch);
  return out;
}

TEST(GraphFilter, StepsAreThoseOfTheOperator) {
  const Interactions data = random_data(1);
  const Dense r = dense(data.user_items());
  for (const std::vector<float>& c : {std::vector<float>{0, 1}, {0, 2}, {0.5f, 1, -0.3f}, {}}) {
    GraphFilterOptions o{.coefficients = c, .low_pass_factors = 0, .sharpen_factors = 0};
    GraphFilterModel m(o);
    m.fit(data);
    const Dense s = operator_of(r, o);
    Dense term = r;
    Dense want(kUsers, std::vector<double>(kItems, 0.0));
    for (const float k : c) {
      for (std::size_t u = 0; u < kUsers; ++u)
        for (std::size_t i = 0; i < kItems; ++i) want[u][i] += static_cast<double>(k) * term[u][i];
      term = product(term, s);
    }
    for (std::size_t u = 0; u < kUsers; ++u) {
      if (data.user_items().view().row_size(static_cast<std::int64_t>(u)) == 0) continue;  // the cold-start answer: model_rules_test
      const auto got = all_scores(m, {.user = static_cast<std::int32_t>(u)});
      for (std::size_t i = 0; i < kItems; ++i) ASSERT_NEAR(static_cast<double>(got[i]), want[u][i], 1e-4 * (1 + std::abs(want[u][i])));
    }
  }
}

TEST(GraphFilter, LowPassPartIsAddedAtTheStatedWeight) {
  const Interactions data = random_data(2);
  GraphFilterOptions o{.coefficients = {}, .low_pass_factors = 5, .low_pass_weight = 0.7f, .sharpen_factors = 0, .equal_scale = false};
  GraphFilterModel m(o);
  m.fit(data);
  ASSERT_EQ(m.factors(), 5);
  const Dense r = dense(data.user_items());
  const auto v = [&](std::size_t i, std::size_t f) { return static_cast<double>(m.singular_vectors()[i * 5 + f]); };
  std::vector<double> items(kItems, 0.0);
  for (const auto& row : r)
    for (std::size_t i = 0; i < kItems; ++i) items[i] += row[i];
  for (const std::size_t u : {0u, 7u, 33u}) {
    const auto got = all_scores(m, {.user = static_cast<std::int32_t>(u)});
    for (std::size_t j = 0; j < kItems; ++j) {
      double want = 0;
      for (std::size_t f = 0; f < 5; ++f)
        for (std::size_t i = 0; i < kItems; ++i) want += r[u][i] * power(items[i], 0.5f) * v(i, f) * v(j, f);
      want *= 0.7 * (items[j] > 0 ? std::sqrt(items[j]) : 0.0);
      ASSERT_NEAR(static_cast<double>(got[j]), want, 1e-4);
    }
  }
}

TEST(GraphFilter, TruncatedSvdSatisfiesItsEquations) {
  const CsrMatrix a = random_data(3).user_items();
  const CsrMatrix t = transpose(a.view());
  const detail::TruncatedSvd svd = detail::truncated_svd(a.view(), t.view(), {.factors = 6, .iterations = 12});
  ASSERT_EQ(svd.factors, 6u);
  const Dense r = dense(a);
  const auto v = [&](std::size_t i, std::size_t f) { return static_cast<double>(svd.right[i * 6 + f]); };
  for (std::size_t f = 0; f < 6; ++f) {
    if (f > 0) {
      EXPECT_LE(svd.singular[f], svd.singular[f - 1]);
    }
    for (std::size_t g = 0; g < 6; ++g) {
      double dot = 0;
      for (std::size_t i = 0; i < kItems; ++i) dot += v(i, f) * v(i, g);
      EXPECT_NEAR(dot, f == g ? 1.0 : 0.0, 1e-5);
    }
    // A^T A v = sigma^2 v
    std::vector<double> image(kUsers, 0.0);
    for (std::size_t u = 0; u < kUsers; ++u)
      for (std::size_t i = 0; i < kItems; ++i) image[u] += r[u][i] * v(i, f);
    for (std::size_t i = 0; i < kItems; ++i) {
      double back = 0;
      for (std::size_t u = 0; u < kUsers; ++u) back += r[u][i] * image[u];
      EXPECT_NEAR(back, svd.singular[f] * svd.singular[f] * v(i, f), 2e-3);
    }
  }
  // The trace of A^T A is the sum of all squares: with every factor, nothing is left out.
  const detail::TruncatedSvd whole = detail::truncated_svd(a.view(), t.view(), {.factors = 100, .iterations = 3});
  EXPECT_LE(whole.factors, kItems);
  double squares = 0;
  double trace = 0;
  for (const double s : whole.singular) squares += s * s;
  for (const float x : a.values) trace += static_cast<double>(x) * static_cast<double>(x);
  EXPECT_NEAR(squares, trace, 1e-4 * trace);
}

TEST(GraphFilter, RankDeficientMatricesGiveTheirRank) {
  // Two groups of equal rows: rank two.
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u < 30; ++u) {
    for (std::int32_t i = u % 2; i < 20; i += 2) columns.push_back(i);
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  Array<float> ones(columns.size());
  ones.fill(1.0f);
  const CsrMatrix a{30, 20, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), ones};
  const detail::TruncatedSvd svd = detail::truncated_svd(a.view(), transpose(a.view()).view(), {.factors = 7});
  ASSERT_EQ(svd.factors, 2u);
  for (const double s : svd.singular) EXPECT_NEAR(s, std::sqrt(150.0), 1e-4);
}

TEST(GraphFilter, SameBitsForAnyNumberOfThreads) {
  const Interactions data = random_data(4);
  for (const GraphFilterOptions& base : {GraphFilterOptions{.low_pass_factors = 4}, GraphFilterOptions::bspm(0.3f, 4, 1, 2, true)}) {
    GraphFilterOptions one = base;
    one.num_threads = 1;
    GraphFilterOptions four = base;
    four.num_threads = 4;
    GraphFilterModel a(one);
    GraphFilterModel b(four);
    a.fit(data);
    b.fit(data);
    for (std::int32_t u = 0; u < 60; u += 7) EXPECT_EQ(all_scores(a, {.user = u}), all_scores(b, {.user = u}));
  }
}

TEST(GraphFilter, TheOrderOfAHistoryDoesNotMatter) {
  GraphFilterModel m(GraphFilterOptions{.low_pass_factors = 4});
  m.fit(random_data(5));
  const std::vector<std::int32_t> up{3, 5, 5, 9, 20};
  const std::vector<std::int32_t> down{20, 5, 9, 5, 3};
  EXPECT_EQ(all_scores(m, {.history = up}), all_scores(m, {.history = down}));
  EXPECT_EQ(all_scores(m, {.history = up}), all_scores(m, {.session = down}));
}

TEST(GraphFilter, BadInputIsNamed) {
  EXPECT_THROW(GraphFilterModel(GraphFilterOptions{.low_pass_weight = -1}), std::invalid_argument);
  EXPECT_THROW(GraphFilterModel(GraphFilterOptions{.low_pass_coefficients = {}}), std::invalid_argument);
  EXPECT_THROW((void)GraphFilterOptions::cheby_cf(0, 1, 0, 0, 0), std::invalid_argument);
  GraphFilterModel m;
  Scratch scratch;
  std::vector<ItemScore> out(3);
  EXPECT_THROW((void)m.recommend({}, out, scratch), NotFittedError);
  CsrMatrix negative = random_data(6).user_items();
  negative.values.mutable_data()[0] = -1;
  EXPECT_THROW(m.fit(Interactions(negative)), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
