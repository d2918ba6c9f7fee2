// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/event_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "io/tiny_model.hpp"
#include "serving/store_time.hpp"
#include "serving/store_views.hpp"

namespace etalage {
namespace {

using test::kHour;
using test::kMinute;
using test::kNow;
using test::named;
using test::together_with;
using test::trending_of;

using testing::TempDir;

EventStoreOptions at(std::int64_t now = kNow) {
  EventStoreOptions o;
  o.now_ms = [now] { return now; };
  o.journal.durability = Durability::kNone;
  return o;
}

std::vector<std::string> session_of(const EventStore& store, std::string_view user) {
  UserView v;
  store.read_user(user, v);
  std::vector<std::string> out;
  for (const std::int32_t i : v.session) {
    Key key;
    EXPECT_TRUE(store.item_key(i, key));
    out.push_back(std::get<std::string>(key));
  }
  return out;
}

std::vector<std::string> history_of(const EventStore& store, std::string_view user) {
  UserView v;
  store.read_user(user, v);
  std::vector<std::string> out;
  for (const auto& p : v.history) {
    Key key;
    EXPECT_TRUE(store.item_key(p.item, key));
    out.push_back(std::get<std::string>(key));
  }
  return out;
}

/// All that a reader can see, for comparing a recovered store with one that never ended.
std::string everything(const EventStore& store) {
  std::map<std::string, std::string> users;
  for (std::int32_t u = 0; u < store.num_users(); ++u) {
    Key key;
    UserView v;
    if (!store.user_key(u, key) || !store.read_user(view_of(key), v)) continue;
    std::string& text = users[text_of(view_of(key))];
    text += std::to_string(v.version) + ":";
    const auto name = [&](std::int32_t i) {
      Key item;
      EXPECT_TRUE(store.item_key(i, item));
      return text_of(view_of(item));
    };
    std::ostringstream line;
    line << v.version << ":";
    for (const auto& p : v.history) line << name(p.item) << "@" << p.time_ms << "x" << p.taste << "t" << p.type << " ";
    line << "| ";
    for (const std::int32_t i : v.session) line << name(i) << " ";
    std::set<std::string> seen;
    for (const auto& s : v.seen) {
      std::ostringstream one;
      one << name(s.item) << "@" << s.last_ms << "p" << s.purchases << "@" << s.last_purchase_ms;
      seen.insert(one.str());
    }
    for (const auto& s : seen) line << "| " << s;
    text = line.str();
  }
  std::string out;
  for (const auto& [user, text] : users) out += user + " = " + text + "\n";
  for (const auto& [item, value] : trending_of(store)) out += item + " " + std::to_string(value) + "\n";
  for (std::int32_t i = 0; i < store.num_items(); ++i) {
    Key key;
    store.item_key(i, key);
    std::string line;
    for (const auto& [partner, count] : together_with(store, view_of(key))) line += partner + "=" + std::to_string(count) + " ";
    if (!line.empty()) users[text_of(view_of(key))] = line;
  }
  for (const auto& [item, line] : users) out += item + " with " + line + "\n";
  return out;
}

TEST(EventStore, ShowsAnEventToItsShopperAtOnce) {
  EventStore store(at());
  UserView v;
  EXPECT_FALSE(store.read_user("ann", v));
  EXPECT_EQ(store.observe({"ann", "mug"}), 1u);
  EXPECT_EQ(store.observe({"ann", "cup", "cart"}), 2u);
  ASSERT_TRUE(store.read_user("ann", v));
  EXPECT_EQ(v.version, 2u);
  EXPECT_EQ(history_of(store, "ann"), (std::vector<std::string>{"mug", "cup"}));
  EXPECT_EQ(v.history[1].taste, 3.0f);
  EXPECT_EQ(store.durable_through(), 0u);
}

TEST(EventStore, ASessionEndsAfterTheIdleTime) {
  EventStore store(at());
  store.observe({"ann", "a", "view", kNow - 100 * kMinute});
  store.observe({"ann", "b", "view", kNow - 50 * kMinute});
  store.observe({"ann", "c", "view", kNow - 21 * kMinute});
  store.observe({"ann", "d", "view", kNow - 1});
  EXPECT_EQ(session_of(store, "ann"), (std::vector<std::string>{"b", "c", "d"}));
  store.observe({"bob", "a", "view", kNow - 31 * kMinute});
  EXPECT_TRUE(session_of(store, "bob").empty());
}

TEST(EventStore, KeepsEventsByTimeHoweverTheyComeIn) {
  EventStore store(at());
  store.observe({"ann", "c", "view", kNow - 1});
  store.observe({"ann", "a", "view", kNow - 3});
  store.observe({"ann", "b", "view", kNow - 2});
  EXPECT_EQ(history_of(store, "ann"), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(store.counts().late, 2u);
}

TEST(EventStore, TakesADuplicateOnce) {
  EventStore store(at());
  EXPECT_EQ(store.observe({"ann", "a", "purchase", kNow - 5}), 1u);
  EXPECT_EQ(store.observe({"ann", "a", "purchase", kNow - 5}), 1u);
  EXPECT_EQ(store.observe({"ann", "a", "purchase", kNow - 4}), 2u);
  EXPECT_EQ(store.counts().duplicates, 1u);
  EXPECT_EQ(history_of(store, "ann").size(), 2u);
  EXPECT_NEAR(trending_of(store).at("a"), 10.0f, 1e-3);
}

TEST(EventStore, RefusesWhatItCannotMean) {
  EventStore store(at());
  store.observe({"ann", "a"});
  const auto message = [&](const Event& e) {
    try {
      store.observe(e);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({"ann", "a", "wave"}), "event type is 'wave', must be one of view, cart, purchase, return");
  EXPECT_NE(message({"ann", "a", "view", kNow + 301'000}).find("time_ms is"), std::string::npos);
  EXPECT_EQ(message({"ann", "a", "view", kNow + 300'000}), "");
  EXPECT_NE(message({"ann", "a", "view", -1}), "");
  EXPECT_NE(message({"ann", "a", "view", kNow, std::numeric_limits<float>::quiet_NaN()}), "");
  EXPECT_EQ(message({std::string(1025, 'x'), "a"}), "user has 1025 bytes, must have at most 1024");
  EXPECT_EQ(message({"ann", 7}), "item is the integer 7, must be a string as the keys before it");
  EXPECT_EQ(message({std::string(1024, 'x'), "a"}), "");
  EXPECT_EQ(message({"", ""}), "");
  EventStore numbers(at());
  numbers.observe({INT64_MAX, INT64_MIN});
  UserView v;
  EXPECT_TRUE(numbers.read_user(INT64_MAX, v));
  EXPECT_FALSE(numbers.read_user("ann", v));
  EXPECT_EQ(store.counts().observed, 4u);
}

TEST(EventStore, HistoryAndSeenItemsAreBounded) {
  EventStoreOptions o = at();
  o.history_limit = 10;
  o.seen_limit = 20;
  EventStore store(o);
  for (int i = 0; i < 100; ++i) store.observe({"ann", std::to_string(i), "view", kNow - 1000 + i});
  UserView v;
  ASSERT_TRUE(store.read_user("ann", v));
  EXPECT_EQ(v.history.size(), 10u);
  EXPECT_EQ(v.history.front().time_ms, kNow - 910);
  ASSERT_EQ(v.seen.size(), 20u);
  for (const auto& s : v.seen) EXPECT_GE(s.last_ms, kNow - 920);
}

TEST(EventStore, AReturnTakesThePurchaseBack) {
  EventStore store(at());
  store.observe({"ann", "a", "purchase", kNow - 10});
  UserView v;
  store.read_user("ann", v);
  EXPECT_EQ(v.seen[0].purchases, 1);
  EXPECT_EQ(v.seen[0].last_purchase_ms, kNow - 10);
  store.observe({"ann", "a", "return", kNow - 5});
  store.read_user("ann", v);
  EXPECT_EQ(v.seen[0].purchases, 0);
  EXPECT_EQ(v.seen[0].last_purchase_ms, 0);
  EXPECT_EQ(v.seen[0].last_ms, kNow - 5);
}

TEST(EventStore, APurchaseOfANegativeValueIsAReturn) {
  EventStore store(at());
  const auto seen = [&] {
    UserView v;
    store.read_user("ann", v);
    return std::pair(v.seen.at(0).purchases, v.seen.at(0).last_purchase_ms);
  };
  store.observe({"ann", "a", "purchase", kNow - 10 * kMinute, 2});
  EXPECT_EQ(seen(), (std::pair<std::int32_t, std::int64_t>(1, kNow - 10 * kMinute)));
  store.observe({"ann", "a", "purchase", kNow - 5 * kMinute, -2});
  EXPECT_EQ(seen(), (std::pair<std::int32_t, std::int64_t>(0, 0)));
  EXPECT_EQ(session_of(store, "ann"), (std::vector<std::string>{"a"}));
  EXPECT_NEAR(trending_of(store).at("a"), 5.0, 5e-2) << "giving back is no demand";
  store.observe({"ann", "b", "purchase", kNow - 4 * kMinute, -1});
  store.observe({"ann", "c", "purchase", kNow - 3 * kMinute, 1});
  EXPECT_EQ(together_with(store, "c"), (std::map<std::string, float>{{"a", 1.0f}})) << "what was given back is bought together with nothing";
  // Late: the return before the purchase takes nothing back.
  store.observe({"ann", "a", "purchase", kNow - 20 * kMinute, -1});
  EXPECT_EQ(seen().first, 0);
  store.observe({"ann", "a", "purchase", kNow - 30 * kMinute, 1});
  EXPECT_EQ(seen().first, 0) << "bought, given back, bought, given back";
  store.erase_user("ann");
  for (const auto& [item, value] : trending_of(store)) EXPECT_EQ(value, 0) << item;
  EXPECT_TRUE(together_with(store, "c").empty());
}

TEST(EventStore, TrendingIsTheDecayedSum) {
  EventStoreOptions o = at();
  o.trending_half_life_hours = 2;
  o.trending_size = 7;
  EventStore store(o);
  std::mt19937 rng(5);
  std::map<std::string, double> expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string item = std::to_string(rng() % 40 % (1 + rng() % 40));
    const auto age = static_cast<std::int64_t>(rng() % (20 * kHour));
    const bool bought = rng() % 4 == 0;
    store.observe({named("u", i % 13), item, bought ? "purchase" : "view", kNow - age});
    expected[item] += (bought ? 5.0 : 1.0) * std::exp2(-static_cast<double>(age) / (2.0 * kHour));
  }
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [item, value] : expected) order.emplace_back(-value, item);
  std::sort(order.begin(), order.end());
  const auto found = trending_of(store);
  ASSERT_EQ(found.size(), 7u);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_NEAR(found.at(order[i].second), -order[i].first, 1e-3 * -order[i].first) << i;
}

TEST(EventStore, CountsWhatIsBoughtTogether) {
  EventStore store(at());
  for (const auto* user : {"ann", "bob"}) {
    store.observe({user, "pan", "purchase", kNow - 3 * kHour});
    store.observe({user, "lid", "purchase", kNow - 2 * kHour});
    store.observe({user, "spoon", "view", kNow - kHour});
  }
  store.observe({"ann", "pan", "purchase", kNow - kHour});  // again within the window: counted already
  store.observe({"bob", "salt", "purchase", kNow - 90 * kHour});
  EXPECT_EQ(together_with(store, "pan"), (std::map<std::string, float>{{"lid", 2.0f}}));
  EXPECT_EQ(together_with(store, "lid"), (std::map<std::string, float>{{"pan", 2.0f}}));
  EXPECT_TRUE(together_with(store, "salt").empty());
  EXPECT_TRUE(together_with(store, "never seen").empty());
}

TEST(EventStore, AVisitorWhoLogsInKeepsHisVisit) {
  EventStore store(at());
  store.observe({"ann", "a", "view", kNow - 10});
  store.observe({"ann", "c", "purchase", kNow - 6});
  store.observe({"visitor", "b", "view", kNow - 8});
  store.observe({"visitor", "c", "view", kNow - 4});
  store.merge_users("visitor", "ann");
  EXPECT_EQ(history_of(store, "ann"), (std::vector<std::string>{"a", "b", "c", "c"}));
  EXPECT_TRUE(history_of(store, "visitor").empty());
  UserView v;
  store.read_user("ann", v);
  ASSERT_EQ(v.seen.size(), 3u);
  EXPECT_EQ(v.seen[static_cast<std::size_t>(store.find_item("c"))].purchases, 1);
  store.merge_users("nobody", "ann");
  store.merge_users("ann", "ann");
  EXPECT_EQ(history_of(store, "ann").size(), 4u);
  store.observe({"visitor", "z"});
  EXPECT_EQ(history_of(store, "visitor"), (std::vector<std::string>{"z"}));
  store.merge_users("visitor", "a new customer");
  EXPECT_EQ(history_of(store, "a new customer"), (std::vector<std::string>{"z"}));
}

TEST(EventStore, ErasureLeavesNoTraceInMemoryOrOnDisk) {
  const TempDir dir;
  const std::string secret = "ann.smith@example.org";
  {
    EventStore store(dir.path(), at());
    EventStore without(at());
    for (int i = 0; i < 40; ++i) {
      const std::string item = named("i", i % 7);
      const char* type = i % 3 == 0 ? "purchase" : "view";
      for (EventStore* s : {&store, &without}) s->observe({"bob", item, type, kNow - 1000 + i});
      store.observe({secret, named("i", i % 5), type, kNow - 1000 + i});
    }
    store.observe({secret, "only theirs", "purchase", kNow});
    EXPECT_EQ(store.erased_ms(secret), 0);
    store.erase_user(secret);
    EXPECT_EQ(store.erased_ms(secret), kNow);
    UserView v;
    EXPECT_FALSE(store.read_user(secret, v));
    for (const auto& [item, value] : trending_of(without)) EXPECT_NEAR(trending_of(store).at(item), value, 1e-3 * value) << item;
    EXPECT_EQ(trending_of(store).size(), trending_of(without).size());
    for (int i = 0; i < 7; ++i)
      EXPECT_EQ(together_with(store, named("i", i)), together_with(without, named("i", i))) << i;
    store.compact();
  }
  for (const auto& e : std::filesystem::directory_iterator(dir.path())) {
    const auto bytes = testing::read_bytes(e.path());
    EXPECT_EQ(std::string_view(bytes.data(), bytes.size()).find(secret), std::string_view::npos) << e.path();
  }
  EventStore store(dir.path(), at());
  EXPECT_EQ(store.erased_ms(secret), kNow);
  store.observe({secret, "back again"});
  EXPECT_EQ(history_of(store, secret), (std::vector<std::string>{"back again"}));
}

/// A day of everything that can happen.
void live_a_day(EventStore& store, unsigned seed, int events) {
  std::mt19937 rng(seed);
  for (int i = 0; i < events; ++i) {
    const std::string user = named("u", rng() % 50);
    const std::string item = named("i", rng() % 60);
    constexpr std::string_view types[] = {"view", "view", "cart", "purchase", "return"};
    store.observe({user, item, types[rng() % 5], kNow - static_cast<std::int64_t>(rng() % (48 * kHour)), static_cast<float>(1 + rng() % 3)});
    if (rng() % 100 == 0) store.merge_users(user, named("u", rng() % 50));
    if (rng() % 150 == 0) store.erase_user(named("u", rng() % 50));
  }
}

TEST(EventStore, ARecoveredStoreIsTheOneThatWasThere) {
  for (const bool compacted : {false, true}) {
    const TempDir dir;
    EventStoreOptions o = at();
    o.history_limit = 30;
    o.journal.segment_bytes = 8192;
    std::string before;
    {
      EventStore store(dir.path(), o);
      live_a_day(store, 1, 2000);
      if (compacted) store.compact();
      live_a_day(store, 2, 500);
      before = everything(store);
    }
    EventStore store(dir.path(), o);
    EXPECT_EQ(everything(store), before) << compacted;
    EXPECT_EQ(store.recovery()->cut_reason, "");
  }
}

TEST(EventStore, CompactsByItself) {
  const TempDir dir;
  EventStoreOptions o = at();
  o.journal.segment_bytes = 4096;
  o.journal.interval_ms = 1;
  o.compact_bytes = 30000;
  {
    EventStore store(dir.path(), o);
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (int i = 0; store.counts().compactions < 3 && std::chrono::steady_clock::now() < patience; ++i) {
      store.observe({named("u", i % 10), named("i", i % 10), "view", kNow - 100'000'000 + i});
      if (i % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_GE(store.counts().compactions, 3u) << store.failure();
  }
  const EventStore store(dir.path(), o);
  EXPECT_EQ(store.recovery()->cut_reason, "");
}

TEST(EventStore, AnotherHalfLifeIsTakenUp) {
  const TempDir dir;
  EventStoreOptions o = at();
  {
    EventStore store(dir.path(), o);
    store.observe({"ann", "a", "purchase", kNow});
    store.observe({"ann", "b", "view", kNow});
    store.compact();
  }
  o.trending_half_life_hours = 1;
  o.event_types = {{"view", 1, 1, false, false}};  // purchases are unknown now and do no harm
  const EventStore store(dir.path(), o);
  EXPECT_NEAR(trending_of(store).at("a"), 5.0f, 1e-4);
  UserView v;
  ASSERT_TRUE(store.read_user("ann", v));
  EXPECT_EQ(v.history.size(), 2u);
  EXPECT_EQ(v.history[0].taste, 0.0f);
}

TEST(EventStore, ManyThreadsObserveReadMergeAndErase) {
  const TempDir dir;
  EventStoreOptions o;
  o.journal.interval_ms = 1;
  o.journal.segment_bytes = 65536;
  o.compact_bytes = 200'000;
  std::uint64_t last = 0;
  {
    EventStore store(dir.path(), o);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        std::mt19937 rng(t);
        UserView v;
        std::vector<std::pair<std::int32_t, float>> top(20);
        for (int i = 0; i < 2000; ++i) {
          const std::string user = named(t == 0 ? "t0u" : t == 1 ? "t1u" : t == 2 ? "t2u" : "t3u", rng() % 20);
          const std::string item = named("i", rng() % 500);
          store.observe({user, item, rng() % 3 == 0 ? "purchase" : "view"});
          ASSERT_TRUE(store.read_user(user, v));
          Key key;
          ASSERT_TRUE(store.item_key(v.history.back().item, key));
          ASSERT_EQ(std::get<std::string>(key), item);
          store.trending(top);
          store.bought_together(store.find_item(item), top);
          if (rng() % 64 == 0) store.merge_users(user, named("shared", rng() % 5));
          if (rng() % 64 == 0) store.erase_user(named("shared", rng() % 5));
        }
      });
    for (auto& t : threads) t.join();
    EXPECT_EQ(store.counts().observed, 8000u);
    store.sync();
    last = store.last_sequence();
    EXPECT_EQ(store.durable_through(), last);
  }
  const EventStore store(dir.path(), o);
  EXPECT_EQ(store.last_sequence(), last);
}

TEST(EventStore, SavesWhileKeysAreBeingGiven) {
  EventStore store(at());
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t i = 0; i < 15'000 && !stop.load(std::memory_order_relaxed); ++i) {
        const std::string name = std::to_string(t) + "-" + std::to_string(i);
        store.observe({"u" + name, "i" + name, "purchase", kNow - i % 1000});
        if (i % 7 == 0) store.erase_user("u" + name);
      }
    });
  for (int round = 0; round < 6; ++round) {
    const std::vector<char> bytes = save_state_to_memory("Store", [&](StateWriter& w) { store.save_state(w); });
    EventStore loaded(at());
    loaded.load_state(StateFile::from_memory(bytes).reader());
    Key key;
    UserView v;
    for (std::int32_t item = 0; item < loaded.num_items(); ++item) ASSERT_TRUE(loaded.item_key(item, key));
    for (std::int32_t user = 0; user < loaded.num_users(); ++user) {
      ASSERT_TRUE(loaded.user_key(user, key));
      ASSERT_TRUE(loaded.read_user(view_of(key), v));
      for (const auto& p : v.history) {
        Key item;
        ASSERT_TRUE(loaded.item_key(p.item, item));
        ASSERT_EQ(text_of(view_of(item)).substr(1), text_of(view_of(key)).substr(1)) << "each buys the product of their own name";
      }
    }
  }
  stop.store(true);
  for (auto& t : threads) t.join();
}

TEST(EventStore, OptionsAreChecked) {
  const auto rejects = [](auto&& change) {
    EventStoreOptions o;
    change(o);
    EXPECT_THROW(o.validate(), std::invalid_argument);
  };
  rejects([](auto& o) { o.event_types.clear(); });
  rejects([](auto& o) { o.event_types.push_back({"view"}); });
  rejects([](auto& o) { o.event_types[0].trending = -1; });
  rejects([](auto& o) { o.session_idle_minutes = 0; });
  rejects([](auto& o) { o.history_limit = 0; });
  rejects([](auto& o) { o.seen_limit = 0; });
  rejects([](auto& o) { o.trending_half_life_hours = 0; });
  rejects([](auto& o) { o.trending_size = 0; });
  rejects([](auto& o) { o.co_purchase_hours = 0; });
  rejects([](auto& o) { o.co_purchase_limit = 0; });
  rejects([](auto& o) { o.max_future_seconds = -1; });
  rejects([](auto& o) { o.journal.interval_ms = 0; });
}

}  // namespace
}  // namespace etalage
