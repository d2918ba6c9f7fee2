// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/logistic_regression.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "etalage/error.hpp"

namespace etalage {
namespace {

struct Data {
  std::vector<float> x;
  std::vector<std::uint8_t> y;
  std::size_t d;
  [[nodiscard]] MatrixView<const float> matrix() const { return {x.data(), y.size(), d}; }
};

Data make(std::size_t n, std::size_t d, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<double> normal;
  Data out{{}, {}, d};
  for (std::size_t i = 0; i < n; ++i) {
    double m = -1;
    for (std::size_t j = 0; j < d; ++j) {
      const double v = j == 1 ? 3.0 : normal(rng);  // column 1 never varies
      out.x.push_back(static_cast<float>(v));
      if (j == 0) m += 1.5 * v * v;
      if (j == 2) m -= v;
    }
    out.y.push_back(std::uniform_real_distribution<double>()(rng) < 1 / (1 + std::exp(-m)) ? 1 : 0);
  }
  return out;
}

double basis(const LogisticRegression::Term& t, double x) {
  return ((std::isinf(t.knot) ? x : std::max(0.0, x - t.knot)) - t.mean) * t.scale;
}

TEST(LogisticRegression, GradientIsZeroAtTheSolution) {
  const Data data = make(3000, 4, 1);
  LogisticRegression model;
  const LogisticOptions options{.l2 = 3, .tolerance = 1e-10};
  const auto report = model.fit(data.matrix(), data.y, options);
  EXPECT_TRUE(report.converged);
  EXPECT_LT(report.iterations, 20);
  std::vector<double> gradient(model.terms().size() + 1, 0.0);
  double objective = 0;
  for (std::size_t i = 0; i < data.y.size(); ++i) {
    double m = model.intercept();
    for (const auto& t : model.terms()) m += t.weight * basis(t, static_cast<double>(data.x[i * 4 + static_cast<std::size_t>(t.column)]));
    EXPECT_NEAR(m, model.margin(data.matrix().row(i)), 1e-9);
    const double p = 1 / (1 + std::exp(-m));
    for (std::size_t k = 0; k < model.terms().size(); ++k)
      gradient[k] += (p - data.y[i]) * basis(model.terms()[k], static_cast<double>(data.x[i * 4 + static_cast<std::size_t>(model.terms()[k].column)]));
    gradient.back() += p - data.y[i];
    objective -= std::log(data.y[i] ? p : 1 - p);
  }
  for (std::size_t k = 0; k < model.terms().size(); ++k) {
    gradient[k] += options.l2 * model.terms()[k].weight;
    objective += options.l2 / 2 * model.terms()[k].weight * model.terms()[k].weight;
  }
  for (const double g : gradient) EXPECT_NEAR(g, 0, 1e-6);
  EXPECT_NEAR(objective, report.objective, 1e-6 * objective);
}

TEST(LogisticRegression, StandardisesAndLeavesOutWhatDoesNotVary) {
  const Data data = make(1000, 4, 2);
  LogisticRegression model;
  model.fit(data.matrix(), data.y);
  for (const auto& t : model.terms()) {
    EXPECT_NE(t.column, 1);
    double sum = 0;
    double squares = 0;
    for (std::size_t i = 0; i < data.y.size(); ++i) {
      const double z = basis(t, static_cast<double>(data.x[i * 4 + static_cast<std::size_t>(t.column)]));
      sum += z;
      squares += z * z;
    }
    EXPECT_NEAR(sum / 1000, 0, 1e-9);
    EXPECT_NEAR(squares / 1000, 1, 1e-9);
  }
}

TEST(LogisticRegression, KnotsBendWhatALineCannot) {
  const Data data = make(4000, 4, 3);
  LogisticRegression line;
  LogisticRegression bent;
  const auto a = line.fit(data.matrix(), data.y, {.knots = 0});
  const auto b = bent.fit(data.matrix(), data.y, {.knots = 3});
  EXPECT_EQ(line.terms().size(), 3u);
  EXPECT_EQ(bent.terms().size(), 12u);
  EXPECT_LT(b.objective, 0.9 * a.objective) << "the chance depends on a square";
}

TEST(LogisticRegression, AnyNumberOfThreadsGivesTheSameBits) {
  const Data data = make(5000, 5, 4);
  LogisticRegression one;
  LogisticRegression four;
  one.fit(data.matrix(), data.y, {.num_threads = 1});
  four.fit(data.matrix(), data.y, {.num_threads = 4});
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(one.margin(data.matrix().row(i)), four.margin(data.matrix().row(i)));
}

TEST(LogisticRegression, ContributionsSumToTheMargin) {
  const Data data = make(800, 4, 5);
  LogisticRegression model;
  const std::vector<std::int32_t> columns{0, 2};
  model.fit(data.matrix(), data.y, {}, columns);
  std::vector<double> parts(4);
  model.contributions(data.matrix().row(7), parts);
  EXPECT_EQ(parts[3], 0) << "not used";
  EXPECT_NEAR(parts[0] + parts[2] + model.intercept(), model.margin(data.matrix().row(7)), 1e-12);
}

TEST(LogisticRegression, SeparableDataAndBadInput) {
  Data data{{}, {}, 1};
  for (int i = 0; i < 100; ++i) {
    data.x.push_back(static_cast<float>(i));
    data.y.push_back(i >= 50);
  }
  LogisticRegression model;
  EXPECT_TRUE(model.fit(data.matrix(), data.y, {.l2 = 0.1}).converged);
  EXPECT_GT(model.margin(data.matrix().row(99)), 2);
  EXPECT_LT(model.margin(data.matrix().row(0)), -2);

  EXPECT_THROW((void)LogisticRegression().margin(data.matrix().row(0)), NotFittedError);
  std::vector<std::uint8_t> ones(100, 1);
  EXPECT_THROW(model.fit(data.matrix(), ones), std::invalid_argument);
  EXPECT_THROW(model.fit(data.matrix(), std::span(ones).first(5)), std::invalid_argument);
  data.x[3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(model.fit(data.matrix(), data.y), std::invalid_argument);
  for (const LogisticOptions& o : {LogisticOptions{.l2 = -1}, LogisticOptions{.knots = 17}, LogisticOptions{.max_iterations = 0}, LogisticOptions{.tolerance = 0}})
    EXPECT_THROW(o.validate(), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
