// SPDX-License-Identifier: Apache-2.0
// What falls out of a shopper's history stays in their totals: the profile of all their events is the reference.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "etalage/profile/profiles.hpp"
#include "io/tiny_model.hpp"
#include "profile/profile_data.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage {
namespace {

using testing::kDay;
using testing::kStart;
using testing::TempDir;

struct Step {
  std::int64_t user;
  std::int64_t item;
  std::string type;
  std::int64_t time_ms;
  float value;
};

/// Two years of a few shoppers, in order of time; some purchases of one order, some returns and negative values.
std::vector<Step> two_years(unsigned seed) {
  std::mt19937 rng(seed);
  std::vector<Step> out;
  std::int64_t now = kStart;
  while (now < kStart + 700 * kDay) {
    const std::int64_t user = 5000 + static_cast<std::int64_t>(rng() % 3);
    for (auto n = 1 + rng() % 9; n > 0; --n) {
      constexpr const char* types[] = {"view", "view", "view", "cart", "purchase", "purchase", "return"};
      const std::string type = types[rng() % 7];
      const float value = type == "purchase" && rng() % 20 == 0 ? -1.0f : static_cast<float>(1 + rng() % 3);
      out.push_back({user, 100 + static_cast<std::int64_t>(rng() % 20), type, now, value});
      now += 1000 + static_cast<std::int64_t>(rng() % (12 * 60'000));
    }
    now += static_cast<std::int64_t>(rng() % static_cast<unsigned>(kDay));
  }
  return out;
}

EventStoreOptions options(int history_limit, std::int64_t now) {
  EventStoreOptions o;
  o.now_ms = [now] { return now; };
  o.history_limit = history_limit;
  o.journal.durability = Durability::kNone;
  return o;
}

void expect_totals(const UserProfile& live, const UserProfile& all, const std::string& what) {
  const auto& a = live.counts();
  const auto& b = all.counts();
  EXPECT_EQ(a.first_ms, b.first_ms) << what;
  EXPECT_EQ(a.last_ms, b.last_ms) << what;
  EXPECT_EQ(a.first_purchase_ms, b.first_purchase_ms) << what;
  EXPECT_EQ(a.last_purchase_ms, b.last_purchase_ms) << what;
  for (const auto member : {&UserProfile::Counts::events, &UserProfile::Counts::views, &UserProfile::Counts::carts, &UserProfile::Counts::purchases,
                            &UserProfile::Counts::returns, &UserProfile::Counts::sessions, &UserProfile::Counts::buying_sessions,
                            &UserProfile::Counts::orders, &UserProfile::Counts::order_gaps})
    EXPECT_EQ(a.*member, b.*member) << what;
  const auto& s = live.sums();
  const auto& t = all.sums();
  EXPECT_NEAR(s.money, t.money, 1e-6 * (1 + std::abs(t.money))) << what;
  EXPECT_NEAR(s.gap_mean_days, t.gap_mean_days, 1e-9) << what;
  EXPECT_NEAR(s.gap_m2, t.gap_m2, 1e-6 * (1 + t.gap_m2)) << what;
  EXPECT_NEAR(s.last_gap_days, t.last_gap_days, 1e-9) << what;
  const auto x = live.bought();
  const auto y = all.bought();
  ASSERT_EQ(x.size(), y.size()) << what;
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(x[i].item, y[i].item) << what;
    EXPECT_EQ(x[i].count, y[i].count) << what;
    EXPECT_EQ(x[i].last_ms, y[i].last_ms) << what;
    EXPECT_NEAR(x[i].sum_log_gap, y[i].sum_log_gap, 1e-9) << what;
  }
}

struct Reference {
  ItemFacts facts{*testing::small_catalog()};
  ProfileOptions options;
  std::map<std::int64_t, UserProfile> users;
  void observe(const Step& s) {
    users[s.user].observe({testing::small_catalog()->item_ids()->find(s.item), options.roles.at(s.type), s.time_ms, s.value}, facts, options);
  }
};

void tell(Engine& engine, const Step& s) { engine.observe({s.user, s.item, s.type, s.time_ms, s.value}); }

std::shared_ptr<const Snapshot> snapshot(ProfileOptions profile_options = {}) {
  SnapshotParts p;
  p.catalog = testing::small_catalog();
  p.profiles = std::make_shared<Profiles>(std::make_shared<const ItemFacts>(*p.catalog), std::move(profile_options));
  return std::make_shared<const Snapshot>(std::move(p));
}

TEST(EarlierTotals, AYearLongCustomerIsWhoHeIsThroughCompactionAndOtherLimits) {
  const auto steps = two_years(3);
  const std::int64_t now = steps.back().time_ms + 3 * kDay;
  const TempDir dir;
  Reference all;
  std::size_t at = 0;
  for (const int limit : {64, 8, 32}) {  // one that is lowered spills what it no longer keeps
    EngineOptions o;
    o.events = options(limit, now);
    Engine engine(dir.path(), o);
    engine.publish(snapshot());
    for (const std::size_t end = std::min(steps.size(), at + steps.size() / 3 + 1); at < end; ++at) {
      tell(engine, steps[at]);
      all.observe(steps[at]);
    }
    for (const auto& [user, profile] : all.users) {
      ASSERT_GT(profile.counts().events, 200);
      const ShopperState s = engine.profile(user);
      expect_totals(s.profile, profile, "user " + std::to_string(user) + ", history_limit " + std::to_string(limit));
      EXPECT_EQ(s.lifecycle(), profile.lifecycle(now, all.options));
      EXPECT_NE(s.lifecycle(), Lifecycle::kNew);
    }
    if (limit == 64) engine.events().compact();  // the others are read from the log
  }
}

TEST(EarlierTotals, AmountsAreMoneyOfTheirOwn) {
  const auto steps = two_years(4);
  Reference all;
  all.options.value_is_amount = true;
  EngineOptions o;
  o.events = options(8, steps.back().time_ms);
  Engine engine(o);
  engine.publish(snapshot(all.options));
  for (const Step& s : steps) {
    tell(engine, s);
    all.observe(s);
  }
  for (const auto& [user, profile] : all.users) expect_totals(engine.profile(user).profile, profile, "user " + std::to_string(user));
}

TEST(EarlierTotals, MergedShoppersAddUpAndErasedOnesAreGone) {
  const auto steps = two_years(5);
  EngineOptions o;
  const TempDir dir;
  o.events = options(8, steps.back().time_ms);
  auto open = std::make_unique<Engine>(dir.path(), o);
  Engine& engine = *open;
  engine.publish(snapshot());
  Reference all;
  for (const Step& s : steps) {
    tell(engine, s);
    all.observe(s);
  }
  engine.merge_users(std::int64_t{5000}, std::int64_t{5001});
  const auto merged = engine.profile(std::int64_t{5001}).profile;
  const auto& a = all.users[5000].counts();
  const auto& b = all.users[5001].counts();
  EXPECT_EQ(merged.counts().events, a.events + b.events);
  EXPECT_EQ(merged.counts().purchases, a.purchases + b.purchases);
  EXPECT_EQ(merged.counts().first_purchase_ms, std::min(a.first_purchase_ms, b.first_purchase_ms));
  EXPECT_EQ(merged.counts().last_purchase_ms, std::max(a.last_purchase_ms, b.last_purchase_ms));
  EXPECT_NEAR(merged.sums().money, all.users[5000].sums().money + all.users[5001].sums().money, 1e-3);
  EXPECT_FALSE(engine.profile(std::int64_t{5000}).known);
  for (const std::int64_t user : {5001, 5002}) {
    engine.erase_user(user);
    EXPECT_TRUE(engine.profile(user).profile.empty());
  }
  engine.observe({std::int64_t{5001}, std::int64_t{101}, "view", steps.back().time_ms});  // a stranger of the same name
  EXPECT_EQ(engine.profile(std::int64_t{5001}).profile.counts().events, 1);
  engine.events().compact();
  open.reset();
  Engine again(dir.path(), o);
  again.publish(snapshot());
  EXPECT_EQ(again.profile(std::int64_t{5001}).profile.counts().events, 1);
}

TEST(EarlierTotals, TakeOneRecordAndItsMemoryIsCounted) {
  EventStore small(options(1, kStart + 900 * kDay));
  EventStore large(options(1, kStart + 900 * kDay));
  const auto steps = two_years(6);
  for (const Step& s : steps) large.observe({s.user, s.item, s.type, s.time_ms, s.value});
  for (std::int64_t user = 5000; user < 5003; ++user) small.observe({user, std::int64_t{1}, "view", kStart});
  EXPECT_GT(large.counts().shopper_bytes, small.counts().shopper_bytes + 3 * static_cast<std::int64_t>(sizeof(EarlierTotals)));
  EXPECT_LT(large.counts().shopper_bytes, small.counts().shopper_bytes + 3 * 8192);
  UserView view;
  ASSERT_TRUE(small.read_user(std::int64_t{5000}, view));
  EXPECT_TRUE(view.earlier.empty());
  ASSERT_TRUE(large.read_user(std::int64_t{5000}, view));
  EXPECT_FALSE(view.earlier.empty());
  ASSERT_TRUE(small.read_user(std::int64_t{5000}, view) && view.earlier.empty() && view.earlier.bought.empty());
}

}  // namespace
}  // namespace etalage
