// SPDX-License-Identifier: Apache-2.0
// What an event store keeps for long: whom it forgets, what a refusal leaves behind, what types of events mean later.
#include <gtest/gtest.h>
#include <pthread.h>

#include <chrono>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "etalage/error.hpp"
#include "etalage/serving/event_store.hpp"
#include "io/tiny_model.hpp"
#include "serving/events/event_codec.hpp"
#include "serving/fake_files.hpp"
#include "serving/events/growing_ids.hpp"
#include "serving/journal_sample.hpp"
#include "serving/store_time.hpp"
#include "serving/store_views.hpp"
#include "support/golden.hpp"

namespace etalage {
namespace {

using namespace test;
using namespace testing;

struct Clock {
  std::int64_t now = kNow;
};

EventStoreOptions options(const std::shared_ptr<Clock>& clock = std::make_shared<Clock>()) {
  EventStoreOptions o;
  o.now_ms = [clock] { return clock->now; };
  o.journal.durability = Durability::kNone;
  return o;
}

bool knows(const EventStore& store, KeyView user) {
  UserView v;
  return store.read_user(user, v);
}

int purchases_of(const EventStore& store, KeyView user) {
  UserView v;
  store.read_user(user, v);
  int n = 0;
  for (const auto& s : v.seen) n += s.purchases;
  return n;
}

// ---- Refused, nothing stored ----

TEST(EventStoreRefusals, LeaveNoKeyAndNoKindOfKey) {
  const auto refuse = [](EventStore& store, const Event& e) { EXPECT_THROW(store.observe(e), std::invalid_argument); };
  const std::string too_long(1025, 'x');
  for (int which = 0; which < 6; ++which) {
    EventStore store(options());
    switch (which) {
      case 0: refuse(store, {too_long, 7}); break;
      case 1: refuse(store, {"ann", too_long}); break;
      case 2: refuse(store, {"ann", 7, "wave"}); break;
      case 3: refuse(store, {"ann", 7, "view", kNow + kHour}); break;
      case 4: refuse(store, {"ann", 7, "view", kNow, std::numeric_limits<float>::infinity()}); break;
      default: EXPECT_THROW(store.merge_users("nobody", too_long), std::invalid_argument);
    }
    EXPECT_EQ(store.num_items(), 0) << which;
    EXPECT_EQ(store.num_users(), 0) << which;
    EXPECT_EQ(store.last_sequence(), 0u) << which;
    // Keys of any kind are as welcome as before.
    EXPECT_EQ(store.observe({7, "a string"}), 1u) << which;
  }
  EventStore store(options());
  store.observe({"ann", 1});
  refuse(store, {5, 2});
  refuse(store, {"bob", "x"});
  EXPECT_EQ(store.find_item(2), -1);
  EXPECT_FALSE(knows(store, "bob"));
  EXPECT_EQ(store.num_items(), 1);
  EXPECT_EQ(store.num_users(), 1);
}

/// What a call says when the disk is full: the number of the event that it took, or 0.
template <class Call>
std::uint64_t pending_of(Call&& call) {
  try {
    call();
  } catch (const JournalWriteError& e) {
    EXPECT_EQ(e.code(), std::errc::no_space_on_device);
    const std::string said = e.what();
    EXPECT_NE(said.find(e.pending() == 0 ? "nothing of it is stored" : "event " + std::to_string(e.pending()) + " is accepted"), std::string::npos) << said;
    return e.pending();
  }
  ADD_FAILURE() << "a full disk took an event";
  return 0;
}

TEST(EventStoreRefusals, AFullDiskRefusesForGoodOrSaysTheNumber) {
  const auto disk = std::make_shared<FakeDisk>();
  EventStoreOptions o = options();
  o.journal.files = disk;
  o.journal.durability = Durability::kEveryEvent;
  {
    EventStore store("/", o);
    store.observe({"ann", "a", "view", kNow - 9});
    disk->shrink_to_used();
    EXPECT_EQ(pending_of([&] { store.observe({"bob", "b", "purchase"}); }), 2u);
    EXPECT_TRUE(knows(store, "bob"));
    EXPECT_EQ(store.durable_through(), 1u);
    // From here on nothing is taken, whatever it is.
    EXPECT_EQ(pending_of([&] { store.observe({"cat", "c", "purchase"}); }), 0u);
    EXPECT_EQ(pending_of([&] { store.merge_users("bob", "dan"); }), 0u);
    EXPECT_EQ(pending_of([&] { store.erase_user("ann"); }), 0u);
    for (const char* user : {"cat", "dan"}) EXPECT_FALSE(knows(store, user)) << user;
    EXPECT_TRUE(knows(store, "ann"));
    EXPECT_EQ(store.erased_ms("ann"), 0);
    EXPECT_EQ(store.find_item("c"), -1);
    EXPECT_EQ(store.num_users(), 2);
    EXPECT_EQ(store.last_sequence(), 2u);
    disk->set_capacity(std::size_t{1} << 30);
    EXPECT_EQ(store.observe({"cat", "c", "purchase"}), 3u);
    EXPECT_EQ(store.durable_through(), 3u) << "the pending one went with it";
  }
  const EventStore store("/", o);
  EXPECT_EQ(purchases_of(store, "bob"), 1);
  EXPECT_EQ(purchases_of(store, "cat"), 1);
  EXPECT_EQ(store.last_sequence(), 3u);
}

TEST(EventStoreRefusals, TheFirstKeysOfAllOnAFullDiskLeaveTheirKindOpen) {
  const auto disk = std::make_shared<FakeDisk>();
  EventStoreOptions o = options();
  o.journal.files = disk;
  o.journal.durability = Durability::kInterval;
  o.journal.interval_ms = 3'600'000;
  EventStore store("/", o);
  disk->shrink_to_used();
  EXPECT_EQ(store.observe({1, 1}), 1u);  // waits in memory
  EXPECT_THROW(store.sync(), std::filesystem::filesystem_error);
  EXPECT_EQ(pending_of([&] { store.observe({2, 2}); }), 0u);
  EXPECT_EQ(store.num_items(), 1);
}

// ---- Event types ----

void three_days(EventStore& store) {
  for (int i = 0; i < 60; ++i)
    store.observe({named("u", i % 6), named("i", (i * 7) % 10), i % 3 == 0 ? "purchase" : i % 7 == 0 ? "return" : "view", kNow - 3 * kDay + i * kHour});
}

TEST(EventTypes, OtherTypesAndACompactionLoseNothing) {
  const TempDir dir;
  std::map<std::string, float> trending;
  std::map<std::string, float> together;
  std::vector<int> purchases;
  const auto look = [&](const EventStore& store, bool expect) {
    std::vector<int> found;
    for (int u = 0; u < 6; ++u) found.push_back(purchases_of(store, named("u", u)));
    if (!expect) {
      trending = trending_of(store);
      together = together_with(store, "i1");
      purchases = found;
      return;
    }
    EXPECT_EQ(trending_of(store), trending);
    EXPECT_EQ(together_with(store, "i1"), together);
    EXPECT_EQ(found, purchases);
  };
  {
    EventStore store(dir.path(), options());
    three_days(store);
    look(store, false);
    ASSERT_FALSE(together.empty());
    ASSERT_GT(purchases[0], 0);
  }
  EventStoreOptions others = options();
  others.event_types = {{"view", 2, 7, false, false}, {"purchase", 1, 0, false, false}};
  for (int round = 0; round < 2; ++round) {
    EventStore store(dir.path(), others);
    look(store, true);
    EXPECT_THROW(store.observe({"u1", "i1", "return"}), std::invalid_argument);
    store.compact();
    look(store, true);
  }
  {
    const EventStore store(dir.path(), options());
    look(store, true);
  }
}

TEST(EventTypes, AnEventIsTakenBackAsItWasCounted) {
  const TempDir dir;
  {
    EventStore store(dir.path(), options());
    store.observe({"ann", "a", "purchase", kNow - 10});
    store.observe({"ann", "b", "purchase", kNow - 9});
    store.observe({"bob", "a", "view", kNow - 8});
  }
  EventStoreOptions others = options();
  others.event_types = {{"view", 1, 3, false, false}, {"purchase", 5, 100, false, false}};
  for (const bool compacted : {false, true}) {
    const TempDir copy;
    std::filesystem::copy(dir.path(), copy / "j", std::filesystem::copy_options::recursive);
    EventStore store(copy / "j", others);
    if (compacted) store.compact();
    store.observe({"ann", "c", "view", kNow - 7});
    EXPECT_NEAR(trending_of(store).at("c"), 3, 1e-3) << "the new meaning holds for what comes";
    UserView v;
    ASSERT_TRUE(store.read_user("ann", v));
    EXPECT_EQ(v.history[0].type, 1) << "under the name that it has among the options";
    EXPECT_EQ(v.history[0].taste, 5.0f);
    store.erase_user("ann");
    const auto left = trending_of(store);
    EXPECT_EQ(left.size(), 1u);
    EXPECT_NEAR(left.at("a"), 1, 1e-3);
    EXPECT_TRUE(together_with(store, "a").empty());
  }
}

TEST(EventTypes, AJournalOfSeveralSegmentsAnswersAsItDidAndSaysWhatItsTypesMean) {
  const TempDir dir;
  std::filesystem::copy(test::golden("JournalLog"), dir / "j", std::filesystem::copy_options::recursive);
  EventStoreOptions missing = testing::log_sample_options();
  missing.event_types.pop_back();
  for (int life = 0; life < 3; ++life) {
    EventStore store(dir / "j", testing::log_sample_options());
    const std::vector<double> found = testing::store_answers(store);
    test::expect_answers("JournalLog", found, 1e-5);
    EXPECT_GT(found.size(), 500u);
    if (life == 1) store.compact();
  }
  const EventStore store(dir / "j", missing);
  EXPECT_EQ(store.recovery()->cut_reason, "");
}

TEST(EventTypes, ARecordOfAKindThatIsNotKnownIsRefused) {
  const TempDir dir;
  {
    Journal j(dir.path(), {}, {});
    serving::ByteWriter w;
    w.put(std::uint8_t{200});
    j.append(w.bytes());
  }
  EXPECT_THROW(EventStore(dir.path(), options()), FormatError);
}

// ---- Limits ----

TEST(EventStoreLimits, IdleVisitorsAreForgottenAndCustomersAreNot) {
  const auto clock = std::make_shared<Clock>();
  EventStoreOptions o = options(clock);
  o.visitor_idle_days = 10;
  EventStore store(o);
  store.observe({"buyer", "a", "purchase", kNow - 5});
  store.observe({"cookie", "b"});
  store.observe({"visitor", "c"});
  store.merge_users("cookie", "member");
  for (int i = 0; i < 3000; ++i) store.observe({named("v", i), "a"});
  clock->now += 11 * kDay;
  for (int i = 0; i < 3000; ++i) store.observe({named("w", i), "a"});
  clock->now += kHour;
  for (int i = 0; i < 3000; ++i) store.observe({named("w", i), "a"});
  int left = 0;
  for (int i = 0; i < 3000; ++i) left += knows(store, named("v", i));
  EXPECT_EQ(left, 0);
  EXPECT_FALSE(knows(store, "visitor"));
  EXPECT_TRUE(knows(store, "buyer"));
  EXPECT_TRUE(knows(store, "member"));
  EXPECT_EQ(store.counts().forgotten, 3001u);
  EXPECT_EQ(store.counts().shoppers, 3002);
  EXPECT_NEAR(trending_of(store).at("a"), 3000 + 3000 * std::exp2(-1.0 / 24) + 3005 * std::exp2(-265.0 / 24), 1) << "what they did is counted";
}

TEST(EventStoreLimits, TheCapForgetsTheOldestVisitorsFirst) {
  EventStoreOptions o = options();
  o.max_shoppers = 100;
  EventStore store(o);
  for (int i = 0; i < 50; ++i) store.observe({named("c", i), "a", "purchase"});
  for (int i = 0; i < 80; ++i) store.observe({named("v", i), "a"});
  EXPECT_EQ(store.counts().shoppers, 100);
  for (int i = 0; i < 80; ++i) EXPECT_EQ(knows(store, named("v", i)), i >= 30) << i;
  store.observe({"v30", "b"});  // not the oldest any more
  store.observe({"fresh", "b"});
  EXPECT_TRUE(knows(store, "v30"));
  EXPECT_FALSE(knows(store, "v31"));
  for (int i = 50; i < 150; ++i) store.observe({named("c", i), "a", "purchase"});
  EXPECT_EQ(store.counts().shoppers, 100);
  for (int i = 0; i < 150; ++i) EXPECT_EQ(knows(store, named("c", i)), i >= 50) << i;
}

TEST(EventStoreLimits, TheCapOfBytesHolds) {
  EventStoreOptions o = options();
  o.max_shopper_bytes = 200'000;
  EventStore store(o);
  for (int i = 0; i < 20'000; ++i) store.observe({named("v", i % 5000), named("i", i % 300)});
  EXPECT_LE(store.counts().shopper_bytes, 200'000);
  EXPECT_GT(store.counts().shopper_bytes, 190'000);
  EXPECT_TRUE(knows(store, "v4999"));
  EXPECT_FALSE(knows(store, "v0"));
}

TEST(EventStoreLimits, APrefixSaysWhoIsAVisitor) {
  EventStoreOptions o = options();
  o.max_shoppers = 2;
  o.visitor_prefix = "anon:";
  EventStore store(o);
  store.observe({"ann", "a"});
  store.observe({"anon:1", "a", "purchase"});
  store.observe({"anon:2", "a"});
  EXPECT_TRUE(knows(store, "ann"));
  EXPECT_FALSE(knows(store, "anon:1"));
}

TEST(EventStoreLimits, RecoveryAgreesUnderWhateverLimits) {
  const TempDir dir;
  const auto clock = std::make_shared<Clock>();
  EventStoreOptions o = options(clock);
  o.max_shoppers = 40;
  o.journal.segment_bytes = 8192;
  std::set<int> known;
  std::map<std::string, float> trending;
  {
    EventStore store(dir.path(), o);
    std::mt19937 rng(4);
    for (int i = 0; i < 1500; ++i) {
      clock->now += 1000;
      store.observe({named("v", rng() % 200), named("i", rng() % 30), rng() % 9 == 0 ? "purchase" : "view"});
      if (i == 700) store.compact();
    }
    for (int v = 0; v < 200; ++v)
      if (knows(store, named("v", v))) known.insert(v);
    trending = trending_of(store);
  }
  EXPECT_EQ(known.size(), 40u);
  o.max_shoppers = 0;
  for (int life = 0; life < 2; ++life) {
    EventStore store(dir.path(), o);
    for (int v = 0; v < 200; ++v) ASSERT_EQ(knows(store, named("v", v)), known.contains(v)) << v;
    for (const auto& [item, count] : trending) EXPECT_NEAR(trending_of(store).at(item), count, 1e-4 * count);
    store.compact();
  }
  o.max_shoppers = 10;
  const EventStore store(dir.path(), o);
  EXPECT_EQ(store.counts().shoppers, 10) << "a lower limit holds at once";
}

TEST(EventStoreLimits, MemoryIsFlatOverManyVisitors) {
  const auto clock = std::make_shared<Clock>();
  EventStoreOptions o = options(clock);
  o.max_shoppers = 500;
  o.max_erased = 100;
  EventStore store(o);
  for (int i = 0; i < 60'000; ++i) {
    store.observe({named("cookie ", i), named("i", i % 50), i % 20 == 0 ? "purchase" : "view"});
    if (i % 7 == 0) store.erase_user(named("cookie ", i - 3));
  }
  EXPECT_LE(store.counts().shoppers, 500);
  EXPECT_LE(store.num_users(), 510) << "indices are given again";
  EXPECT_LE(store.counts().shopper_bytes, 500 * 400);
}

TEST(EventStoreLimits, ErasedKeysBeyondTheLimitStandForEverybody) {
  const auto clock = std::make_shared<Clock>();
  EventStoreOptions o = options(clock);
  o.max_erased = 3;
  const TempDir dir;
  {
    EventStore store(dir.path(), o);
    for (int i = 0; i < 5; ++i) {
      clock->now = kNow + i;
      store.erase_user(named("u", i));
    }
    for (int life = 0; life < 2; ++life) {
      EXPECT_EQ(store.erased_ms("u4"), kNow + 4);
      EXPECT_EQ(store.erased_ms("u2"), kNow + 2);
      EXPECT_EQ(store.erased_ms("u0"), kNow + 1);
      EXPECT_EQ(store.erased_ms("never erased"), kNow + 1) << "a model of before then may know the one whose mark is gone";
      store.compact();
    }
  }
  const EventStore store(dir.path(), o);
  EXPECT_EQ(store.erased_ms("u2"), kNow + 2);
  EXPECT_EQ(store.erased_ms("never erased"), kNow + 1);
}

TEST(EventStoreLimits, AnItemBeyondTheLimitIsRefused) {
  const TempDir dir;
  EventStoreOptions o = options();
  o.max_items = 3;
  {
    EventStore store(dir.path(), o);
    for (int i = 0; i < 3; ++i) store.observe({"ann", named("i", i)});
    EXPECT_THROW(store.observe({"bob", "i3"}), std::invalid_argument);
    EXPECT_FALSE(knows(store, "bob"));
    EXPECT_EQ(store.observe({"bob", "i2"}), 4u);
  }
  o.max_items = 1;  // what was taken stays
  const EventStore store(dir.path(), o);
  EXPECT_EQ(store.num_items(), 3);
}

TEST(EventStoreLimits, ACompactionDropsKeysOfItemsThatLeftNoTrace) {
  const TempDir dir;
  const auto clock = std::make_shared<Clock>();
  std::int64_t& now = clock->now;
  EventStoreOptions o = options(clock);
  o.history_limit = 4;
  o.seen_limit = 4;
  o.compact_bytes = 0;
  {
    EventStore store(dir.path(), o);
    for (int i = 0; i < 3000; ++i) store.observe({named("u", i % 7), named("typo", i), "view", now - i % 100});
    store.set_price("priced", 3.5f);
    store.set_available("gone", false);
    store.observe({"buyer", "pan", "purchase", now - 2});
    store.observe({"buyer", "lid", "purchase", now - 1});
    now += 60 * 24 * kHour;  // what trended then is nothing now
    for (int i = 0; i < 4; ++i) store.observe({"u1", named("new", i), "view", now});
    EXPECT_EQ(store.num_items(), 3008);
    store.compact();
  }
  EventStore store(dir.path(), o);
  EXPECT_LE(store.num_items(), 8 + 7 * (4 + 4));  // histories, and what is remembered as seen
  for (const char* item : {"priced", "gone", "pan", "lid", "new0", "new3"}) EXPECT_GE(store.find_item(item), 0) << item;
  EXPECT_EQ(store.find_item("typo0"), -1);
  EXPECT_EQ(store.offer("priced").price, 3.5f);
  EXPECT_EQ(together_with(store, "pan"), (std::map<std::string, float>{{"lid", 1.0f}}));
  UserView v;
  ASSERT_TRUE(store.read_user("u2", v));
  EXPECT_EQ(v.history.size(), 4u);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they need the address space themselves
TEST(EventStoreLimits, ACompactionWhoseThreadCannotStartIsToldAndComesLater) {
  const TempDir dir;
  EventStoreOptions o = options();
  o.compact_bytes = 20'000;
  EventStore store(dir.path(), o);
  pthread_attr_t usual, huge;
  ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(::pthread_attr_init(&huge), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&huge, std::size_t{1} << 47), 0);
  // Threads whose stacks no machine has: none can be made.
  const bool impossible = ::pthread_setattr_default_np(&huge) == 0;
  std::int64_t n = 0;
  const auto observe = [&](int times) {
    for (int i = 0; i < times; ++i, ++n) store.observe({named("u", n % 10), named("i", n % 10), "view", kNow - 1'000'000 + n});
    store.sync();
  };
  if (impossible) {
    observe(600);
    observe(1);  // what is on disk now is noticed by the next event
    EXPECT_NE(store.failure().find("compaction"), std::string::npos) << store.failure();
    EXPECT_EQ(store.counts().compactions, 0u);
  }
  ASSERT_EQ(::pthread_setattr_default_np(&usual), 0);
  for (int round = 0; round < 200 && store.counts().compactions == 0; ++round) {
    observe(50);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_GT(store.counts().compactions, 0u) << "the one that failed holds later ones up: " << store.failure();
  ::pthread_attr_destroy(&huge);
  ::pthread_attr_destroy(&usual);
}
#endif

TEST(GrowingIds, GivesIndicesAgainAndFindsEveryKey) {
  serving::GrowingIds ids("key");
  std::map<std::string, std::int32_t> model;
  std::mt19937 rng(1);
  for (int i = 0; i < 50'000; ++i) {
    const std::string key = named("k", rng() % 400);
    const auto at = model.find(key);
    if (rng() % 2 == 0) {
      const std::int32_t index = ids.intern(key);
      if (at != model.end()) {
        ASSERT_EQ(index, at->second);
      }
      model[key] = index;
    } else if (at != model.end()) {
      ids.erase(at->second);
      model.erase(at);
    }
    ASSERT_EQ(ids.count(), static_cast<std::int32_t>(model.size()));
  }
  EXPECT_LE(ids.size(), 400);
  for (int k = 0; k < 400; ++k) {
    const auto at = model.find(named("k", k));
    EXPECT_EQ(ids.find(named("k", k)), at == model.end() ? -1 : at->second);
    Key key;
    if (at == model.end()) continue;
    ASSERT_TRUE(ids.key_at(at->second, key));
    EXPECT_EQ(std::get<std::string>(key), named("k", k));
  }
}

}  // namespace
}  // namespace etalage
