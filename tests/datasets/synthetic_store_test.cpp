// SPDX-License-Identifier: Apache-2.0
#include "etalage/datasets/synthetic_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace etalage {
namespace {

SyntheticStoreOptions small() {
  SyntheticStoreOptions o;
  o.users = 800;
  o.items = 400;
  o.events = 40'000;
  o.seed = 7;
  return o;
}

std::string message_of(const SyntheticStoreOptions& o) {
  try {
    o.validate();
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

TEST(SyntheticStore, SameBitsForAnyThreadCountAndOtherOnesForAnotherSeed) {
  SyntheticStoreOptions o = small();
  o.num_threads = 1;
  const std::uint64_t one = make_synthetic_store(o).hash();
  EXPECT_EQ(one, 0xcc45035b24a9a1dfULL) << "the content of equal options changed; python/tests/test_datasets.py has the same number";
  o.num_threads = 3;
  EXPECT_EQ(make_synthetic_store(o).hash(), one);
  o.seed = 8;
  EXPECT_NE(make_synthetic_store(o).hash(), one);
}

TEST(SyntheticStore, HasExactlyTheEventsAskedForInTimeOrder) {
  const SyntheticStore s = make_synthetic_store(small());
  const EventLog::Columns& e = s.events;
  ASSERT_EQ(e.users.size(), 40'000u);
  EXPECT_TRUE(std::is_sorted(e.times_ms.begin(), e.times_ms.end()));
  EXPECT_EQ(e.user_ids->size(), 800);
  EXPECT_EQ(e.item_ids->size(), 400);
  std::vector<int> per_user(800, 0);
  for (const std::int32_t u : e.users) ++per_user[static_cast<std::size_t>(u)];
  EXPECT_GE(*std::min_element(per_user.begin(), per_user.end()), 1);
  EXPECT_GT(*std::max_element(per_user.begin(), per_user.end()), 300) << "a heavy tail";
  for (const std::int32_t i : e.items) ASSERT_TRUE(i >= 0 && i < 400);
  std::set<std::uint16_t> types(e.events.begin(), e.events.end());
  EXPECT_EQ(types.size(), 4u);
}

TEST(SyntheticStore, NothingIsTouchedBeforeItsLaunchNorBoughtWhenSoldOut) {
  const SyntheticStore s = make_synthetic_store(small());
  int late = 0;
  int sold_out = 0;
  for (std::size_t r = 0; r < s.events.users.size(); ++r) {
    const auto i = static_cast<std::size_t>(s.events.items[r]);
    EXPECT_GE(s.events.times_ms[r], s.catalog.launch_ms[i]);
    late += s.catalog.launch_ms[i] > small().start_ms;
    if (s.catalog.stock[i] == 0) {
      ++sold_out;
      EXPECT_NE(s.events.event_names[s.events.events[r]], "purchase");
    }
  }
  EXPECT_GT(late, 100);
  EXPECT_GT(sold_out, 100);
}

TEST(SyntheticStore, SessionsBelongToOneShopperAndPurchasesFollowViewsOrCarts) {
  const SyntheticStore s = make_synthetic_store(small());
  std::map<std::int32_t, std::int32_t> owner;
  std::set<std::pair<std::int32_t, std::int32_t>> carted;
  std::set<std::pair<std::int32_t, std::int32_t>> bought;
  for (std::size_t r = 0; r < s.events.users.size(); ++r) {
    const std::int32_t u = s.events.users[r];
    EXPECT_EQ(owner.emplace(s.events.sessions[r], u).first->second, u);
    const std::pair<std::int32_t, std::int32_t> pair{u, s.events.items[r]};
    const std::string& type = s.events.event_names[s.events.events[r]];
    if (type == "cart") carted.insert(pair);
    if (type == "purchase") {
      EXPECT_TRUE(carted.contains(pair));
      bought.insert(pair);
    }
    if (type == "return") {
      EXPECT_TRUE(bought.contains(pair));
    }
  }
  EXPECT_EQ(static_cast<std::int32_t>(owner.size()), s.events.session_ids->size());
}

TEST(SyntheticStore, ConsumablesAreBoughtAgainAtTheirCycle) {
  SyntheticStoreOptions o = small();
  o.events = 200'000;
  const SyntheticStore s = make_synthetic_store(o);
  std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> last;
  std::map<std::string, std::pair<double, int>> gap;
  for (std::size_t r = 0; r < s.events.users.size(); ++r) {
    if (s.events.events[r] != 2) continue;
    const std::pair<std::int32_t, std::int32_t> pair{s.events.users[r], s.events.items[r]};
    const auto [at, fresh] = last.emplace(pair, s.events.times_ms[r]);
    if (!fresh) {
      auto& [sum, n] = gap[s.catalog.category_paths[static_cast<std::size_t>(pair.second)]];
      sum += static_cast<double>(s.events.times_ms[r] - at->second) / 86'400'000.0;
      ++n;
      at->second = s.events.times_ms[r];
    }
  }
  const auto& coffee = gap["Grocery > Drinks > Coffee"];
  ASSERT_GT(coffee.second, 50);
  int lasting = 0;
  for (const auto& [path, g] : gap)
    if (path == "Sports > Outdoor > Tents") lasting = g.second;
  EXPECT_GT(coffee.second, 3 * lasting);
}

TEST(SyntheticStore, SeasonsMoveDemand) {
  const SyntheticStore s = make_synthetic_store(small());
  int in_season = 0;
  int out_of_season = 0;
  for (std::size_t r = 0; r < s.events.users.size(); ++r) {
    const auto i = static_cast<std::size_t>(s.events.items[r]);
    if (s.catalog.category_paths[i].find("Winter Sports") == std::string::npos) continue;
    const auto day = (s.events.times_ms[r] - small().start_ms) / 86'400'000;
    if (day >= 274) ++in_season;
    else if (day >= 91 && day < 182) ++out_of_season;
  }
  EXPECT_GT(in_season, 2 * out_of_season);
}

TEST(SyntheticStore, TheSmallestShopWorks) {
  SyntheticStoreOptions o;
  o.users = 1;
  o.items = 1;
  o.days = 1;
  o.events = 1;
  const SyntheticStore s = make_synthetic_store(o);
  EXPECT_EQ(s.events.users.size(), 1u);
  EXPECT_EQ(s.catalog.names.size(), 1u);
}

TEST(SyntheticStoreOptions, EveryBoundIsNamed) {
  SyntheticStoreOptions o = small();
  o.users = 0;
  EXPECT_EQ(message_of(o), "users is 0, must be >= 1");
  o = small();
  o.items = -1;
  EXPECT_EQ(message_of(o), "items is -1, must be >= 1");
  o = small();
  o.events = 5;
  EXPECT_EQ(message_of(o), "events is 5, must be >= users, or 0 for 40 a shopper");
  o = small();
  o.days = 4000;
  EXPECT_EQ(message_of(o), "days is 4000, must be in [1, 3650]");
}

}  // namespace
}  // namespace etalage
