// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/purchase_intent.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "etalage/error.hpp"
#include "etalage/io/profile_files.hpp"
#include "io/forge.hpp"
#include "io/tiny_model.hpp"
#include "profile/intent_sample.hpp"
#include "profile/profile_data.hpp"
#include "support/golden.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

using testing::kDay;
using testing::kStart;

const std::shared_ptr<const ItemFacts>& facts() {
  static const auto f = std::make_shared<const ItemFacts>(*testing::small_catalog());
  return f;
}

std::size_t column(std::string_view name) {
  const auto names = IntentFeatures::names();
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

class BothUnits : public ::testing::TestWithParam<IntentUnit> {
 protected:
  PurchaseIntentOptions options_{.unit = GetParam(), .horizon_days = GetParam() == IntentUnit::kShopper ? 14.0 : 0.02};
};

TEST_P(BothUnits, TrainingAndServingSeeTheSameBits) {
  const EventLog log = testing::random_log(60, 6, 11);
  const PurchaseIntent intent(options_);
  const IntentExamples examples = intent.examples(log, *facts());
  ASSERT_GT(examples.size(), 100u);
  std::vector<std::size_t> order(examples.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return examples.times_ms[a] < examples.times_ms[b]; });

  // The shop live: all shoppers' events in time order, asked whenever the log has a moment, half way from a file.
  auto live = std::make_shared<Profiles>(facts());
  const auto roles = live->options().roles_of(log.columns().event_names);
  std::int64_t row = 0;
  std::vector<float> served(IntentFeatures::count());
  for (std::size_t j = 0; j < order.size(); ++j) {
    const std::size_t i = order[j];
    for (; row < log.size() && log.columns().times_ms[static_cast<std::size_t>(row)] <= examples.times_ms[i]; ++row)
      live->observe(log.columns().users[static_cast<std::size_t>(row)], testing::event_of(log, row, roles));
    if (j == order.size() / 2) live = load_profiles_from_memory(save_to_memory(*live));
    IntentFeatures::compute(live->at(examples.users[i]), examples.times_ms[i], live->options(), served);
    ASSERT_EQ(std::memcmp(served.data(), examples.matrix().row(i).data(), served.size() * sizeof(float)), 0) << "moment " << i;
  }
}

TEST_P(BothUnits, LabelsAndMomentsFollowTheDefinition) {
  const EventLog log = testing::random_log(25, 6, 12);
  const auto& c = log.columns();
  const IntentExamples examples = PurchaseIntent(options_).examples(log, *facts());
  const auto horizon = static_cast<std::int64_t>(std::llround(options_.horizon_days * static_cast<double>(kDay)));
  const std::int64_t newest = *std::max_element(c.times_ms.begin(), c.times_ms.end());
  std::int64_t ones = 0;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const std::int64_t t = examples.times_ms[i];
    EXPECT_LE(t + horizon, newest);
    bool buys = false;
    double orders = 0;
    std::int64_t last_purchase = -1;
    std::int64_t last_event = -1;
    for (std::int64_t r = 0; r < log.size(); ++r) {
      const auto k = static_cast<std::size_t>(r);
      if (c.users[k] != examples.users[i]) continue;
      if (c.times_ms[k] <= t) last_event = c.times_ms[k];
      if (c.event_names[c.events[k]] != "purchase") continue;
      buys = buys || (c.times_ms[k] > t && c.times_ms[k] <= t + horizon);
      if (c.times_ms[k] > t) continue;
      orders += last_purchase < 0 || c.times_ms[k] - last_purchase > 30 * 60000 ? 1 : 0;
      last_purchase = c.times_ms[k];
    }
    EXPECT_EQ(examples.labels[i], buys ? 1 : 0);
    EXPECT_GE(last_event, 0) << "somebody of whom nothing is known";
    EXPECT_FLOAT_EQ(examples.matrix()(i, column("orders")), static_cast<float>(std::log1p(orders)));
    EXPECT_FLOAT_EQ(examples.matrix()(i, column("days_since_event")),
                    static_cast<float>(std::log1p(static_cast<double>(t - last_event) / static_cast<double>(kDay))));
    ones += examples.labels[i];
  }
  EXPECT_GT(ones, 10);
}

TEST_P(BothUnits, WhatComesLaterChangesNoFeature) {
  const EventLog log = testing::random_log(20, 6, 13);
  const IntentExamples all = PurchaseIntent(options_).examples(log, *facts());
  // A log that breaks off in the middle has the same moments up to there.
  const std::int64_t until = kStart + 180 * kDay;
  std::vector<std::uint8_t> keep;
  for (const std::int64_t t : log.columns().times_ms) keep.push_back(t <= until);
  const IntentExamples early = PurchaseIntent(options_).examples(log.filtered(keep), *facts());
  std::size_t compared = 0;
  for (std::size_t i = 0; i < early.size(); ++i)
    for (std::size_t j = 0; j < all.size(); ++j) {
      if (all.users[j] != early.users[i] || all.times_ms[j] != early.times_ms[i]) continue;
      EXPECT_TRUE(std::ranges::equal(all.matrix().row(j), early.matrix().row(i)));
      ++compared;
    }
  if (GetParam() == IntentUnit::kSession) {
    EXPECT_GT(compared, 100u);
  }
}

TEST_P(BothUnits, AnyNumberOfThreadsAndASampleOfThem) {
  const EventLog log = testing::random_log(300, 5, 14);
  PurchaseIntentOptions one = options_;
  one.num_threads = 1;
  one.max_examples = 500;
  PurchaseIntentOptions four = one;
  four.num_threads = 4;
  const IntentExamples a = PurchaseIntent(one).examples(log, *facts());
  const IntentExamples b = PurchaseIntent(four).examples(log, *facts());
  EXPECT_TRUE(std::ranges::equal(a.features, b.features));
  EXPECT_TRUE(std::ranges::equal(a.times_ms, b.times_ms));
  EXPECT_NEAR(static_cast<double>(a.size()), 500, 120);
  // A sampled moment is what it is without sampling.
  const IntentExamples all = PurchaseIntent(options_).examples(log, *facts());
  std::size_t at = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    while (all.users[at] != a.users[i] || all.times_ms[at] != a.times_ms[i]) ASSERT_LT(++at, all.size());
    EXPECT_TRUE(std::ranges::equal(all.matrix().row(at), a.matrix().row(i)));
    EXPECT_EQ(all.labels[at], a.labels[i]);
  }
}

TEST_P(BothUnits, FilesBringBackEveryBit) {
  PurchaseIntent intent(options_);
  const EventLog log = testing::random_log(200, 8, 15);
  const auto report = intent.fit(log, *facts());
  const FitReport fit = report;  // as every fit gives one
  EXPECT_EQ(fit.stop_reason, FitReport::StopReason::kConverged);
  EXPECT_EQ(fit.iterations, report.solver.iterations);
  EXPECT_EQ(fit.objective, std::vector<double>{report.solver.objective});
  ASSERT_EQ(fit.phase_seconds.size(), 3u);
  EXPECT_GE(fit.seconds, fit.phase_seconds[0].second + fit.phase_seconds[1].second);
  EXPECT_TRUE(report.solver.converged);
  EXPECT_GT(report.calibration_positives, 0);
  const auto back = load_purchase_intent_from_memory(save_to_memory(intent));
  EXPECT_EQ(save_to_memory(*back), save_to_memory(intent));
  Profiles p(facts());
  p.add(log);
  const std::int64_t now = p.newest_ms();
  std::vector<float> row(IntentFeatures::count());
  std::vector<double> batch(1);
  for (std::int32_t u = 0; u < p.size(); ++u) {
    const double chance = intent.predict(p.at(u), now);
    EXPECT_GE(chance, 0);
    EXPECT_LE(chance, 1);
    EXPECT_EQ(chance, back->predict(p.at(u), now));
    IntentFeatures::compute(p.at(u), now, p.options(), row);
    back->predict({row.data(), 1, row.size()}, batch);
    EXPECT_EQ(chance, batch[0]);
  }
}

INSTANTIATE_TEST_SUITE_P(Units, BothUnits, ::testing::Values(IntentUnit::kShopper, IntentUnit::kSession),
                         [](const auto& info) { return info.param == IntentUnit::kShopper ? std::string("Shopper") : std::string("Session"); });

TEST(PurchaseIntent, TrainingEndsBeforeCalibrationBegins) {
  const PurchaseIntentOptions o{.horizon_days = 14, .step_days = 7};
  const PurchaseIntent intent(o);
  const IntentExamples e = intent.examples(testing::random_log(60, 6, 16), *facts());
  std::vector<std::size_t> training;
  std::vector<std::size_t> calibration;
  intent.split(e, training, calibration);
  std::int64_t latest = 0;
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  for (const std::size_t i : training) latest = std::max(latest, e.times_ms[i]);
  for (const std::size_t i : calibration) first = std::min(first, e.times_ms[i]);
  EXPECT_GT(training.size(), calibration.size());
  EXPECT_LE(latest + 14 * kDay, first);
}

TEST(PurchaseIntent, FindsWhatIsPlanted) {
  // Shoppers of even number buy every ten days, the others look but never buy.
  EventLog::Columns c;
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<std::uint16_t> types;
  std::vector<std::int64_t> times;
  for (int day = 0; day < 360; ++day)
    for (int u = 0; u < 60; ++u) {
      if ((day + u) % 10 != 0) continue;
      users.push_back(u);
      items.push_back(u % 40);
      types.push_back(u % 2 == 0 ? 1 : 0);
      times.push_back(kStart + day * kDay + u * 60000);
    }
  c.users = Array<std::int32_t>(users);
  c.items = Array<std::int32_t>(items);
  c.events = Array<std::uint16_t>(types);
  c.times_ms = Array<std::int64_t>(times);
  c.event_names = {"view", "purchase"};
  const EventLog log(std::move(c));
  PurchaseIntent intent({.horizon_days = 5});
  intent.fit(log, *facts());
  const IntentEvaluation e = intent.evaluate(log, *facts(), kStart + 250 * kDay);
  EXPECT_GT(e.summary.auc, 0.95) << "who buys, and whether half of their gap has gone by";
  PurchaseIntent rfm({.horizon_days = 5, .columns = IntentColumns::kRfm});
  rfm.fit(log, *facts());
  for (const auto& t : rfm.regression().terms()) EXPECT_LT(t.column, 3);
  for (const std::int64_t t : e.examples.times_ms) EXPECT_GE(t, kStart + 250 * kDay);
  EXPECT_EQ(e.summary.bins.size(), e.summary.bins.empty() ? 1 : std::min<std::size_t>(10, e.summary.bins.size()));
  std::vector<double> parts(IntentFeatures::count());
  Profiles p(facts());
  p.add(log);
  intent.explain(p.at(0), p.newest_ms(), parts);
  double sum = intent.regression().intercept();
  for (const double x : parts) sum += x;
  std::vector<float> row(IntentFeatures::count());
  IntentFeatures::compute(p.at(0), p.newest_ms(), p.options(), row);
  EXPECT_NEAR(sum, intent.margin(row), 1e-9);
}

TEST(IntentFeatures, AreFiniteForAnybodyAtAnyTime) {
  std::vector<float> row(IntentFeatures::count());
  Profiles p(facts());
  p.add(testing::random_log(5, 3, 17));
  for (std::int32_t u = 0; u < 7; ++u)
    for (const std::int64_t now : {std::int64_t{0}, kStart - 5 * kDay, kStart + 100 * kDay, kStart + 3'650'000 * kDay, -kStart}) {
      IntentFeatures::compute(p.at(u), now, p.options(), row);
      for (std::size_t f = 0; f < row.size(); ++f) EXPECT_TRUE(std::isfinite(row[f])) << IntentFeatures::names()[f];
    }
  std::vector<std::string> names(IntentFeatures::names().begin(), IntentFeatures::names().end());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
  EXPECT_EQ(IntentFeatures::names()[1], "orders");
  EXPECT_THROW(IntentFeatures::compute(p.at(0), 0, p.options(), std::span(row).first(3)), std::invalid_argument);
}

TEST(PurchaseIntent, BadInputIsNamed) {
  const EventLog log = testing::random_log(3, 1, 18);
  EXPECT_THROW(PurchaseIntent({.horizon_days = 0}), std::invalid_argument);
  EXPECT_THROW(PurchaseIntent({.calibration_share = 1}), std::invalid_argument);
  EXPECT_THROW(PurchaseIntent({.max_examples = 1}), std::invalid_argument);
  EXPECT_THROW(PurchaseIntent({.horizon_days = 3000}).fit(log, *facts()), std::invalid_argument) << "no moment";
  PurchaseIntent fresh;
  EXPECT_THROW((void)fresh.predict(UserProfile(), kStart), NotFittedError);
  EXPECT_THROW((void)fresh.evaluate(log, *facts()), NotFittedError);
  EXPECT_THROW((void)save_to_memory(fresh), NotFittedError);
  EXPECT_EQ(fresh.examples(EventLog(), *facts()).size(), 0u);
}

TEST(PurchaseIntent, ForgedFilesAreRefusedOrAnswered) {
  for (const bool trees : {false, true}) {
    testing::expect_refused_or_answered(save_to_memory(*testing::sample_intent(trees)), 800, 22, [](std::span<const char> bytes) {
      EXPECT_FALSE(testing::intent_answers(*load_purchase_intent_from_memory(bytes, {.num_threads = 1})).empty());
    });
  }
}

TEST(PurchaseIntent, GoldenFilesAnswerAsTheyDid) {
  for (const std::string name : {"PurchaseIntent", "PurchaseIntentTrees"})
    test::expect_answers(name, testing::intent_answers(*load_purchase_intent(test::golden(name) + ".etalage")), 1e-6);
}

}  // namespace
}  // namespace etalage
