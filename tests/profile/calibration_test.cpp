// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/calibration.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "etalage/trees/tree_ensemble.hpp"

namespace etalage {
namespace {

TEST(Calibrator, PlattIsTheMaximumOfItsLikelihood) {
  std::mt19937 rng(1);
  std::normal_distribution<double> normal;
  std::vector<double> margins;
  std::vector<std::uint8_t> labels;
  for (int i = 0; i < 20000; ++i) {
    margins.push_back(2 * normal(rng));
    labels.push_back(std::uniform_real_distribution<double>()(rng) < 1 / (1 + std::exp(-(0.5 * margins.back() - 1))) ? 1 : 0);
  }
  const Calibrator c(Calibration::kPlatt, margins, labels);
  EXPECT_NEAR(c.slope(), 0.5, 0.03);
  EXPECT_NEAR(c.offset(), -1, 0.05);
  double ones = 0;
  for (const auto y : labels) ones += y;
  const double high = (ones + 1) / (ones + 2);
  const double low = 1 / (20000 - ones + 2);
  double ga = 0;
  double gb = 0;
  for (std::size_t i = 0; i < margins.size(); ++i) {
    const double r = c.probability(margins[i]) - (labels[i] ? high : low);
    ga += r * margins[i];
    gb += r;
  }
  EXPECT_NEAR(ga, 0, 1e-3);
  EXPECT_NEAR(gb, 0, 1e-3);
}

TEST(Calibrator, IsotonicPoolsAdjacentViolators) {
  const std::vector<double> margins{-3, -2, -1, 0, 1, 2};
  const std::vector<std::uint8_t> labels{0, 1, 0, 1, 1, 1};
  const Calibrator c(Calibration::kIsotonic, margins, labels);
  // Steps: {-3}: 0, {-2, -1}: 1 of 2, {0, 1, 2}: 3 of 3; each pulled by one example of the base rate 4/6.
  const double base = 4.0 / 6;
  EXPECT_DOUBLE_EQ(c.probability(-9), base / 2);
  EXPECT_DOUBLE_EQ(c.probability(-1.5), (1 + base) / 3);
  EXPECT_DOUBLE_EQ(c.probability(5), (3 + base) / 4);
  EXPECT_NEAR(c.probability(-2.25), (base / 2 + (1 + base) / 3) / 2, 1e-12);
  double before = 0;
  for (double m = -4; m < 4; m += 0.01) {
    EXPECT_GE(c.probability(m), before);
    before = c.probability(m);
  }
}

TEST(Calibrator, DegenerateLabelsStayInsideZeroAndOne) {
  const std::vector<double> margins{-1, 0, 0, 2};
  for (const auto kind : {Calibration::kNone, Calibration::kPlatt, Calibration::kIsotonic})
    for (const bool buys : {false, true}) {
      const Calibrator c(kind, margins, std::vector<std::uint8_t>(4, buys ? 1 : 0));
      for (const double m : {-50.0, 0.0, 50.0}) {
        EXPECT_GE(c.probability(m), 0);
        EXPECT_LE(c.probability(m), 1);
      }
    }
  EXPECT_THROW(Calibrator(Calibration::kPlatt, {}, {}), std::invalid_argument);
  EXPECT_THROW(Calibrator(Calibration::kPlatt, margins, std::vector<std::uint8_t>(3)), std::invalid_argument);
}

TEST(EvaluateProbabilities, AreaIsTheShareOfOrderedPairs) {
  std::mt19937 rng(2);
  std::vector<double> p;
  std::vector<std::uint8_t> y;
  for (int i = 0; i < 300; ++i) {
    p.push_back(static_cast<double>(rng() % 20) / 20);
    y.push_back(rng() % 3 == 0);
  }
  double pairs = 0;
  double right = 0;
  double loss = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    loss -= std::log(std::max(1e-15, y[i] ? p[i] : 1 - p[i]));
    for (std::size_t j = 0; j < p.size(); ++j) {
      if (!y[i] || y[j]) continue;
      pairs += 1;
      right += p[i] > p[j] ? 1 : p[i] == p[j] ? 0.5 : 0;
    }
  }
  const BinaryEvaluation e = evaluate_probabilities(p, y, 10);
  EXPECT_NEAR(e.auc, right / pairs, 1e-12);
  EXPECT_NEAR(e.log_loss, loss / 300, 1e-12);
  std::int64_t count = 0;
  double error = 0;
  for (std::size_t b = 0; b < e.bins.size(); ++b) {
    count += e.bins[b].count;
    error += static_cast<double>(e.bins[b].count) / 300 * std::abs(e.bins[b].predicted - e.bins[b].observed);
    if (b > 0) {
      EXPECT_GT(e.bins[b].low, e.bins[b - 1].high) << "equal predictions are never parted";
    }
  }
  EXPECT_EQ(count, 300);
  EXPECT_NEAR(e.calibration_error, error, 1e-12);
}

TEST(EvaluateProbabilities, EdgesAndBadInput) {
  const std::vector<double> p{0.2, 0.2};
  EXPECT_TRUE(std::isnan(evaluate_probabilities(p, std::vector<std::uint8_t>{1, 1}).auc));
  EXPECT_EQ(evaluate_probabilities(p, std::vector<std::uint8_t>{1, 0}).auc, 0.5);
  EXPECT_EQ(evaluate_probabilities({}, {}).examples, 0);
  EXPECT_THROW((void)evaluate_probabilities(p, std::vector<std::uint8_t>{1}), std::invalid_argument);
  EXPECT_THROW((void)evaluate_probabilities(std::vector<double>{1.5}, std::vector<std::uint8_t>{1}), std::invalid_argument);
}

TEST(TreeEnsemble, WalksEachTree) {
  const auto ints = [](std::vector<std::int32_t> v) { return Array<std::int32_t>(v); };
  const auto numbers = [](std::vector<double> v) { return Array<double>(v); };
  // x0 <= 1 ? (x1 <= -2 ? 10 : 20) : 30, NaN in x0 left; and a tree that is one leaf.
  const TreeEnsemble t(ints({0, 1, -1, -1, -1, -1}), numbers({1, -2, 0, 0, 0, 0}), ints({1, 2, 0, 0, 0, 0}), ints({4, 3, 0, 0, 0, 0}),
                       Array<std::uint8_t>(std::vector<std::uint8_t>{1, 0, 0, 0, 0, 0}), numbers({0, 0, 10, 20, 30, 5}), ints({0, 5}), 0.25, 2);
  const auto at = [&](float a, float b) { return t.margin(std::vector<float>{a, b}); };
  EXPECT_EQ(at(1, -2), 15.25);
  EXPECT_EQ(at(1, 0), 25.25);
  EXPECT_EQ(at(2, 0), 35.25);
  EXPECT_EQ(at(std::nanf(""), std::nanf("")), 25.25);
  EXPECT_THROW((void)t.margin(std::vector<float>{1}), std::invalid_argument);
  const auto broken = [&](std::vector<std::int32_t> left, std::vector<std::int32_t> feature, std::vector<std::int32_t> roots) {
    return TreeEnsemble(ints(feature), numbers({1, 0, 0}), ints(left), ints({2, 0, 0}), Array<std::uint8_t>(3), numbers({0, 1, 2}), ints(roots), 0, 2);
  };
  EXPECT_EQ(broken({1, 0, 0}, {0, -1, -1}, {0}).num_trees(), 1u);
  EXPECT_THROW(broken({0, 0, 0}, {0, -1, -1}, {0}), std::invalid_argument) << "a loop";
  EXPECT_THROW(broken({3, 0, 0}, {0, -1, -1}, {0}), std::invalid_argument);
  EXPECT_THROW(broken({1, 0, 0}, {2, -1, -1}, {0}), std::invalid_argument);
  EXPECT_THROW(broken({1, 0, 0}, {0, -1, -1}, {3}), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
