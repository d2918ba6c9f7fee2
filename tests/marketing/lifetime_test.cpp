// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/lifetime.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/lifetime_files.hpp"
#include "etalage/marketing/bg_bb.hpp"
#include "etalage/marketing/customer_value.hpp"
#include "etalage/marketing/gamma_gamma.hpp"
#include "etalage/marketing/purchase_summaries.hpp"
#include "marketing/lifetime_sample.hpp"
#include "marketing/pareto_integral.hpp"
#include "marketing/purchase_process.hpp"
#include "marketing/special_functions.hpp"
#include "support/golden.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

constexpr LifetimeKind kKinds[] = {LifetimeKind::kBgNbd, LifetimeKind::kMbgNbd, LifetimeKind::kParetoNbd, LifetimeKind::kMbgCnbd};

struct Customers {
  std::vector<double> x, tx, age, money;
  [[nodiscard]] PurchaseHistories view() const { return {x, tx, age, {}}; }
};

Customers random_customers(std::size_t n, unsigned seed) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<double> u;
  std::gamma_distribution<double> rate(0.8, 0.2);
  Customers c;
  for (std::size_t i = 0; i < n; ++i) {
    const double age = 10 + 30 * u(rng);
    const double lambda = rate(rng);
    const double stop = u(rng) * u(rng);
    double t = 0;
    double x = 0;
    double tx = 0;
    while (u(rng) >= stop) {
      t -= std::log(1 - u(rng)) / lambda;
      if (!(t < age)) break;
      ++x;
      tx = t;
    }
    c.x.push_back(x);
    c.tx.push_back(tx);
    c.age.push_back(age);
    c.money.push_back(5 + 20 * u(rng));
  }
  return c;
}

TEST(LifetimeModel, RowsWithWeightsAreAsManyCustomers) {
  const testing::SampleHistories one;
  testing::SampleHistories all;
  std::vector<double> weights, gaps;
  for (std::size_t i = 0; i < one.x.size(); ++i) {
    weights.push_back(static_cast<double>(1 + i % 3));
    gaps.push_back(one.log_gaps[i] * weights.back());
    for (std::size_t more = 0; more < i % 3; ++more) {
      all.x.push_back(one.x[i]);
      all.tx.push_back(one.tx[i]);
      all.age.push_back(one.age[i]);
      all.log_gaps.push_back(one.log_gaps[i]);
    }
  }
  for (const LifetimeKind kind : kKinds) {
    LifetimeModel each(kind), rows(kind);
    each.fit({all.x, all.tx, all.age, all.log_gaps});
    rows.fit({one.x, one.tx, one.age, gaps, weights});
    EXPECT_EQ(each.parameters().values, rows.parameters().values) << lifetime_name(kind);
    EXPECT_EQ(each.parameters().customers, rows.parameters().customers);
    EXPECT_NEAR(each.parameters().log_likelihood, rows.parameters().log_likelihood, 1e-9);
    EXPECT_EQ(each.k(), rows.k());
  }
  LifetimeModel model(LifetimeKind::kBgNbd);
  for (const double wrong : {0.0, -1.0, 1.1e9, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    weights[2] = wrong;
    EXPECT_THROW(model.fit({one.x, one.tx, one.age, {}, weights}), std::invalid_argument);
  }
  weights.pop_back();
  EXPECT_THROW(model.fit({one.x, one.tx, one.age, {}, weights}), std::invalid_argument);
}

TEST(SpecialFunctions, KnownValues) {
  using marketing::log_gamma;
  EXPECT_NEAR(log_gamma(0.5).value, 0.5 * std::log(std::numbers::pi), 4e-15);
  EXPECT_NEAR(log_gamma(1).value, 0, 1e-14);
  EXPECT_NEAR(log_gamma(100).value / 359.13420536957539878, 1, 1e-15);
  EXPECT_NEAR(log_gamma(1e-8).value, 18.420680738180208905, 1e-13);
  EXPECT_NEAR(log_gamma(1).first, -std::numbers::egamma, 1e-15);
  EXPECT_NEAR(log_gamma(1).second, std::numbers::pi * std::numbers::pi / 6, 1e-14);
  EXPECT_NEAR(log_gamma(0.25).first, -4.2274535333762654081, 1e-13);
  EXPECT_NEAR(log_gamma(0.25).second, 17.197329154507110283, 1e-12);
  // Around the place where the series takes over, and where plain differences have lost half of their digits.
  for (const double z : {999.0, 1001.0, 5000.0}) {
    const auto d = marketing::log_gamma_difference(z, 2.5);
    EXPECT_NEAR(d.value, log_gamma(z + 2.5).value - log_gamma(z).value, 4e-11);  // the plain difference has no more digits
    EXPECT_NEAR(d.first, log_gamma(z + 2.5).first - log_gamma(z).first, 1e-12);
  }
  EXPECT_NEAR(marketing::log_gamma_difference(1e9, 3).value, std::log(1e9) + std::log(1e9 + 1) + std::log(1e9 + 2), 1e-13 * 63);
  for (const double y : {0.01, 0.7, 3.0, 200.0})
    for (const double n : {0.0, 1.0, 7.0, 64.0, 65.0, 500.0}) {
      const auto rising = marketing::log_rising(y, n);
      EXPECT_NEAR(rising.value, log_gamma(y + n).value - log_gamma(y).value, 1e-11 * (1 + std::abs(rising.value)));
      EXPECT_NEAR(rising.first, log_gamma(y + n).first - log_gamma(y).first, 1e-12 * (1 + std::abs(rising.first)));
      EXPECT_NEAR(rising.second, log_gamma(y + n).second - log_gamma(y).second, 1e-12 * (1 + std::abs(rising.second)));
    }
}

TEST(ParetoIntegral, IsTheIntegralByAFineRule) {
  for (const double x : {0.0, 1.0, 40.0, 3000.0})
    for (const auto& [alpha, beta] : {std::pair(10.0, 12.0), std::pair(0.01, 500.0), std::pair(800.0, 0.02)})
      for (const double age : {5.0, 400.0}) {
        const double r = 0.55;
        const double s = 0.6;
        const double tx = x == 0 ? 0 : 0.8 * age;
        // Simpson in ln(min + tau), where the integrand is smooth.
        const double c = std::min(alpha, beta);
        const double from = std::log(c + tx);
        const double step = (std::log(c + age) - from) / 400000;
        const double peak = -(r + x) * std::log(alpha + tx) - (s + 1) * std::log(beta + tx);
        double sum = 0;
        for (int i = 0; i <= 400000; ++i) {
          const double to = std::exp(from + i * step);
          const double f = to * std::exp(-(r + x) * std::log(to - c + alpha) - (s + 1) * std::log(to - c + beta) - peak);
          sum += f * (i == 0 || i == 400000 ? 1 : i % 2 == 1 ? 4 : 2);
        }
        const double want = std::log(sum * step / 3) + peak;
        EXPECT_NEAR(marketing::pareto_integral_value(r, alpha, s, beta, x, tx, age), want, 1e-9 * (1 + std::abs(want))) << x << " " << alpha << " " << age;
        EXPECT_EQ(marketing::pareto_integral(r, alpha, s, beta, x, tx, age).v, marketing::pareto_integral_value(r, alpha, s, beta, x, tx, age));
      }
}

TEST(LifetimeModel, GradientAndHessianAreTheDerivatives) {
  const Customers c = random_customers(300, 1);
  const auto groups = marketing::grouped(c.view());
  for (const LifetimeKind kind : kKinds)
    for (const std::int32_t k : {1, 3}) {
      if (k > 1 && kind != LifetimeKind::kMbgCnbd) continue;
      const std::vector<double> p{0.7, 5.0, 0.9, kind == LifetimeKind::kParetoNbd ? 9.0 : 2.1};
      const auto at = marketing::log_likelihood(kind, k, p, groups, 1);
      for (std::size_t i = 0; i < 4; ++i) {
        auto up = p;
        auto down = p;
        const double h = 1e-5 * p[i];
        up[i] += h;
        down[i] -= h;
        const auto a = marketing::log_likelihood(kind, k, up, groups, 1);
        const auto b = marketing::log_likelihood(kind, k, down, groups, 1);
        EXPECT_NEAR(at.g[i], (a.v - b.v) / (2 * h), 1e-6 * (1 + std::abs(at.g[i]))) << lifetime_name(kind) << " " << i;
        for (std::size_t j = 0; j < 4; ++j) {
          const double want = (a.g[j] - b.g[j]) / (2 * h);
          EXPECT_NEAR(at.h[marketing::Jet::at(std::max(i, j), std::min(i, j))], want, 1e-6 * (1 + std::abs(want))) << lifetime_name(kind) << " " << i << j;
        }
      }
    }
}

TEST(LifetimeModel, TheFitIsAMaximumAndEqualRowsCollapse) {
  Customers c = random_customers(800, 2);
  for (const LifetimeKind kind : kKinds) {
    LifetimeModel model(kind);
    const ParameterFit fit = model.fit(c.view());
    ASSERT_TRUE(fit.converged) << lifetime_name(kind);
    EXPECT_TRUE(fit.at_bound.empty());
    EXPECT_LT(fit.gradient, 1e-4);
    const FitReport report = fit;  // as every fit gives one
    EXPECT_EQ(report.stop_reason, FitReport::StopReason::kConverged);
    EXPECT_GT(report.iterations, 0);
    ASSERT_EQ(report.objective.size(), 2u);
    EXPECT_GT(report.objective[1], report.objective[0]);
    EXPECT_GT(report.seconds, 0);
    const auto groups = marketing::grouped(c.view());
    const double best = marketing::log_likelihood(kind, model.k(), fit.values, groups, 1).v;
    for (std::size_t i = 0; i < 4; ++i)
      for (const double factor : {0.97, 1.03}) {
        auto p = fit.values;
        p[i] *= factor;
        EXPECT_LT(marketing::log_likelihood(kind, model.k(), p, groups, 1).v, best);
      }
    Customers twice = c;
    twice.x.insert(twice.x.end(), c.x.begin(), c.x.end());
    twice.tx.insert(twice.tx.end(), c.tx.begin(), c.tx.end());
    twice.age.insert(twice.age.end(), c.age.begin(), c.age.end());
    LifetimeModel other(kind);
    const ParameterFit& doubled = other.fit(twice.view());
    EXPECT_EQ(doubled.distinct, fit.distinct);
    EXPECT_EQ(doubled.customers, 2 * fit.customers);
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_NEAR(doubled.values[i], fit.values[i], 1e-6 * fit.values[i]);
      EXPECT_NEAR(doubled.standard_errors()[i], fit.standard_errors()[i] / std::sqrt(2.0), 1e-5 * fit.values[i]);
    }
  }
}

TEST(LifetimeModel, AnyNumberOfThreadsGivesTheSameBits) {
  const Customers c = random_customers(20000, 3);
  for (const LifetimeKind kind : {LifetimeKind::kMbgNbd, LifetimeKind::kParetoNbd}) {
    LifetimeModel one(kind, {.num_threads = 1});
    LifetimeModel four(kind, {.num_threads = 4});
    EXPECT_EQ(one.fit(c.view()).values, four.fit(c.view()).values);
    std::vector<double> a(c.x.size());
    std::vector<double> b(c.x.size());
    one.expected_purchases(12, c.view(), a);
    four.expected_purchases(12, c.view(), b);
    EXPECT_EQ(a, b);
  }
}

TEST(LifetimeModel, FilesBringBackEveryBitAndRefuseNonsense) {
  const Customers c = random_customers(400, 4);
  for (const LifetimeKind kind : kKinds) {
    LifetimeModel model(kind);
    model.fit(c.view());
    const auto bytes = save_to_memory(model);
    const auto back = load_lifetime_model_from_memory(bytes);
    EXPECT_EQ(back->parameters().values, model.parameters().values);
    EXPECT_EQ(back->k(), model.k());
    EXPECT_EQ(save_to_memory(*back), bytes);
    EXPECT_THROW((void)load_gamma_gamma_from_memory(bytes), FormatError);
    auto damaged = bytes;
    damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 1);
    EXPECT_THROW((void)load_lifetime_model_from_memory(damaged), FormatError);
  }
  EXPECT_FALSE(load_lifetime_model_from_memory(save_to_memory(LifetimeModel(LifetimeKind::kBgNbd)))->fitted());
  LifetimeModel known(LifetimeKind::kBgNbd);
  known.set_parameters(std::vector<double>{1, 2, 3, 4});
  EXPECT_TRUE(std::isnan(load_lifetime_model_from_memory(save_to_memory(known))->parameters().covariance[0]));
}

TEST(LifetimeModel, GoldenFilesAnswerAsTheyDid) {
  const auto check = [](const std::string& kind, const std::vector<double>& found) { test::expect_answers(kind, found, 1e-9); };
  const auto file = [](const std::string& kind) { return test::golden(kind) + ".etalage"; };
  check("LifetimeModel", testing::lifetime_answers(*load_lifetime_model(file("LifetimeModel"))));
  check("GammaGamma", testing::money_answers(*load_gamma_gamma(file("GammaGamma"))));
  check("BgBb", testing::opportunity_answers(*load_bg_bb(file("BgBb"))));
}

TEST(LifetimeModel, BadInputIsNamed) {
  LifetimeModel model(LifetimeKind::kBgNbd);
  const std::vector<double> one{1};
  const std::vector<double> two{2};
  const std::vector<double> nan{std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THROW((void)model.parameters(), NotFittedError);
  EXPECT_THROW(model.fit({nan, one, two, {}}), std::invalid_argument);
  EXPECT_THROW(model.fit({one, two, one, {}}), std::invalid_argument);
  EXPECT_THROW(model.fit({one, one, {}, {}}), std::invalid_argument);
  EXPECT_THROW(LifetimeModel(LifetimeKind::kBgNbd, {.k = 2}), std::invalid_argument);
  EXPECT_THROW(LifetimeModel(LifetimeKind::kMbgCnbd, {.k = 13}), std::invalid_argument);
  EXPECT_THROW(model.set_parameters(one), std::invalid_argument);
  GammaGamma money;
  EXPECT_THROW(money.fit(one, nan), std::invalid_argument);
  EXPECT_THROW((void)money.parameters(), NotFittedError);
  BgBb discrete;
  EXPECT_THROW(discrete.fit({two, one, two}), std::invalid_argument);
}

TEST(CustomerValue, IntervalsAreTheQuantilesOfDraws) {
  const Customers c = random_customers(500, 5);
  LifetimeModel model(LifetimeKind::kMbgNbd);
  model.fit(c.view());
  CustomerValueOptions options;
  options.t = 10;
  options.draws = 200;
  std::vector<double> low(500), high(500), value(500);
  customer_value_intervals(LifetimeQuantity::kPurchases, &model, nullptr, c.view(), {}, options, low, high);
  model.expected_purchases(10, c.view(), value);
  const auto draws = model.parameters().draws(200, options.seed);
  std::vector<double> of_one;
  for (std::size_t d = 0; d < 200; ++d) {
    double out = 0;
    model.expected_purchases(std::span<const double>(draws).subspan(4 * d, 4), 10, {{&c.x[7], 1}, {&c.tx[7], 1}, {&c.age[7], 1}, {}}, {&out, 1});
    of_one.push_back(out);
  }
  std::sort(of_one.begin(), of_one.end());
  EXPECT_GE(low[7], of_one[4]);
  EXPECT_LE(low[7], of_one[5]);
  EXPECT_GE(high[7], of_one[194]);
  EXPECT_LE(high[7], of_one[195]);
  options.num_threads = 3;
  std::vector<double> low2(500), high2(500);
  customer_value_intervals(LifetimeQuantity::kPurchases, &model, nullptr, c.view(), {}, options, low2, high2);
  EXPECT_EQ(low, low2);
  EXPECT_EQ(high, high2);
  EXPECT_THROW(customer_values(LifetimeQuantity::kValue, &model, nullptr, c.view(), c.money, options, value), std::invalid_argument);
}

TEST(ParameterFit, DrawsHaveTheCovariance) {
  ParameterFit fit;
  fit.names = {"a", "b"};
  fit.values = {2, 5};
  fit.covariance = {0.04, 0.03, 0.03, 0.09};
  const auto draws = fit.draws(20000, 1);
  double aa = 0;
  double ab = 0;
  double bb = 0;
  for (std::size_t i = 0; i < 20000; ++i) {
    const double a = std::log(draws[2 * i] / 2);
    const double b = std::log(draws[2 * i + 1] / 5);
    aa += a * a;
    ab += a * b;
    bb += b * b;
  }
  EXPECT_NEAR(aa / 20000, 0.04, 0.002);
  EXPECT_NEAR(ab / 20000, 0.03, 0.002);
  EXPECT_NEAR(bb / 20000, 0.09, 0.004);
  EXPECT_EQ(draws, fit.draws(20000, 1));
}

TEST(PurchaseSummaries, SeveralPurchasesOfADayAreOne) {
  constexpr std::int64_t kHour = 3600000;
  EventLog::Columns columns;
  columns.users = Array<std::int32_t>(std::vector<std::int32_t>{0, 0, 0, 1, 0, 1});
  columns.items = Array<std::int32_t>(std::vector<std::int32_t>{0, 1, 0, 0, 0, 0});
  columns.times_ms = Array<std::int64_t>(std::vector<std::int64_t>{1, 23 * kHour, 24 * kHour, -1, 24 * 14 * kHour, 24 * 30 * kHour});
  columns.values = Array<float>(std::vector<float>{1, 2, 4, 8, 16, 32});
  const EventLog log(columns);
  PurchaseSummaryOptions options;
  options.until_ms = 24 * 20 * kHour;
  const PurchaseSummaries s = summarize_purchases(log, options);
  EXPECT_EQ(s.later, 1);
  EXPECT_EQ(s.customers, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(s.frequency, (std::vector<double>{2, 0}));
  EXPECT_EQ(s.recency, (std::vector<double>{2, 0}));
  EXPECT_EQ(s.age, (std::vector<double>{20.0 / 7, 3}));  // the day before 1970 is a day of its own
  EXPECT_EQ(s.money, (std::vector<double>{10, 0}));
  EXPECT_NEAR(s.log_gaps[0], std::log(1.0 / 7) + std::log(13.0 / 7), 1e-14);
  options.utc_offset_minutes = 120;  // 23:00 is of the next day
  EXPECT_EQ(summarize_purchases(log, options).frequency, (std::vector<double>{2, 0}));
  options.utc_offset_minutes = 3000;
  EXPECT_THROW((void)summarize_purchases(log, options), std::invalid_argument);
}

TEST(PurchaseSummaries, AValueBelowZeroIsAReturn) {
  // Customer 0 gives the first purchase back before buying again, and a part of a repeat on its very day; 1 gives all repeats
  // back; 2 has returns alone; 3 starts with one.
  const std::vector<std::int32_t> who{0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 3, 3};
  const std::vector<double> day{0, 1, 7, 7, 14, 15, 0, 5, 20, 3, 1, 4};
  const std::vector<double> value{10, -10, 30, -5, 20, -1, 4, 6, -60, -2, -7, 8};
  const PurchaseSummaries s = summarize_purchases(who, day, value, 28.0, 7);
  EXPECT_EQ(s.customers, (std::vector<std::int32_t>{0, 1, 3}));
  EXPECT_EQ(s.frequency, (std::vector<double>{2, 1, 0}));
  EXPECT_EQ(s.recency, (std::vector<double>{2, 5.0 / 7, 0}));
  EXPECT_EQ(s.age, (std::vector<double>{4, 4, 24.0 / 7}));
  EXPECT_EQ(s.money, (std::vector<double>{22, 0, 0}));
  EXPECT_EQ(s.later, 0);
}

}  // namespace
}  // namespace etalage
