// SPDX-License-Identifier: Apache-2.0
// Each method beside its definition, evaluated anew at every step in double with plain loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <vector>

#include "etalage/serving/rerank.hpp"
#include "serving/shop.hpp"

namespace etalage {
namespace {

struct Problem {
  std::size_t n = 0, dim = 0;
  std::vector<float> relevance, data;
  std::vector<const float*> rows;
  std::vector<std::int32_t> items, groups;
  std::vector<float> target;
  std::shared_ptr<const CatalogIndex> catalog;
  [[nodiscard]] RerankInput input() const {
    return {.relevance = relevance, .vectors = rows, .dim = dim, .items = items, .catalog = catalog.get(), .groups = groups, .target = target};
  }
};

Problem problem(std::size_t n, std::size_t dim, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> uniform;
  Problem p;
  p.n = n;
  p.dim = dim;
  p.catalog = test::shop(500, seed);
  p.data.resize(n * dim);
  for (float& v : p.data) v = normal(random);
  for (std::size_t i = 0; i < n; ++i) {
    p.relevance.push_back(uniform(random));
    p.rows.push_back(i == 3 ? nullptr : p.data.data() + i * dim);
    p.items.push_back(static_cast<std::int32_t>(random() % 500));
    p.groups.push_back(static_cast<std::int32_t>(random() % 6) - 1);
  }
  if (n > 8) std::copy_n(p.data.begin() + static_cast<std::ptrdiff_t>(7 * dim), dim, p.data.begin() + static_cast<std::ptrdiff_t>(5 * dim));  // a twin
  p.target = {0.4f, 0.3f, 0.0f, 0.3f, 0.0f};
  return p;
}

double similarity(const Problem& p, Likeness how, std::size_t i, std::size_t j) {
  if (how == Likeness::kCategories) {
    const double a = p.catalog->category_depth(p.items[i]), b = p.catalog->category_depth(p.items[j]);
    return a == 0 || b == 0 ? 0 : p.catalog->common_depth(p.items[i], p.items[j]) / std::sqrt(a * b);
  }
  if (p.rows[i] == nullptr || p.rows[j] == nullptr) return 0;
  double dot = 0, x = 0, y = 0;
  for (std::size_t f = 0; f < p.dim; ++f) {
    dot += static_cast<double>(p.rows[i][f]) * p.rows[j][f];
    x += static_cast<double>(p.rows[i][f]) * p.rows[i][f];
    y += static_cast<double>(p.rows[j][f]) * p.rows[j][f];
  }
  return dot / std::sqrt(x * y);
}

double determinant(std::vector<std::vector<double>> m) {
  double det = 1;
  for (std::size_t c = 0; c < m.size(); ++c) {
    std::size_t pivot = c;
    for (std::size_t r = c + 1; r < m.size(); ++r)
      if (std::abs(m[r][c]) > std::abs(m[pivot][c])) pivot = r;
    if (m[pivot][c] == 0) return 0;
    if (pivot != c) {
      std::swap(m[pivot], m[c]);
      det = -det;
    }
    det *= m[c][c];
    for (std::size_t r = c + 1; r < m.size(); ++r)
      for (std::size_t k = m.size(); k-- > c;) m[r][k] -= m[r][c] / m[c][c] * m[c][k];
  }
  return det;
}

double kernel_determinant(const Problem& p, Likeness how, const std::vector<std::size_t>& set) {
  std::vector<std::vector<double>> m(set.size(), std::vector<double>(set.size()));
  for (std::size_t a = 0; a < set.size(); ++a)
    for (std::size_t b = 0; b < set.size(); ++b) {
      const double s = similarity(p, how, set[a], set[b]);
      m[a][b] = a == b ? 1 : how == Likeness::kVectors ? (1 + s) / 2 : s;
    }
  return determinant(std::move(m));
}

double divergence(const Problem& p, double smoothing, const std::vector<std::size_t>& set) {
  std::vector<double> q(p.target.size(), 0.0);
  double all = 0;
  for (const std::size_t i : set) {
    if (p.groups[i] < 0) continue;
    q[static_cast<std::size_t>(p.groups[i])] += 1;
    all += 1;
  }
  double kl = 0;
  for (std::size_t g = 0; g < q.size(); ++g) {
    if (p.target[g] <= 0) continue;
    const double mixed = (1 - smoothing) * (all > 0 ? q[g] / all : 0) + smoothing * static_cast<double>(p.target[g]);
    kl += p.target[g] * std::log(p.target[g] / mixed);
  }
  return kl;
}

// What the set is worth after one more, up to what is the same for all candidates.
using Worth = std::function<double(const std::vector<std::size_t>& before, std::size_t next)>;

// The chosen one's worth is the largest there is, to rounding; ties and near ties may go either way.
void expect_greedy(const Problem& p, const RerankOptions& options, std::size_t k, const Worth& worth, double tolerance) {
  std::vector<std::int32_t> order(k);
  Scratch scratch;
  ASSERT_EQ(rerank(options, p.input(), order, scratch), std::min(k, p.n));
  std::vector<std::size_t> chosen;
  std::vector<bool> taken(p.n, false);
  for (std::size_t pos = 0; pos < std::min(k, p.n); ++pos) {
    const auto mine = static_cast<std::size_t>(order[pos]);
    ASSERT_LT(mine, p.n);
    ASSERT_FALSE(taken[mine]);
    double best = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < p.n; ++i)
      if (!taken[i]) best = std::max(best, worth(chosen, i));
    ASSERT_GE(worth(chosen, mine), best - tolerance) << "at " << pos;
    taken[mine] = true;
    chosen.push_back(mine);
  }
}

std::vector<std::size_t> with(std::vector<std::size_t> set, std::size_t i) {
  set.push_back(i);
  return set;
}

TEST(Rerank, WithoutAMethodTheOrderIsThatOfRelevance) {
  const Problem p = problem(30, 4, 1);
  std::vector<std::int32_t> order(40);
  Scratch scratch;
  ASSERT_EQ(rerank({}, p.input(), order, scratch), 30u);
  for (std::size_t i = 1; i < 30; ++i)
    EXPECT_GE(p.relevance[static_cast<std::size_t>(order[i - 1])], p.relevance[static_cast<std::size_t>(order[i])]);
}

TEST(Rerank, MmrIsItsDefinition) {
  for (const Likeness how : {Likeness::kVectors, Likeness::kCategories}) {
    for (const float d : {0.0f, 0.3f, 0.8f, 1.0f}) {
      const Problem p = problem(60, 19, 2);
      expect_greedy(p, {.method = RerankMethod::kMmr, .likeness = how, .diversity = d}, 25,
                    [&](const std::vector<std::size_t>& set, std::size_t i) {
                      double nearest = set.empty() ? 0 : -2;
                      for (const std::size_t j : set) nearest = std::max(nearest, similarity(p, how, i, j));
                      return (1 - static_cast<double>(d)) * p.relevance[i] - static_cast<double>(d) * nearest;
                    },
                    1e-5);
    }
  }
}

TEST(Rerank, DppIsGreedyOnTheDeterminant) {
  for (const Likeness how : {Likeness::kVectors, Likeness::kCategories}) {
    for (const float d : {0.0f, 0.2f, 0.7f, 1.0f}) {
      const Problem p = problem(40, 12, 3);
      expect_greedy(p, {.method = RerankMethod::kDpp, .likeness = how, .diversity = d}, 10,
                    [&](const std::vector<std::size_t>& set, std::size_t i) {
                      const double before = set.empty() ? 1 : kernel_determinant(p, how, set);
                      // From where nothing new is left the order is that of relevance.
                      if (before < 1e-12) return static_cast<double>(-1e6 + p.relevance[i]);
                      const double ratio = kernel_determinant(p, how, with(set, i)) / before;
                      if (ratio < 1e-6) return static_cast<double>(-1e6 + p.relevance[i]);
                      return (1 - static_cast<double>(d)) * p.relevance[i] + static_cast<double>(d) * std::log(ratio);
                    },
                    how == Likeness::kVectors ? 1e-4 : 1e-6);
    }
  }
}

TEST(Rerank, DppPutsATwinLast) {
  Problem p = problem(12, 6, 4);
  for (float& r : p.relevance) r = 0.5f;
  p.relevance[5] = p.relevance[7] = 0.9f;
  std::vector<std::int32_t> order(12);
  Scratch scratch;
  ASSERT_EQ(rerank({.method = RerankMethod::kDpp, .diversity = 0.5f}, p.input(), order, scratch), 12u);
  EXPECT_EQ(order[0], 5);
  // Vectors of 6 dimensions and the constant span 7; candidate 3, without a vector, one more.
  const auto at = std::find(order.begin(), order.end(), 7) - order.begin();
  EXPECT_GE(at, 8);
}

TEST(Rerank, CalibrationIsItsDefinition) {
  for (const float d : {0.0f, 0.5f, 0.9f, 1.0f}) {
    const Problem p = problem(50, 3, 5);
    const RerankOptions options{.method = RerankMethod::kCalibrated, .diversity = d, .smoothing = 0.05f};
    expect_greedy(p, options, 20,
                  [&](const std::vector<std::size_t>& set, std::size_t i) {
                    return (1 - static_cast<double>(d)) * p.relevance[i] - static_cast<double>(d) * divergence(p, 0.05, with(set, i));
                  },
                  1e-6);
  }
}

TEST(Rerank, CalibrationReachesItsTarget) {
  Problem p = problem(200, 3, 6);
  for (std::size_t i = 0; i < p.n; ++i) p.groups[i] = static_cast<std::int32_t>(i % 5);  // one without a group costs nothing
  std::vector<std::int32_t> order(20);
  Scratch scratch;
  rerank({.method = RerankMethod::kCalibrated, .diversity = 0.99f}, p.input(), order, scratch);
  std::vector<double> share(5, 0.0);
  for (const std::int32_t i : order)
    if (p.groups[static_cast<std::size_t>(i)] >= 0) share[static_cast<std::size_t>(p.groups[static_cast<std::size_t>(i)])] += 1 / 20.0;
  for (std::size_t g = 0; g < 5; ++g) EXPECT_NEAR(share[g], p.target[g], 0.051);
}

TEST(Rerank, TheWindowIsTheMostRelevant) {
  const Problem p = problem(80, 8, 7);
  std::vector<std::int32_t> order(80), all(80);
  Scratch scratch;
  ASSERT_EQ(rerank({.method = RerankMethod::kMmr, .diversity = 0.9f, .window = 10}, p.input(), order, scratch), 80u);
  rerank({}, p.input(), all, scratch);
  EXPECT_TRUE(std::is_permutation(order.begin(), order.begin() + 10, all.begin()));
  EXPECT_NE(std::vector<std::int32_t>(order.begin(), order.begin() + 10), std::vector<std::int32_t>(all.begin(), all.begin() + 10));
  EXPECT_TRUE(std::equal(order.begin() + 10, order.end(), all.begin() + 10));
}

TEST(Rerank, ScratchOfAnotherProblemLeavesNoTrace) {
  Scratch used;
  for (const RerankMethod m : {RerankMethod::kMmr, RerankMethod::kDpp, RerankMethod::kCalibrated, RerankMethod::kNone}) {
    for (const std::size_t n : {70u, 20u, 40u}) {
      const Problem p = problem(n, n == 20 ? 30 : 6, static_cast<std::uint32_t>(n));
      std::vector<std::int32_t> a(15), b(15);
      Scratch fresh;
      rerank({.method = m, .window = 30}, p.input(), a, used);
      rerank({.method = m, .window = 30}, p.input(), b, fresh);
      EXPECT_EQ(a, b);
    }
  }
}

TEST(Rerank, RefusesWhatDoesNotFit) {
  Problem p = problem(10, 4, 8);
  std::vector<std::int32_t> order(5);
  Scratch scratch;
  const auto refuses = [&](const RerankOptions& o, const RerankInput& in) { EXPECT_THROW(rerank(o, in, order, scratch), std::invalid_argument); };
  refuses({.diversity = -0.1f}, p.input());
  refuses({.diversity = 1.1f}, p.input());
  refuses({.diversity = std::nanf("")}, p.input());
  refuses({.window = 0}, p.input());
  refuses({.smoothing = 0}, p.input());
  RerankInput in = p.input();
  in.vectors = in.vectors.first(9);
  refuses({.method = RerankMethod::kMmr}, in);
  in = p.input();
  in.catalog = nullptr;
  refuses({.method = RerankMethod::kMmr, .likeness = Likeness::kCategories}, in);
  p.target[0] = 0.9f;
  refuses({.method = RerankMethod::kCalibrated}, p.input());
  p.target = {1.0f};
  refuses({.method = RerankMethod::kCalibrated}, p.input());
  p.data[0] = std::nanf("");
  refuses({.method = RerankMethod::kDpp}, p.input());
  p.relevance[0] = std::nanf("");
  refuses({}, p.input());
  EXPECT_EQ(rerank({}, {}, order, scratch), 0u);
}

}  // namespace
}  // namespace etalage
