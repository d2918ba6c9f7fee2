// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "detail/random_stream.hpp"

namespace etalage {
namespace {

std::vector<double> uniform(std::size_t n, std::uint64_t seed) {
  detail::RandomStream random(seed, 0, 0);
  std::vector<double> v(n);
  for (double& x : v) x = random.below(1'000'000) * 1e-6;
  return v;
}

TEST(BootstrapInterval, IsTheNormalOneForManyValuesAndTheSameForAnyThreadCount) {
  const std::vector<double> v = uniform(4000, 1);
  double mean = 0;
  for (const double x : v) mean += x / 4000;
  ResamplingOptions o;
  o.num_threads = 1;
  const Interval one = bootstrap_interval(v, o);
  o.num_threads = 3;
  const Interval three = bootstrap_interval(v, o);
  EXPECT_EQ(one.low, three.low);
  EXPECT_EQ(one.high, three.high);
  const double half = 1.96 * std::sqrt(1.0 / 12 / 4000);
  EXPECT_NEAR(one.low, mean - half, 0.15 * half);
  EXPECT_NEAR(one.high, mean + half, 0.15 * half);
  o.seed = 43;
  EXPECT_NE(bootstrap_interval(v, o).low, one.low);
}

TEST(BootstrapInterval, GoesOnSmoothlyWhereResamplingEnds) {
  const std::vector<double> v = uniform(kResamplingLimit + 1, 2);
  ResamplingOptions o;
  o.samples = 200;
  o.num_threads = 1;
  const Interval analytic = bootstrap_interval(v, o);
  const Interval resampled = bootstrap_interval(std::span(v).first(kResamplingLimit), o);
  const double half = 0.5 * (analytic.high - analytic.low);
  EXPECT_NEAR(analytic.low, resampled.low, 0.3 * half);
  EXPECT_NEAR(analytic.high, resampled.high, 0.3 * half);
}

TEST(BootstrapInterval, CoversTheTruthAboutAsOftenAsItSays) {
  int covered = 0;
  ResamplingOptions o;
  o.samples = 200;
  o.num_threads = 1;
  o.confidence = 0.9;
  for (std::uint64_t trial = 0; trial < 300; ++trial) {
    const Interval i = bootstrap_interval(uniform(60, 100 + trial), o);
    covered += i.low <= 0.5 && 0.5 <= i.high;
  }
  EXPECT_NEAR(covered / 300.0, 0.9, 0.06);
}

TEST(PairedTest, FindsASmallSteadyDifferenceAndNoneBetweenEquals) {
  const std::vector<double> a = uniform(500, 3);
  std::vector<double> better = a;
  for (std::size_t j = 0; j < better.size(); j += 2) better[j] += 0.01;
  const PairedTest found = paired_test(better, a);
  EXPECT_NEAR(found.difference, 0.005, 1e-12);
  EXPECT_GT(found.interval.low, 0);
  EXPECT_LT(found.p_value, 0.002);
  const PairedTest same = paired_test(a, a);
  EXPECT_EQ(same.difference, 0);
  EXPECT_EQ(same.p_value, 1);
}

TEST(PairedTest, RejectsTrueEqualityAboutAsOftenAsItSays) {
  int rejected = 0;
  ResamplingOptions o;
  o.samples = 200;
  o.num_threads = 1;
  for (std::uint64_t trial = 0; trial < 400; ++trial)
    rejected += paired_test(uniform(40, 1000 + trial), uniform(40, 9000 + trial), o).p_value <= 0.1;
  EXPECT_NEAR(rejected / 400.0, 0.1, 0.05);
}

TEST(Statistics, BadInputIsNamed) {
  const std::vector<double> two{1, 2};
  const std::vector<double> three{1, 2, 3};
  EXPECT_THROW((void)bootstrap_interval({}), std::invalid_argument);
  EXPECT_THROW((void)paired_test(two, three), std::invalid_argument);
  EXPECT_THROW((void)paired_test({}, {}), std::invalid_argument);
  ResamplingOptions o;
  o.samples = 5;
  EXPECT_THROW((void)bootstrap_interval(two, o), std::invalid_argument);
  o = {};
  o.confidence = 1;
  EXPECT_THROW((void)bootstrap_interval(two, o), std::invalid_argument);
  const Interval single = bootstrap_interval(std::span(two).first(1));
  EXPECT_EQ(single.low, 1);
  EXPECT_EQ(single.high, 1);
}

}  // namespace
}  // namespace etalage
