// SPDX-License-Identifier: Apache-2.0
// The linear ranker against its loss written out, and against differences of that loss.
#include "etalage/models/linear_ranker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace etalage {
namespace {

struct Data {
  std::vector<float> rows;
  std::vector<std::int64_t> offsets{0};
  std::vector<float> gains;
  std::vector<float> weights;
  std::size_t features = 3;
  [[nodiscard]] MatrixView<const float> view() const { return {rows.data(), gains.size(), features}; }
};

// Feature 0 is followed, 1 is noise with gaps, 2 never varies; every fifth list has no gain.
Data lists(std::uint32_t seed, int count = 40, int size = 7) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> place(0, size - 1);
  Data d;
  for (int l = 0; l < count; ++l) {
    const std::size_t begin = d.gains.size();
    for (int i = 0; i < size; ++i) {
      d.rows.push_back(normal(rng) * 5 + 3);
      d.rows.push_back(place(rng) == 0 ? std::numeric_limits<float>::quiet_NaN() : normal(rng));
      d.rows.push_back(2.0f);
      d.gains.push_back(0);
    }
    if (l % 5 != 4) {
      std::size_t best = begin;
      for (std::size_t i = begin; i < d.gains.size(); ++i)
        if (d.rows[i * 3] + 4 * normal(rng) > d.rows[best * 3]) best = i;
      d.gains[best] = 1;
      d.gains[begin + static_cast<std::size_t>(place(rng))] += 0.5f;
    }
    d.weights.push_back(0.5f + static_cast<float>(l % 3));
    d.offsets.push_back(static_cast<std::int64_t>(d.gains.size()));
  }
  return d;
}

// The documented loss at (w, m), scaled as the fitted ranker scales.
double loss(const Data& d, const LinearRanker& r, const std::vector<double>& w, const std::vector<double>& m, double l2) {
  double sum = 0;
  double whole = 0;
  for (std::size_t l = 0; l + 1 < d.offsets.size(); ++l) {
    std::vector<double> s;
    double gains = 0;
    for (auto i = static_cast<std::size_t>(d.offsets[l]); i < static_cast<std::size_t>(d.offsets[l + 1]); ++i) {
      double score = 0;
      for (std::size_t f = 0; f < d.features; ++f) {
        const auto x = static_cast<double>(d.rows[i * d.features + f]);
        score += std::isnan(x) ? m[f] : w[f] * (x - r.means()[f]) * r.inverse_deviations()[f];
      }
      s.push_back(score);
      gains += static_cast<double>(d.gains[i]);
    }
    if (gains == 0) continue;
    double partition = 0;
    double taken = 0;
    for (std::size_t i = 0; i < s.size(); ++i) {
      partition += std::exp(s[i]);
      taken += static_cast<double>(d.gains[static_cast<std::size_t>(d.offsets[l]) + i]) / gains * s[i];
    }
    sum += static_cast<double>(d.weights[l]) * (std::log(partition) - taken);
    whole += static_cast<double>(d.weights[l]);
  }
  double norm = 0;
  for (const double v : w) norm += v * v;
  for (const double v : m) norm += v * v;
  return sum / whole + l2 / 2 * norm;
}

TEST(LinearRanker, StandsAtTheMinimumOfItsLoss) {
  const Data d = lists(1);
  constexpr double kL2 = 0.01;
  const LinearRanker r = LinearRanker::fit(d.view(), d.offsets, d.gains, d.weights, {.l2 = kL2});
  const std::vector<double> w(r.weights().begin(), r.weights().end());
  const std::vector<double> m(r.missing_weights().begin(), r.missing_weights().end());
  EXPECT_NEAR(r.report().loss, loss(d, r, w, m, kL2), 1e-12);
  EXPECT_LT(r.report().gradient, 1e-8);
  EXPECT_EQ(r.report().lists, 32);
  constexpr double kStep = 1e-4;
  for (std::size_t f = 0; f < d.features; ++f) {
    for (const bool missing : {false, true}) {
      auto up_w = w, down_w = w, up_m = m, down_m = m;
      (missing ? up_m : up_w)[f] += kStep;
      (missing ? down_m : down_w)[f] -= kStep;
      const double up = loss(d, r, up_w, up_m, kL2);
      const double down = loss(d, r, down_w, down_m, kL2);
      EXPECT_NEAR((up - down) / (2 * kStep), 0, 1e-7) << f << missing;
      EXPECT_GE(up, r.report().loss);
      EXPECT_GE(down, r.report().loss);
    }
  }
  EXPECT_GT(w[0], 0.3);
  EXPECT_EQ(w[2], 0);
  EXPECT_EQ(m[0], 0);
  EXPECT_NE(m[1], 0);
}

// Lists of products that are alike say nothing of what lies far from them: there a line may point either way.
TEST(LinearRanker, BeyondWhatTrainingHeldAFeatureCountsAsAtTheNearestEnd) {
  Data d = lists(3);
  d.rows[4 * 7 * 3] = 1000;  // in a list without a gain, which teaches nothing, ends neither
  const LinearRanker r = LinearRanker::fit(d.view(), d.offsets, d.gains, {});
  float least = std::numeric_limits<float>::max();
  float most = std::numeric_limits<float>::lowest();
  for (std::size_t i = 0; i < d.gains.size(); ++i) {
    if (i / 7 % 5 == 4) continue;
    least = std::min(least, d.rows[i * 3]);
    most = std::max(most, d.rows[i * 3]);
  }
  EXPECT_EQ(r.least()[0], static_cast<double>(least));
  EXPECT_EQ(r.most()[0], static_cast<double>(most));
  const auto score = [&](float x) { return r.score(std::vector<float>{x, 0.25f, 2.0f}); };
  const auto line = [&](float x) { return r.weights()[0] * (static_cast<double>(x) - r.means()[0]) * r.inverse_deviations()[0]; };
  EXPECT_NEAR(score(3) - score(4), line(3) - line(4), 1e-12);  // within, a line
  EXPECT_LT(score(least), score(most));
  for (const float beyond : {0.5f, 100.0f, 1e30f}) {
    EXPECT_EQ(score(least - beyond), score(least));
    EXPECT_EQ(score(most + beyond), score(most));
  }
}

TEST(LinearRanker, BitsDoNotDependOnThreads) {
  const Data d = lists(2, 300);
  const LinearRanker one = LinearRanker::fit(d.view(), d.offsets, d.gains, d.weights, {.num_threads = 1});
  for (const int threads : {2, 3, 8}) {
    const LinearRanker other = LinearRanker::fit(d.view(), d.offsets, d.gains, d.weights, {.num_threads = threads});
    for (std::size_t f = 0; f < d.features; ++f) EXPECT_EQ(one.weights()[f], other.weights()[f]);
  }
}

TEST(LinearRanker, BootstrapWeightsArePoissonCountsOfShoppers) {
  constexpr std::size_t kLists = 40'000;
  std::vector<std::int64_t> groups(kLists);
  for (std::size_t l = 0; l < kLists; ++l) groups[l] = static_cast<std::int64_t>(l / 2);
  const std::vector<std::uint8_t> taught(kLists, 1);
  const std::vector<float> w = bootstrap_weights(groups, taught, 1, 0);
  double expected = kLists / 2 * std::exp(-1.0);
  for (const float count : {0.0f, 1.0f, 2.0f, 3.0f}) {
    if (count > 1) expected /= static_cast<double>(count);
    double seen = 0;
    for (std::size_t l = 0; l < kLists; l += 2) seen += w[l] == count ? 1.0 : 0.0;
    EXPECT_NEAR(seen, expected, 4.5 * std::sqrt(expected)) << count;
  }
  for (std::size_t l = 0; l < kLists; l += 2) ASSERT_EQ(w[l], w[l + 1]) << "lists of one shopper come together";
  EXPECT_EQ(w, bootstrap_weights(groups, taught, 1, 0));
  EXPECT_NE(w, bootstrap_weights(groups, taught, 1, 1));
  EXPECT_NE(w, bootstrap_weights(groups, taught, 2, 0));
  for (std::uint64_t m = 0; m < 50; ++m) EXPECT_GT(bootstrap_weights(std::vector<std::int64_t>{0}, std::vector<std::uint8_t>{1}, 1, m)[0], 0);
  EXPECT_THROW((void)bootstrap_weights(groups, std::vector<std::uint8_t>(3, 1), 1, 0), std::invalid_argument);
  EXPECT_THROW((void)bootstrap_weights(groups, std::vector<std::uint8_t>(kLists, 0), 1, 0), std::invalid_argument);
}

TEST(LinearRanker, RefusesWhatTeachesNothing) {
  Data d = lists(3);
  const auto fit = [&] { (void)LinearRanker::fit(d.view(), d.offsets, d.gains, d.weights, {}); };
  d.gains[4] = -1;
  EXPECT_THROW(fit(), std::invalid_argument);
  d.gains[4] = 0;
  d.rows[0] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(fit(), std::invalid_argument);
  d.rows[0] = 0;
  d.weights.pop_back();
  EXPECT_THROW(fit(), std::invalid_argument);
  d.weights.clear();
  fit();
  d.gains.assign(d.gains.size(), 0.0f);
  EXPECT_THROW(fit(), std::invalid_argument);
  EXPECT_THROW(LinearRankerOptions{.l2 = 0}.validate(), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
