// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/user_profile.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "profile/profile_data.hpp"

namespace etalage {
namespace {

using testing::kDay;
using testing::kStart;

const ItemFacts& facts() {
  static const ItemFacts f(*testing::small_catalog());
  return f;
}

TEST(ItemFacts, NumbersPathsWithParentsFirstAndRanksPrices) {
  const ItemFacts& f = facts();
  EXPECT_EQ(f.num_items(), 40);
  EXPECT_EQ(f.num_categories(), 6);
  EXPECT_EQ(f.num_brands(), 5);
  EXPECT_EQ(f.category_path(f.category(0)), "Home > Kitchen > Mugs");
  EXPECT_EQ(f.category_name(f.parent(f.category(0))), "Kitchen");
  EXPECT_EQ(f.parent(f.category(3)), ItemFacts::kNone);
  // Mugs have 10 priced products, fewer than 20: their level is that among the 20 of Kitchen.
  int cheaper = 0;
  for (int i = 0; i < 40; ++i) cheaper += i % 4 < 2 && i < 8;
  EXPECT_FLOAT_EQ(f.price_level(8), static_cast<float>((cheaper + 0.5) / 20.0));
  EXPECT_EQ(f.price_band(0), 0);
  EXPECT_EQ(f.price_band(37), 4);
  for (const std::int32_t unknown : {-1, 40, 2147483647}) {
    EXPECT_EQ(f.category(unknown), ItemFacts::kNone);
    EXPECT_EQ(f.brand(unknown), ItemFacts::kNone);
    EXPECT_TRUE(std::isnan(f.price(unknown)));
    EXPECT_EQ(f.price_band(unknown), ItemFacts::kNone);
  }
  EXPECT_THROW((void)f.parent(6), std::out_of_range);
}

TEST(ItemFacts, NumbersStayInANewerCatalogue) {
  Catalog::Columns c;
  c.item_ids = std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(std::vector<std::int64_t>{1, 2, 3})));
  c.categories = {{"Books"}, {"Toys"}, {"Home", "Garden", "Seeds"}};
  c.brands = {"brand9", "brand1", ""};
  const ItemFacts f = facts().updated(Catalog(std::move(c)));
  EXPECT_EQ(f.num_items(), 3);
  EXPECT_EQ(f.category_path(f.category(1)), "Toys");
  EXPECT_EQ(f.category(1), facts().category(3));
  EXPECT_EQ(f.parent(f.category(2)), facts().category(2));
  EXPECT_EQ(f.category(0), 6);
  EXPECT_EQ(f.brand(1), facts().brand(1));
  EXPECT_EQ(f.brand(0), 5);
  EXPECT_EQ(f.brand(2), ItemFacts::kNone);
  EXPECT_TRUE(std::isnan(f.price(0)));
}

TEST(UserProfile, AffinitiesAreTheDecayedSumOverThePath) {
  const ProfileOptions o;
  const EventLog log = testing::random_log(1, 12, 3);
  const auto roles = o.roles_of(log.columns().event_names);
  UserProfile p;
  for (std::int64_t r = 0; r < log.size(); ++r) p.observe(testing::event_of(log, r, roles), facts(), o);

  // The definition, in plain loops; returns stop at 0 along the way, so weights are carried in time order.
  std::map<std::int32_t, double> expected;
  std::int64_t now = log.columns().times_ms[0];
  const double weights[] = {0, 1, 3, 5, -5};
  for (std::int64_t r = 0; r < log.size(); ++r) {
    const ProfileEvent e = testing::event_of(log, r, roles);
    for (auto& [c, w] : expected) w *= std::pow(2.0, -static_cast<double>(e.time_ms - now) / static_cast<double>(kDay) / 90);
    now = e.time_ms;
    for (std::int32_t c = facts().category(e.item); c >= 0; c = facts().parent(c))
      expected[c] = std::max(0.0, expected[c] + weights[static_cast<int>(e.role)]);
  }
  std::size_t positive = 0;
  for (const auto& [c, w] : expected) positive += w > 0;
  const auto found = p.categories();
  EXPECT_EQ(found.size(), positive);
  double roots = 0;
  for (const auto& [c, w] : expected)
    if (facts().parent(c) < 0) roots += w;
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].weight, expected[found[i].id], 1e-9 * (1 + expected[found[i].id]));
    EXPECT_NEAR(p.category_share(found[i].id, facts()), std::min(1.0, expected[found[i].id] / roots), 1e-9);
    EXPECT_GE(found[i == 0 ? 0 : i - 1].weight, found[i].weight);
  }
}

TEST(UserProfile, CountsSessionsOrdersGapsAndHabits) {
  ProfileOptions o;
  o.utc_offset_minutes = 60;
  UserProfile p;
  const auto at = [&](std::int64_t t, EventRole role, std::int32_t item, float value = 1) { return p.observe({item, role, t, value}, facts(), o); };
  EXPECT_TRUE(at(kStart, EventRole::kView, 4).new_session);
  EXPECT_FALSE(at(kStart + 60'000, EventRole::kCart, 4).new_session);
  const Observed first = at(kStart + 120'000, EventRole::kPurchase, 4, 2);
  EXPECT_TRUE(first.new_order && first.item_occasion);
  EXPECT_FALSE(at(kStart + 130'000, EventRole::kPurchase, 9).new_order) << "the same order";
  const Observed again = at(kStart + 10 * kDay, EventRole::kPurchase, 4);
  EXPECT_TRUE(again.new_session && again.new_order);
  EXPECT_NEAR(again.repurchase_gap_days, 10.0, 0.01);
  at(kStart + 30 * kDay, EventRole::kPurchase, 4);
  at(kStart + 31 * kDay, EventRole::kReturn, 4);

  const auto& c = p.counts();
  EXPECT_EQ(c.events, 7);
  EXPECT_EQ(c.sessions, 4);
  EXPECT_EQ(c.buying_sessions, 3);
  EXPECT_EQ(c.orders, 3);
  EXPECT_EQ(c.purchases, 4);
  EXPECT_EQ(c.order_gaps, 2);
  EXPECT_NEAR(p.sums().gap_mean_days, 15.0, 0.01);
  EXPECT_NEAR(p.sums().gap_m2, 50.0, 0.1);
  EXPECT_DOUBLE_EQ(p.sums().money, 5.0 * 2 + 10 + 5 + 5 - 5);
  EXPECT_GT(p.sums().hours[1], 0) << "midnight UTC is one o'clock in the shop";
  EXPECT_EQ(p.sums().hours[0], 0);
  EXPECT_GT(p.sums().weekdays[0], 0) << "a Monday";
  const auto bought = p.bought();
  ASSERT_EQ(bought.size(), 2u);
  EXPECT_EQ(bought[0].item, 4);
  EXPECT_EQ(bought[0].count, 3);
  EXPECT_NEAR(bought[0].sum_log_gap, std::log(10.0) + std::log(20.0), 0.01);
  EXPECT_DOUBLE_EQ(p.recency_days(kStart + 40 * kDay), 10.0);
  EXPECT_EQ(p.recency_days(kStart), 0.0) << "a clock that is behind";
}

TEST(UserProfile, APurchaseOfLessThanNothingIsAReturn) {
  const ProfileOptions o;
  UserProfile typed;
  UserProfile negative;
  for (UserProfile* p : {&typed, &negative}) p->observe({3, EventRole::kPurchase, testing::kStart, 2.0f}, facts(), o);
  typed.observe({3, EventRole::kReturn, testing::kStart + kDay, 2.0f}, facts(), o);
  negative.observe({3, EventRole::kPurchase, testing::kStart + kDay, -2.0f}, facts(), o);
  for (const UserProfile* p : {&typed, &negative}) {
    EXPECT_EQ(p->counts().orders, 1);
    EXPECT_EQ(p->counts().returns, 1);
    EXPECT_EQ(p->counts().purchases, 1);
    EXPECT_EQ(p->counts().last_purchase_ms, testing::kStart);
    EXPECT_EQ(p->sums().money, 0);
  }
}

TEST(UserProfile, LateEventsCountAsTheirAgeSays) {
  const ProfileOptions o;
  UserProfile in_order;
  UserProfile late;
  const ProfileEvent view{0, EventRole::kView, kStart, 1};
  const ProfileEvent buy{5, EventRole::kPurchase, kStart + 90 * kDay, 1};
  in_order.observe(view, facts(), o);
  in_order.observe(buy, facts(), o);
  late.observe(buy, facts(), o);
  EXPECT_FALSE(late.observe(view, facts(), o).new_session);
  const auto a = in_order.categories();
  const auto b = late.categories();
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].id, b[i].id);
    EXPECT_NEAR(a[i].weight, b[i].weight, 1e-12);
  }
  EXPECT_EQ(late.counts().first_ms, kStart);
  EXPECT_EQ(late.counts().last_ms, kStart + 90 * kDay);
  EXPECT_EQ(late.counts().events, 2);
}

TEST(UserProfile, MemoryIsBounded) {
  ProfileOptions o;
  o.max_categories = 3;
  o.max_brands = 2;
  o.max_items = 4;
  UserProfile p;
  for (int i = 0; i < 40; ++i) p.observe({i, EventRole::kPurchase, kStart + i * kDay, 1}, facts(), o);
  EXPECT_LE(p.categories().size(), 3u);
  EXPECT_LE(p.brands().size(), 2u);
  const auto bought = p.bought();
  ASSERT_EQ(bought.size(), 4u);
  EXPECT_EQ(bought[0].item, 39);
  EXPECT_EQ(bought[3].item, 36);
  EXPECT_LE(p.session_items().size(), UserProfile::kSessionItems);
}

TEST(UserProfile, LifecycleFollowsTheRule) {
  const ProfileOptions o;  // gap prior 45 days; at risk 2, lapsed 4 gaps; new 30 days; loyal 4 orders
  UserProfile p;
  EXPECT_EQ(p.lifecycle(kStart, o), Lifecycle::kUnknown);
  p.observe({0, EventRole::kView, kStart, 1}, facts(), o);
  EXPECT_EQ(p.lifecycle(kStart + kDay, o), Lifecycle::kProspect);
  p.observe({0, EventRole::kPurchase, kStart, 1}, facts(), o);
  EXPECT_EQ(p.lifecycle(kStart + 30 * kDay, o), Lifecycle::kNew);
  EXPECT_EQ(p.lifecycle(kStart + 31 * kDay, o), Lifecycle::kActive);
  EXPECT_EQ(p.lifecycle(kStart + 91 * kDay, o), Lifecycle::kAtRisk);
  EXPECT_EQ(p.lifecycle(kStart + 181 * kDay, o), Lifecycle::kLapsed);
  for (int i = 1; i < 4; ++i) p.observe({0, EventRole::kPurchase, kStart + 15 * i * kDay, 1}, facts(), o);
  EXPECT_EQ(p.lifecycle(kStart + 46 * kDay, o), Lifecycle::kLoyal);
  // Usual gap (3 * 15 + 45) / 4 = 22.5 days after the last purchase on day 45.
  EXPECT_EQ(p.lifecycle(kStart + (45 + 46) * kDay, o), Lifecycle::kAtRisk);
  EXPECT_EQ(p.lifecycle(kStart + (45 + 91) * kDay, o), Lifecycle::kLapsed);
  EXPECT_EQ(lifecycle_name(Lifecycle::kAtRisk), "at risk");
}

TEST(UserProfile, RefusesWhatIsNoEventAndChangesNothing) {
  const ProfileOptions o;
  UserProfile p;
  EXPECT_THROW(p.observe({-1, EventRole::kView, kStart, 1}, facts(), o), std::invalid_argument);
  EXPECT_THROW(p.observe({1, EventRole::kPurchase, kStart, std::nanf("")}, facts(), o), std::invalid_argument);
  EXPECT_FALSE(p.observe({-1, EventRole::kIgnore, kStart, 1}, facts(), o).new_session);
  EXPECT_TRUE(p.empty());
  // New products and times at the ends of the calendar are normal.
  p.observe({2147483647, EventRole::kView, std::numeric_limits<std::int64_t>::max() / 2, 1}, facts(), o);
  p.observe({0, EventRole::kPurchase, -kStart, 1}, facts(), o);
  EXPECT_EQ(p.counts().events, 2);
}

TEST(ProfileOptions, EveryBoundIsNamed) {
  const auto refused = [](auto change, const char* name) {
    ProfileOptions o;
    change(o);
    try {
      o.validate();
    } catch (const std::invalid_argument& e) {
      return std::string(e.what()).starts_with(name);
    }
    return false;
  };
  EXPECT_TRUE(refused([](auto& o) { o.half_life_days = 0; }, "half_life_days is 0"));
  EXPECT_TRUE(refused([](auto& o) { o.view_weight = -1; }, "view_weight is -1"));
  EXPECT_TRUE(refused([](auto& o) { o.return_weight = 1; }, "return_weight is 1"));
  EXPECT_TRUE(refused([](auto& o) { o.idle_minutes = 0; }, "idle_minutes is 0"));
  EXPECT_TRUE(refused([](auto& o) { o.max_items = 0; }, "max_items is 0"));
  EXPECT_TRUE(refused([](auto& o) { o.lapsed_gaps = 2; }, "lapsed_gaps is 2"));
  EXPECT_TRUE(refused([](auto& o) { o.loyal_orders = 0; }, "loyal_orders is 0"));
  EXPECT_TRUE(refused([](auto& o) { o.utc_offset_minutes = 2000; }, "utc_offset_minutes is 2000"));
  const std::vector<std::string> names{"view", "wish"};
  EXPECT_THROW((void)ProfileOptions().roles_of(names), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
