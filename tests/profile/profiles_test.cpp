// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/profiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/profile_files.hpp"
#include "etalage/io/serialization.hpp"
#include "io/forge.hpp"
#include "io/tiny_model.hpp"
#include "profile/profile_data.hpp"
#include "support/golden.hpp"

namespace etalage {
namespace {

using testing::kDay;
using testing::kStart;

std::shared_ptr<const ItemFacts> facts() {
  static const auto f = std::make_shared<const ItemFacts>(*testing::small_catalog());
  return f;
}

TEST(Profiles, OneEventAtATimeIsTheSameBitsAsTheLog) {
  const EventLog log = testing::random_log(60, 6, 5);
  Profiles batch(facts());
  batch.add(log);
  Profiles live(facts());
  const auto roles = live.options().roles_of(log.columns().event_names);
  for (std::int64_t r = 0; r < log.size(); ++r)
    live.observe(log.columns().users[static_cast<std::size_t>(r)], testing::event_of(log, r, roles));
  EXPECT_EQ(save_to_memory(batch), save_to_memory(live));

  // Half from the log, half live.
  std::vector<std::uint8_t> first(static_cast<std::size_t>(log.size()));
  std::fill(first.begin(), first.begin() + log.size() / 2, std::uint8_t{1});
  Profiles mixed(facts());
  mixed.add(log.filtered(first));
  for (std::int64_t r = log.size() / 2; r < log.size(); ++r)
    mixed.observe(log.columns().users[static_cast<std::size_t>(r)], testing::event_of(log, r, roles));
  EXPECT_EQ(save_to_memory(mixed), save_to_memory(live));
}

TEST(Profiles, AnyNumberOfThreadsGivesTheSameBits) {
  const EventLog log = testing::random_log(500, 4, 6);
  Profiles one(facts());
  one.add(log, 1);
  Profiles four(facts());
  four.add(log, 4);
  EXPECT_EQ(save_to_memory(one), save_to_memory(four));
}

TEST(Profiles, PartsOfALogAppendedAreTheLog) {
  const EventLog log = testing::random_log(60, 6, 5);
  Profiles whole(facts());
  whole.add(log);
  Profiles parts(facts());
  for (const auto& [first, last] : {std::pair(0, 17), std::pair(17, 18), std::pair(18, 60)}) {
    EventLog::Columns c;
    c.event_names = log.columns().event_names;
    std::vector<std::int32_t> users, items;
    std::vector<std::uint16_t> events;
    std::vector<std::int64_t> times;
    std::vector<float> values;
    for (std::size_t r = 0; r < static_cast<std::size_t>(log.size()); ++r) {
      const std::int32_t user = log.columns().users[r];
      if (user < first || user >= last) continue;
      users.push_back(user - first);
      items.push_back(log.columns().items[r]);
      events.push_back(log.columns().events[r]);
      times.push_back(log.columns().times_ms[r]);
      if (!log.columns().values.empty()) values.push_back(log.columns().values[r]);
    }
    c.users = Array<std::int32_t>(users);
    c.items = Array<std::int32_t>(items);
    c.events = Array<std::uint16_t>(events);
    c.times_ms = Array<std::int64_t>(times);
    c.values = Array<float>(values);
    Profiles part(facts());
    part.add(EventLog(std::move(c)));
    ASSERT_EQ(part.size(), last - first);
    parts.append(part);
  }
  parts.set_ids(whole.user_ids(), whole.item_ids());
  EXPECT_EQ(save_to_memory(parts), save_to_memory(whole));

  Profiles other(facts(), {.half_life_days = 30});
  EXPECT_THROW(parts.append(other), std::invalid_argument);
  EXPECT_THROW(parts.append(Profiles()), std::invalid_argument);
  EXPECT_EQ(save_to_memory(parts), save_to_memory(whole));
  parts.append(parts);  // itself: everybody twice
  EXPECT_EQ(parts.size(), 2 * whole.size());
  EXPECT_EQ(parts.at(60 + 7).counts().events, whole.at(7).counts().events);
}

TEST(Profiles, KeysAreAsManyAsShoppersAndProducts) {
  Profiles p(facts());
  p.add(testing::random_log(30, 6, 7));
  std::int32_t products = 0;
  for (std::int32_t u = 0; u < p.size(); ++u)
    for (const auto& m : p.at(u).bought()) products = std::max(products, m.item + 1);
  ASSERT_GT(products, 1);
  const auto keys = [](std::int32_t n) {
    std::vector<std::int64_t> k(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < k.size(); ++i) k[i] = static_cast<std::int64_t>(i) + 1000;
    return std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(k)));
  };
  const auto users = keys(p.size());
  const auto items = keys(200);  // more than all products
  p.set_ids(users, items);
  const auto message = [&](const SharedIdMap& u, const SharedIdMap& i) -> std::string {
    try {
      p.set_ids(u, i);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(message(keys(p.size() - 1), items), "user_ids has " + std::to_string(p.size() - 1) + " keys, must have one for each of the " +
                                                    std::to_string(p.size()) + " shoppers");
  EXPECT_TRUE(message(users, keys(products - 1)).starts_with("item_ids has " + std::to_string(products - 1) + " keys, must have one for each of the "));
  EXPECT_EQ(p.user_ids(), users);  // nothing changed
  EXPECT_EQ(p.item_ids(), items);
  EXPECT_EQ(message(keys(p.size() + 5), nullptr), "");
  EXPECT_EQ(message(nullptr, nullptr), "");
}

TEST(Profiles, FilesBringBackEveryBitAndGoOn) {
  const EventLog log = testing::random_log(30, 6, 7);
  Profiles p(facts());
  p.add(log);
  const testing::TempDir dir;
  save(p, dir / "p");
  for (const Verify v : {Verify::kHeader, Verify::kFull}) {
    const auto back = load_profiles(dir / "p", {.verify = v});
    EXPECT_EQ(save_to_memory(*back), save_to_memory(p));
    back->observe(3, {5, EventRole::kPurchase, kStart + 400 * kDay, 1});
    p.observe(3, {5, EventRole::kPurchase, kStart + 400 * kDay, 1});
    EXPECT_EQ(save_to_memory(*back), save_to_memory(p));
    p = *load_profiles(dir / "p");
  }
  EXPECT_EQ(memory_info(save_to_memory(p)).kind, "Profiles");
}

TEST(Profiles, ForgedFilesAreRefusedOrAnswered) {
  Profiles p(facts());
  p.add(testing::random_log(10, 4, 8));
  testing::expect_refused_or_answered(save_to_memory(p), 1500, 21, [](std::span<const char> bytes) {
    const auto back = load_profiles_from_memory(bytes, {.num_threads = 1});
    for (std::int32_t u = 0; u < back->size(); ++u) {
      for (const BuyAgain& b : back->buy_again(u, kStart + 500 * kDay, 5)) EXPECT_GE(b.item, 0);
      for (const Affinity& a : back->at(u).categories()) EXPECT_FALSE(back->facts().category_path(a.id).empty());
    }
  });
}

TEST(Profiles, TimesBeyondAllCalendarsAreRefused) {
  Profiles p(facts());
  p.observe(0, {4, EventRole::kPurchase, kStart, 1});
  for (const std::int64_t time : {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(), kStart + 1}) {
    auto file = save_to_memory(p);
    ASSERT_TRUE(testing::plant(file, "bought/last_ms", 0, time));
    if (time == kStart + 1) EXPECT_EQ(load_profiles_from_memory(file)->size(), 1);
    else EXPECT_THROW((void)load_profiles_from_memory(file), FormatError) << time;
  }
}

TEST(Profiles, BuyAgainIsTheCureModel) {
  Profiles p(facts());
  // Shopper 0 buys product 4 every 10 days, five times; others buy product 5 once.
  for (int i = 0; i < 5; ++i) p.observe(0, {4, EventRole::kPurchase, kStart + 10 * i * kDay, 1});
  for (int u = 1; u < 20; ++u) p.observe(u, {5, EventRole::kPurchase, kStart + 20 * kDay, 1});
  p.observe(0, {5, EventRole::kPurchase, kStart + 20 * kDay, 1});
  const std::int64_t now = kStart + 48 * kDay;
  const auto list = p.buy_again(0, now, 10, 7);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].item, 4);
  EXPECT_EQ(list[0].count, 5);
  EXPECT_NEAR(list[0].gap_days, 10.0, 1e-3);
  EXPECT_NEAR(static_cast<double>(list[0].due_ms - (kStart + 50 * kDay)), 0.0, 1e4);

  // By the formulas: 4 gaps of 10 days in 25 purchases; the shop is what product 4 is.
  const double mean = std::log(10.0);
  const double variance = 0.04;  // the floor: all gaps are alike
  const double shop_share = 4.0 / 25.0;
  const double item_share = (4 + 5 * shop_share) / (5.0 + 5);
  const double share = (4 + 2 * item_share) / (4.0 + 3);
  const auto within = [&](double d) { return 0.5 * std::erfc(-(std::log(d) - mean) / std::sqrt(variance) / std::numbers::sqrt2); };
  EXPECT_NEAR(list[0].probability, share * (within(15) - within(8)) / (1 - share * within(8)), 1e-3);
  EXPECT_GT(list[0].probability, list[1].probability);
  EXPECT_EQ(p.buy_again(0, now, 1).size(), 1u);
  EXPECT_TRUE(p.buy_again(777, now, 5).empty());
  EXPECT_THROW((void)p.buy_again(0, now, 1, 0), std::invalid_argument);
}

TEST(Profiles, MergeAddsUpAndEraseForgets) {
  const EventLog log = testing::random_log(8, 5, 9);
  Profiles p(facts());
  p.add(log);
  const auto a = p.at(1).counts();
  const auto b = p.at(2).counts();
  const double money = p.at(1).sums().money + p.at(2).sums().money;
  p.merge(1, 2);
  EXPECT_TRUE(p.at(1).empty());
  const auto& m = p.at(2).counts();
  EXPECT_EQ(m.events, a.events + b.events);
  EXPECT_EQ(m.orders, a.orders + b.orders);
  EXPECT_EQ(m.first_ms, std::min(a.first_ms, b.first_ms));
  EXPECT_EQ(m.last_ms, std::max(a.last_ms, b.last_ms));
  EXPECT_DOUBLE_EQ(p.at(2).sums().money, money);
  p.erase(2);
  EXPECT_TRUE(p.at(2).empty());
  p.erase(100000);
  EXPECT_THROW(p.merge(3, 3), std::invalid_argument);
  EXPECT_THROW(p.erase(-1), std::out_of_range);
  p.merge(3, 5000);
  EXPECT_EQ(p.size(), 5001);
  EXPECT_FALSE(p.at(5000).empty());
}

TEST(Profiles, LogsThatCannotServeAreRefused) {
  EventLog::Columns c;
  c.users = Array<std::int32_t>(1);
  c.items = Array<std::int32_t>(1);
  Profiles p;
  EXPECT_THROW(p.add(EventLog(c)), std::invalid_argument) << "no times";
  c.times_ms = Array<std::int64_t>(1);
  c.events = Array<std::uint16_t>(1);
  c.event_names = {"wish"};
  EXPECT_THROW(p.add(EventLog(c)), std::invalid_argument) << "a type without a role";
  EXPECT_EQ(p.size(), 0);
  EXPECT_THROW(p.observe(-1, {}), std::out_of_range);
  EXPECT_THROW(p.observe(5, {-3, EventRole::kView, 0, 1}), std::invalid_argument);
  EXPECT_EQ(p.size(), 0) << "nothing changes when it throws";
  EXPECT_THROW(Profiles(facts()).set_facts(nullptr), std::invalid_argument);
}

TEST(Profiles, GoldenFileAnswersAsItDid) {
  test::expect_answers("Profiles", testing::profile_answers(*load_profiles(test::golden("Profiles") + ".etalage")), 1e-6);
}

}  // namespace
}  // namespace etalage
