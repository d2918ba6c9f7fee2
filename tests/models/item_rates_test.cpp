// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/item_rates.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "etalage/models/popularity.hpp"
#include "support/message_of.hpp"

namespace etalage {
namespace {

using test::message_of;

struct Shown {
  std::vector<std::int32_t> items;
  std::vector<std::int32_t> positions;
  std::vector<float> reactions;

  void add(std::int32_t item, std::int32_t position, float reaction, int times = 1) {
    for (int t = 0; t < times; ++t) {
      items.push_back(item);
      positions.push_back(position);
      reactions.push_back(reaction);
    }
  }
  [[nodiscard]] ItemRates rates(std::int32_t num_items) const { return ItemRates::of(items, positions, reactions, num_items); }
};

TEST(ItemRates, TakesThePlaceOutOfWhatWasSeenWithoutNoise) {
  // Reactions are exactly looked x rate: both come back, whichever item stood where more often.
  const std::vector<double> looked{1, 0.5, 0.2};
  const std::vector<double> rates{0.8, 0.4, 0.1, 0.02};
  Shown shown;
  for (std::int32_t i = 0; i < 4; ++i)
    for (std::int32_t p = 0; p < 3; ++p)
      shown.add(i, p + 1, static_cast<float>(looked[static_cast<std::size_t>(p)] * rates[static_cast<std::size_t>(i)]), 4000 * (1 + (i + p) % 4));
  const ItemRates r = shown.rates(5);
  ASSERT_EQ(r.looked.size(), 3U);
  for (std::size_t p = 0; p < 3; ++p) EXPECT_NEAR(r.looked[p], looked[p], 2e-3) << p;
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(r.rates[i], rates[i], 2e-3) << i;
  EXPECT_EQ(r.looks[4], 0);
  EXPECT_NEAR(r.rates[4], r.prior_rate, 1e-7);  // never shown
  EXPECT_NEAR(r.prior_rate, 0.33, 0.01);
}

TEST(ItemRates, IsTheLinearBayesEstimateOfItsOwnPrior) {
  Shown shown;
  const std::vector<int> clicks{0, 3, 20, 40};
  const std::vector<int> views{30, 30, 40, 90};
  for (std::size_t i = 0; i < 4; ++i) {
    shown.add(static_cast<std::int32_t>(i), 1, 1, clicks[i]);
    shown.add(static_cast<std::int32_t>(i), 1, 0, views[i] - clicks[i]);
  }
  const ItemRates r = shown.rates(4);
  const double k = r.prior_looks;
  const double m = r.prior_rate;
  const double v = m / k;
  double weights = 0, sum = 0, squares = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(r.rates[i], (clicks[i] + k * m) / (views[i] + k), 1e-6);
    const double w = 1 / (m / views[i] + v);
    weights += w;
    sum += w * clicks[i] / views[i];
    squares += w * std::pow(static_cast<double>(clicks[i]) / views[i] - m, 2);
  }
  EXPECT_NEAR(m, sum / weights, 1e-6);
  EXPECT_NEAR(squares, 3, 1e-4);  // what is expected of four
}

TEST(ItemRates, IsNearerToPlantedRatesThanRawOnes) {
  std::mt19937 draw(7);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  const std::vector<double> looked{1, 0.7, 0.45, 0.3};
  std::vector<double> truth(1000);
  std::vector<double> clicks(truth.size(), 0.0);
  Shown shown;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    truth[i] = 1 / (1 + std::exp(-(-3 + 1.5 * normal(draw))));
    const int times = 4 + static_cast<int>(20 * uniform(draw));
    for (int t = 0; t < times; ++t) {
      const auto p = static_cast<std::size_t>(4 * uniform(draw));
      const bool clicked = uniform(draw) < looked[p] * truth[i];
      shown.add(static_cast<std::int32_t>(i), static_cast<std::int32_t>(p) + 1, clicked ? 1.0F : 0.0F);
      clicks[i] += clicked ? 1 : 0;
    }
  }
  const ItemRates r = shown.rates(1000);
  double error = 0, raw = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) {
    error += std::pow(static_cast<double>(r.rates[i]) - truth[i], 2);
    raw += std::pow(clicks[i] / static_cast<double>(r.looks[i]) - truth[i], 2);
  }
  EXPECT_LT(error, 0.8 * raw);
  for (std::size_t p = 1; p < 4; ++p) EXPECT_NEAR(r.looked[p], looked[p], 0.2) << p;
}

TEST(ItemRates, RatesThatDifferByChanceAloneAreOne) {
  Shown shown;
  for (std::int32_t i = 0; i < 3; ++i) {
    shown.add(i, 1, 1, 10);
    shown.add(i, 1, 0, 90);
  }
  const ItemRates r = shown.rates(3);
  EXPECT_TRUE(std::isinf(r.prior_looks));
  for (const float rate : r.rates) EXPECT_NEAR(rate, 0.1, 1e-6);
  EXPECT_EQ(r.looked, (std::vector<double>{1}));
}

TEST(ItemRates, NamesWhatIsWrong) {
  const auto said = [](std::int32_t item, std::int32_t position, float reaction) {
    return message_of([&] {
      Shown shown;
      shown.add(0, 1, 1);
      shown.add(item, position, reaction);
      (void)shown.rates(2);
    });
  };
  EXPECT_EQ(said(2, 1, 0), "an item is 2, must be in [0, num_items)");
  EXPECT_EQ(said(-1, 1, 0), "an item is -1, must be in [0, num_items)");
  EXPECT_EQ(said(0, 0, 0), "a position is 0, must be in [1, 10000]");
  EXPECT_EQ(said(0, 10'001, 0), "a position is 10001, must be in [1, 10000]");
  EXPECT_NE(said(0, 1, -1).find("a reaction is -1"), std::string::npos);
  EXPECT_NE(said(0, 1, std::numeric_limits<float>::quiet_NaN()).find("a reaction is nan"), std::string::npos);
  EXPECT_THROW((void)ItemRates::of({}, {}, {}, 3), std::invalid_argument);
}

TEST(PopularityModel, RanksByRatesOfWhatWasShown) {
  const CsrMatrix rows{2, 3, Array<std::int64_t>(std::vector<std::int64_t>{0, 1, 2}), Array<std::int32_t>(std::vector<std::int32_t>{0, 0}),
                       Array<float>(std::vector<float>{1, 1})};
  const Interactions data(rows);
  Shown shown;
  shown.add(0, 1, 1, 50);
  shown.add(0, 1, 0, 450);
  shown.add(1, 2, 1, 30);  // fewer reactions than item 0, of fewer looks
  shown.add(1, 2, 0, 70);
  shown.add(2, 1, 1, 1);
  shown.add(2, 1, 0, 99);
  shown.add(2, 2, 0, 100);
  shown.add(0, 2, 1, 5);
  shown.add(0, 2, 0, 95);
  const ItemRates rates = shown.rates(3);
  PopularityOptions by_rate;
  by_rate.count = PopularityOptions::Count::kRate;
  PopularityModel m(by_rate);
  m.fit(data, rates);
  EXPECT_EQ((std::vector<std::int32_t>{m.order().begin(), m.order().end()}), (std::vector<std::int32_t>{1, 0, 2}));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(m.scores()[i], rates.rates[i]);
  EXPECT_THROW(m.fit(data), std::invalid_argument);  // counts of events are no rates
  EXPECT_THROW(m.set_segments(std::vector<std::int32_t>{0, 1}), std::invalid_argument);
  EXPECT_THROW(m.partial_fit_users(std::vector<std::int32_t>{0}, rows.view()), std::invalid_argument);
  EXPECT_THROW(PopularityModel().fit(data, rates), std::invalid_argument);
  ItemRates short_one = rates;
  short_one.rates = Array<float>(2);
  EXPECT_THROW(m.fit(data, short_one), std::invalid_argument);
  by_rate.half_life_days = 7;
  EXPECT_THROW(by_rate.validate(), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
