// SPDX-License-Identifier: Apache-2.0
// LinearSequence against its normal equations in plain dense loops; RepeatPurchase against its formula.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/models/linear_sequence.hpp"
#include "etalage/models/repeat_purchase.hpp"
#include "models/sequence_fixture.hpp"

namespace etalage {
namespace {

using namespace testing;

/// make(l) is list l.
template <class Make>
Sequences made_lists(std::int32_t count, std::int32_t num_items, const Make& make) {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  for (std::int32_t l = 0; l < count; ++l) {
    const std::vector<std::int32_t> list = make(l);
    items.insert(items.end(), list.begin(), list.end());
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), {}, num_items);
}

/// Lists in which what stands `gap` places before says what comes next.
Sequences lists_of_gap(std::size_t gap, std::int32_t count = 1000, std::size_t length = 12) {
  std::mt19937 random(7);
  return made_lists(count, 300, [&](std::int32_t) {
    std::vector<std::int32_t> list;
    for (std::size_t t = 0; t < length; ++t)
      list.push_back(static_cast<std::int32_t>(t < gap || random() % 4 == 0 ? random() % 300 : (static_cast<std::uint32_t>(list[t - gap]) * 7 + 3) % 300));
    return list;
  });
}

TEST(LinearSequenceSettings, FollowHowFarBackAListMatters) {
  const LinearSequenceOptions near = settled(LinearSequenceOptions{.num_threads = 1}, lists_of_gap(1));
  const LinearSequenceOptions far = settled(LinearSequenceOptions{.num_threads = 1}, lists_of_gap(6));
  EXPECT_LT(near.decay.value(), far.decay.value());
  EXPECT_LT(near.query_decay.value(), far.query_decay.value());
  EXPECT_FALSE(far.decay.given());
  // A model reads them so, keeps them, and is fitted anew from the data alone.
  LinearSequenceModel model(LinearSequenceOptions{.num_threads = 2});
  model.fit(lists_of_gap(6));
  EXPECT_EQ(model.options().decay.value(), far.decay.value());
  model.fit(lists_of_gap(1));
  EXPECT_EQ(model.options().decay.value(), near.decay.value());
  LinearSequenceModel given(LinearSequenceOptions{
      .l2 = near.l2.value(), .ridge_exponent = near.ridge_exponent.value(), .decay = near.decay.value(),
      .column_exponent = near.column_exponent.value(), .query_decay = near.query_decay.value()});
  given.fit(lists_of_gap(1));
  ASSERT_EQ(given.weights().values.size(), model.weights().values.size());
  EXPECT_TRUE(std::equal(given.weights().values.begin(), given.weights().values.end(), model.weights().values.begin()));
}

TEST(LinearSequenceSettings, OfFewLongListsMoreThanTheLastItemIsHeldOut) {
  // Fifty last items would tell nothing apart.
  const LinearSequenceOptions near = settled(LinearSequenceOptions{.num_threads = 1}, lists_of_gap(1, 100, 100));
  const LinearSequenceOptions far = settled(LinearSequenceOptions{.num_threads = 1}, lists_of_gap(6, 100, 100));
  EXPECT_LT(near.query_decay.value(), far.query_decay.value());
  EXPECT_LE(near.decay.value(), far.decay.value());
}

TEST(LinearSequenceSettings, WhatNothingSpeaksForStaysAsItWas) {
  // Six hundred pairs that share no item: no trial finds what was held out.
  const LinearSequenceOptions plain;
  const LinearSequenceOptions o = settled(LinearSequenceOptions{}, made_lists(600, 1200, [](std::int32_t l) { return std::vector<std::int32_t>{2 * l, 2 * l + 1}; }));
  EXPECT_EQ(o.decay.value(), plain.decay.value());
  EXPECT_EQ(o.query_decay.value(), plain.query_decay.value());
  EXPECT_EQ(o.l2.value(), plain.l2.value());
}

TEST(LinearSequenceSettings, ListsOfOneItemLeaveSomethingToLearnFrom) {
  // A thousand pairs of ten kinds among twenty thousand lists of one item.
  const Sequences lists = made_lists(21000, 20, [](std::int32_t l) {
    std::vector<std::int32_t> list{2 * (l % 10)};
    if (l % 21 == 0) list.push_back(2 * (l % 10) + 1);
    return list;
  });
  bool tried = false;
  const auto callback = [&](const Progress& p) { return tried = tried || p.phase == std::string("settings"), true; };
  const LinearSequenceOptions o = settled(LinearSequenceOptions{}, lists, callback);
  EXPECT_TRUE(tried);
  // Something was found: the first of the equally good query decays that are tried, which is none of the plain values.
  EXPECT_NE(o.query_decay.value(), LinearSequenceOptions{}.query_decay.value());
}

TEST(LinearSequenceSettings, GivenOnesStayAndFewListsTellNothing) {
  const LinearSequenceOptions some = settled(LinearSequenceOptions{.decay = 3, .query_decay = 5}, lists_of_gap(1));
  EXPECT_EQ(some.decay.value(), 3);
  EXPECT_EQ(some.query_decay.value(), 5);
  const LinearSequenceOptions plain = settled(LinearSequenceOptions{}, random_sequences(21, 120));
  EXPECT_EQ(plain.decay.value(), 2);
  EXPECT_EQ(plain.l2.value(), 100);
}

class LinearSequence : public ::testing::TestWithParam<LinearSequenceMethod> {};

TEST_P(LinearSequence, SolvesItsNormalEquations) {
  const Sequences s = random_sequences(21, 120);
  const LinearSequenceOptions o{.l2 = 3, .ridge_exponent = 0.5f, .backward = 0.4f, .decay = 3, .window = 4, .column_exponent = 0, .method = GetParam()};
  LinearSequenceModel model(o);
  model.fit(s);
  Dense g(kItems, std::vector<double>(kItems, 0.0));
  Dense k = g;
  for (std::int64_t l = 0; l < s.size(); ++l) {
    const auto items = s.items_of(l);
    for (std::size_t t = 0; t < items.size(); ++t) {
      std::vector<double> source(kItems, 0.0);
      for (std::size_t p = 0; p < items.size(); ++p) {
        const double d = std::fabs(static_cast<double>(p) - static_cast<double>(t));
        if (p == t || d > 4) continue;
        source[static_cast<std::size_t>(items[p])] += (p < t ? 1.0 : static_cast<double>(o.backward)) * std::exp(-(d - 1) / 3);
      }
      for (std::size_t i = 0; i < kItems; ++i) {
        if (source[i] == 0) continue;
        k[i][static_cast<std::size_t>(items[t])] += source[i];
        for (std::size_t j = 0; j < kItems; ++j) g[i][j] += source[i] * source[j];
      }
    }
  }
  // (G + R) B = K: everywhere, or on the sources of each target, which are all its candidates here.
  const bool exact = GetParam() == LinearSequenceMethod::kExact;
  for (std::int32_t j = 0; j < kItems; ++j)
    for (std::size_t i = 0; i < kItems; ++i) {
      if (k[i][static_cast<std::size_t>(j)] == 0 && (!exact || g[i][i] == 0)) continue;
      double left = 3 * std::pow(g[i][i], 0.5) * [&] {
        const auto row = model.weights().view().row_columns(static_cast<std::int64_t>(i));
        const auto at = std::lower_bound(row.begin(), row.end(), j);
        if (at == row.end() || *at != j) return 0.0;
        return static_cast<double>(model.weights().view().row_values(static_cast<std::int64_t>(i))[static_cast<std::size_t>(at - row.begin())]);
      }();
      for (std::int32_t c = 0; c < kItems; ++c) {
        const auto row = model.weights().view().row_columns(c);
        const auto at = std::lower_bound(row.begin(), row.end(), j);
        if (at == row.end() || *at != j) continue;
        left += g[i][static_cast<std::size_t>(c)] *
                static_cast<double>(model.weights().view().row_values(c)[static_cast<std::size_t>(at - row.begin())]);
      }
      EXPECT_NEAR(left, k[i][static_cast<std::size_t>(j)], 1e-3) << i << ' ' << j;
    }
}

INSTANTIATE_TEST_SUITE_P(Methods, LinearSequence, ::testing::Values(LinearSequenceMethod::kExact, LinearSequenceMethod::kCandidates));

TEST(LinearSequenceModel, CandidatesAndNeighboursBoundTheWeights) {
  const Sequences s = random_sequences(22, 120);
  LinearSequenceModel few({.method = LinearSequenceMethod::kCandidates, .num_candidates = 3});
  few.fit(s);
  EXPECT_LE(few.weights().nnz(), 3 * kItems);
  LinearSequenceModel kept({.num_neighbors = 2});
  kept.fit(s);
  for (std::int32_t i = 0; i < kItems; ++i) EXPECT_LE(kept.weights().view().row_size(i), 2u);
  LinearSequenceModel one({.num_threads = 1});
  LinearSequenceModel four({.num_threads = 4});
  one.fit(s);
  four.fit(s);
  EXPECT_TRUE(std::ranges::equal(one.weights().values, four.weights().values));
  LinearSequenceModel beyond({.method = LinearSequenceMethod::kExact, .memory_budget = 100});
  EXPECT_THROW(beyond.fit(s), std::invalid_argument);
  EXPECT_THROW(LinearSequenceModel({.l2 = 0}), std::invalid_argument);
  EXPECT_THROW(LinearSequenceModel({.ridge_exponent = 2}), std::invalid_argument);
  EXPECT_THROW(LinearSequenceModel({.num_candidates = 0}), std::invalid_argument);
}

constexpr std::int64_t kDay = 86'400'000;

Sequences purchases() {
  // Two shoppers: item 0 every ten days, item 1 once; item 2 every forty days.
  const std::vector<std::int64_t> offsets{0, 7, 10};
  const std::vector<std::int32_t> items{0, 1, 0, 0, 0, 0, 3, 2, 2, 2};
  const std::vector<std::int64_t> days{100, 101, 110, 120, 120, 130, 131, 50, 90, 130};
  std::vector<std::int64_t> times;
  for (const std::int64_t d : days) times.push_back(d * kDay);
  return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), Array<std::int64_t>(times), 5);
}

TEST(RepeatPurchaseModel, EqualsItsFormula) {
  const RepeatPurchaseOptions o{};
  RepeatPurchaseModel model(o);
  model.fit(purchases());
  // Purchases: 0 four times (two on one day are one), 2 three times, 1 and 3 once: nine, five of them followed.
  const double overall = 5.0 / 9;
  const double share4 = (0 + 20 * overall) / (1 + 20);
  const double a = (3 + 10 * share4) / (4 + 10);
  EXPECT_NEAR(model.again(0, 4), a, 1e-6);
  const double mu = (3 * std::log(10.0) + 2 * std::log(40.0)) / 5;
  const double square = (3 * std::pow(std::log(10.0), 2) + 2 * std::pow(std::log(40.0), 2)) / 5;
  const double sigma = std::max(0.25, std::sqrt(square - mu * mu));
  const double mu0 = (3 * std::log(10.0) + 10 * mu) / 13;
  EXPECT_NEAR(model.median_gap_days(0), std::exp(mu0), 1e-3);
  const double mean = (3 * std::log(10.0) + 2 * mu0) / 5;
  for (const int days : {1, 5, 10, 30}) {
    const auto scores = scores_of(model, {.user = 0, .now_ms = (130 + days) * kDay});
    const double z = (std::log(static_cast<double>(days)) - mean) / sigma;
    const double f = std::exp(-z * z / 2) / (days * sigma * std::sqrt(2 * std::acos(-1.0)));
    EXPECT_NEAR(static_cast<double>(scores[0]), a * f / (1 - a * 0.5 * std::erfc(-z / std::sqrt(2.0))), 1e-5);
    EXPECT_LT(scores[2], 2e-6f) << "never bought by them";
  }
  // What comes back every ten days is due before what comes every forty.
  model.set_now(140 * kDay);
  EXPECT_NEAR(scores_of(model, {.user = 0})[0], scores_of(model, {.user = 0, .now_ms = 140 * kDay})[0], 1e-9f);
}

TEST(RepeatPurchaseModel, AnswersWithoutTimesAndBeyondTheHistory) {
  const Sequences timed = purchases();
  RepeatPurchaseModel model;
  model.fit(Sequences(timed.offsets(), timed.items(), {}, 5));
  EXPECT_NEAR(static_cast<double>(scores_of(model, {.user = 1})[2]), model.again(2, 3), 2e-6);
  EXPECT_EQ(model.median_gap_days(2), 0.0);
  Scratch scratch;
  std::vector<ItemScore> out(5);
  ASSERT_EQ(model.recommend({}, out, scratch), 5u);
  EXPECT_EQ(out[0].item, 0) << "bought again most";
  EXPECT_THROW((void)model.similar_items(0, out, scratch), UnsupportedError);
  const Explanation e = model.explain({.user = 1}, 2, 5);
  ASSERT_EQ(e.contributions.size(), 1u);
  EXPECT_NEAR(e.contributions[0].score, e.total, 2e-6f);
  EXPECT_THROW(RepeatPurchaseModel({.item_shrinkage = 0}), std::invalid_argument);
  EXPECT_THROW(RepeatPurchaseModel({.now_ms = -1}), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
