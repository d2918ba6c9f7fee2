// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/attribution.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace etalage {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

struct Shown {
  std::vector<std::int32_t> requests{0, 0, 1};
  std::vector<std::int32_t> users{0, 0, 0};
  std::vector<std::int32_t> items{10, 11, 10};
  std::vector<std::int64_t> times{100, 100, 200};
  [[nodiscard]] ShownRows rows() const { return {requests, users, items, times}; }
};

struct Events {
  std::vector<std::int32_t> requests, users, items, types;
  std::vector<std::int64_t> times;
  std::vector<double> values;
  void add(std::int32_t request, std::int32_t user, std::int32_t item, std::int32_t type, std::int64_t time, double value = 1) {
    requests.push_back(request);
    users.push_back(user);
    items.push_back(item);
    types.push_back(type);
    times.push_back(time);
    values.push_back(value);
  }
  [[nodiscard]] EventRows rows() const { return {requests, users, items, types, times, values}; }
};

const std::vector<EventTypeRule> kRules{{50, -1}, {0, 0}};  // type 1 takes type 0 back

TEST(Attribution, EveryOutcomeHasItsCase) {
  Events e;
  e.add(0, 0, 10, 0, 300);    // the request that is named, not the latest one
  e.add(-1, 0, 10, 0, 250);   // the window's end counts
  e.add(-1, 0, 10, 0, 251);   // and no more
  e.add(-2, 0, 10, 0, 210);   // unknown request
  e.add(0, 0, 12, 0, 210);    // not shown by it
  e.add(1, 0, 10, 0, 199);    // before it
  e.add(-1, 0, 10, 0, 250);   // the second event again
  e.add(-1, 7, 10, 1, 400);   // nothing bought
  e.add(-1, 0, 10, 1, 400);   // takes the first back, the newest
  const Credit found = attribute_events(Shown{}.rows(), e.rows(), kRules);
  using enum CreditOutcome;
  const std::vector<CreditOutcome> want{kRequest, kLastTouch, kNoImpression, kUnknownRequest, kNotInRequest, kBeforeImpression, kRepeated,
                                        kNothingToTakeBack, kTookBack};
  EXPECT_EQ(found.outcomes, want);
  EXPECT_EQ(found.rows, (std::vector<std::int64_t>{0, 2, -1, -1, -1, -1, -1, -1, 0}));
  EXPECT_EQ(found.counts, (std::vector<std::uint8_t>{0, 1, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(credit_outcome_name(kNothingToTakeBack), "nothing_to_take_back");
}

TEST(Attribution, ReturnsTakeAsMuchAsTheySay) {
  for (const auto& [amount, older, newer] : std::vector<std::array<double, 3>>{{1, 3, 1}, {2, 3, 0}, {4, 1, 0}, {9, 0, 0}, {-2, 3, 0}, {kNaN, 3, 0}}) {
    Events e;
    e.add(-1, 0, 10, 0, 110, 3);
    e.add(-1, 0, 10, 0, 210, 2);
    e.add(-1, 0, 10, 1, 220, amount);
    const Credit found = attribute_events(Shown{}.rows(), e.rows(), kRules);
    EXPECT_EQ(found.values[0], older) << amount;
    EXPECT_EQ(found.values[1], newer) << amount;
    EXPECT_EQ(found.counts[0], older > 0 ? 1 : 0);
    EXPECT_EQ(found.counts[1], newer > 0 ? 1 : 0);
  }
}

TEST(Attribution, LackingColumnsAndUnknownTimes) {
  Shown s;
  Events e;
  e.add(0, 0, 10, 0, Credit::kNoTime);
  e.add(-1, 0, 10, 0, Credit::kNoTime);
  e.add(-1, 0, 11, 0, 120);
  Credit found = attribute_events(s.rows(), e.rows(), kRules);
  EXPECT_EQ(found.rows, (std::vector<std::int64_t>{0, -1, 1}));
  s.times[1] = Credit::kNoTime;  // an unknown time is within no window
  found = attribute_events(s.rows(), e.rows(), kRules);
  EXPECT_EQ(found.rows[2], -1);
  found = attribute_events({{}, {}, s.items, s.times}, {{}, {}, e.items, e.types, e.times, {}}, kRules);
  EXPECT_EQ(found.rows, (std::vector<std::int64_t>{-1, -1, -1}));
  EXPECT_TRUE(attribute_events({}, {}, {}).rows.empty());
}

TEST(Attribution, RefusesByName) {
  const Shown s;
  Events e;
  e.add(-1, 0, 10, 0, 210);
  EXPECT_THROW((void)attribute_events({s.requests, s.users, s.items, {}}, e.rows(), kRules), std::invalid_argument);
  EXPECT_THROW((void)attribute_events({e.requests, s.users, s.items, s.times}, e.rows(), kRules), std::invalid_argument);
  EXPECT_THROW((void)attribute_events(s.rows(), e.rows(), std::vector<EventTypeRule>{{0, 0}}), std::invalid_argument);
  EXPECT_THROW((void)attribute_events(s.rows(), e.rows(), std::vector<EventTypeRule>{}), std::invalid_argument);
  e.values[0] = -1;
  EXPECT_THROW((void)attribute_events(s.rows(), e.rows(), kRules), std::invalid_argument);
}

TEST(ReactionRates, EqualTheFormula) {
  // Twenty shoppers of four rows: half of them react to three, half to one.
  std::vector<std::int32_t> users;
  std::vector<std::uint8_t> reacted;
  for (int i = 0; i < 80; ++i) {
    users.push_back(i / 4);
    reacted.push_back(i % 4 < (i / 4 % 2 == 0 ? 3 : 1) ? 1 : 0);
  }
  const std::vector<std::int32_t> groups(80, 0);
  const auto found = reaction_rates(groups, 2, reacted, users);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].shoppers, 20);
  const double deff = 20.0 / 19 * 20 / (80.0 * 80) / (0.25 / 80);
  const double t = 2.093024;  // of 19 degrees of freedom
  EXPECT_NEAR(found[0].effective, 80 / deff * std::pow(1.959964 / t, 2), 0.05);
  double low = 0;
  double high = 0;
  wilson_interval(0.5, found[0].effective, 0.95, low, high);
  EXPECT_EQ(found[0].low, low);
  EXPECT_EQ(found[0].high, high);
  EXPECT_EQ(found[1].shown, 0);
  EXPECT_EQ(found[1].high, 1);
  EXPECT_EQ(reaction_rates(groups, 1, reacted, {})[0].effective, 80);
  EXPECT_THROW((void)reaction_rates(groups, 0, reacted, users), std::invalid_argument);
  EXPECT_THROW((void)reaction_rates(groups, 1, std::vector<std::uint8_t>(80, 2), users), std::invalid_argument);
  EXPECT_THROW((void)reaction_rates(groups, 1, {}, users), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
