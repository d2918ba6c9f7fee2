// SPDX-License-Identifier: Apache-2.0
// What an event store counts: trending products and products bought together, after any order of what can happen.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "etalage/serving/event_store.hpp"
#include "io/tiny_model.hpp"
#include "serving/events/live_counters.hpp"
#include "serving/store_time.hpp"
#include "serving/store_views.hpp"

namespace etalage {
namespace {

using namespace test;
using namespace testing;

EventStoreOptions options() {
  EventStoreOptions o;
  o.now_ms = [] { return kNow; };
  o.journal.durability = Durability::kNone;
  return o;
}

TEST(TrendingCounters, TheLeadersAreThoseOfAllCountersAfterAnyOrder) {
  constexpr double kHalf = 24.0 * kHour;
  std::mt19937 rng(9);
  for (int round = 0; round < 20; ++round) {
    const int num_items = round % 2 == 0 ? 90 : 4000;
    const int stride = round % 3 == 0 ? 32 : 1;  // all leaders in one shard
    serving::TrendingCounters counters(kHalf, 20);
    std::vector<std::vector<serving::TrendingCounters::Taken>> in(static_cast<std::size_t>(num_items));
    for (int step = 0; step < 4000; ++step) {
      const auto n = static_cast<std::size_t>(rng() % static_cast<unsigned>(num_items));
      auto& events = in[n];
      if (rng() % 5 < 3 || events.empty()) {
        const serving::TrendingCounters::Taken e{static_cast<std::int32_t>(n) * stride, static_cast<float>(1 + rng() % 5), kNow - static_cast<std::int64_t>(rng() % (9 * kDay))};
        counters.add(e.item, e.weight, e.time_ms);
        events.push_back(e);
      } else {
        counters.subtract(events);
        events.clear();
      }
      if (step % 50 != 0) continue;
      std::vector<double> expected;
      for (const auto& list : in) {
        double sum = 0;
        for (const auto& e : list) sum += e.weight * std::exp2(-static_cast<double>(kNow - e.time_ms) / kHalf);
        if (sum > 0) expected.push_back(sum);
      }
      std::sort(expected.rbegin(), expected.rend());
      std::vector<std::pair<std::int32_t, float>> top(20);
      top.resize(counters.top(kNow, top));
      // As many as half of the leaders may be missing at the end of the list, never one in the midst of it.
      ASSERT_GE(top.size(), std::min<std::size_t>(expected.size(), 10));
      for (std::size_t i = 0; i < top.size(); ++i) ASSERT_NEAR(top[i].second, expected[i], 1e-5 * expected[i]) << round << ", step " << step << ", place " << i;
    }
  }
}

TEST(TrendingCounters, WhatIsTooLittleToLowerACounterIsTakenBackToo) {
  // An event of a hundred half-lives ago drowns in one of today: the leaders stay as they are.
  serving::TrendingCounters counters(1000, 8);
  for (std::int32_t item = 0; item < 3; ++item) {
    counters.add(item, 1, 100'000);
    counters.add(item, 1, 200'000 - item);
  }
  std::vector<std::pair<std::int32_t, float>> before(8), after(8);
  before.resize(counters.top(200'000, before));
  for (const std::int32_t item : {0, 1, 2}) counters.subtract(std::vector<serving::TrendingCounters::Taken>{{item, 1, 100'000}});
  after.resize(counters.top(200'000, after));
  EXPECT_EQ(after.size(), 3u);
  EXPECT_EQ(after, before);
}

TEST(Counters, MergingAndErasingTakesNothingFromOthers) {
  EventStore store(options());
  for (int i = 0; i < 3; ++i) {
    for (const char* item : {"A", "B"}) store.observe({named("both", i), item, "purchase", kNow - 100 + i});
    store.observe({named("visitor", i), "A", "purchase", kNow - 50 + i});
    store.observe({named("customer", i), "B", "purchase", kNow - 40 + i});
  }
  ASSERT_EQ(together_with(store, "A").at("B"), 3.0f);
  for (int i = 0; i < 3; ++i) store.merge_users(named("visitor", i), named("customer", i));
  for (int i = 0; i < 3; ++i) store.erase_user(named("customer", i));
  EXPECT_EQ(together_with(store, "A").at("B"), 3.0f);
  EXPECT_EQ(together_with(store, "B").at("A"), 3.0f);
}

/// The rules in the plainest words: what an event was counted for is written beside it.
struct PlainShop {
  struct Past {
    std::int64_t time;
    std::string item, type;
    float value = 1;
    std::vector<std::string> partners = {};
    [[nodiscard]] bool buys() const { return type == "purchase" && value >= 0; }
  };
  std::size_t history_limit = 12;
  std::map<std::string, std::vector<Past>> shoppers;
  std::map<std::string, double> trending;
  std::map<std::pair<std::string, std::string>, int> pairs;

  static double weight(const Past& p) {
    const double w = p.type == "purchase" ? (p.value < 0 ? 0 : 5) : p.type == "cart" ? 3 : p.type == "view" ? 1 : 0;
    return w * std::exp2(-static_cast<double>(kNow - p.time) / (24.0 * kHour));
  }
  void count(const Past& p, int sign) {
    trending[p.item] += sign * weight(p);
    for (const std::string& other : p.partners) {
      pairs[{p.item, other}] += sign;
      pairs[{other, p.item}] += sign;
    }
  }
  void trim(std::vector<Past>& h) const {
    while (h.size() > history_limit) h.erase(h.begin());
  }
  void observe(const std::string& user, Past p) {
    auto& h = shoppers[user];
    for (const Past& q : h)
      if (q.time == p.time && q.item == p.item && q.type == p.type && q.value == p.value) return;
    if (p.buys()) {
      std::set<std::string> others;
      for (const Past& q : h)
        if (q.buys() && std::abs(q.time - p.time) <= 24 * kHour) others.insert(q.item);
      if (!others.contains(p.item)) p.partners.assign(others.begin(), others.end());
    }
    count(p, 1);
    h.insert(std::upper_bound(h.begin(), h.end(), p, [](const Past& a, const Past& b) { return a.time < b.time; }), p);
    trim(h);
  }
  void merge(const std::string& from, const std::string& to) {
    if (from == to || !shoppers.contains(from)) return;
    auto moved = shoppers[from];
    shoppers.erase(from);
    auto& h = shoppers[to];
    h.insert(h.end(), moved.begin(), moved.end());
    std::stable_sort(h.begin(), h.end(), [](const Past& a, const Past& b) { return a.time < b.time; });
    trim(h);
  }
  void erase(const std::string& user) {
    for (const Past& p : shoppers[user]) count(p, -1);
    shoppers.erase(user);
  }
};

TEST(Counters, EqualARecountAfterAnyOrderOfWhatCanHappen) {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    const TempDir dir;
    EventStoreOptions o = options();
    o.history_limit = 12;
    o.journal.segment_bytes = 4096;
    PlainShop plain;
    std::mt19937 rng(seed);
    auto store = std::make_unique<EventStore>(dir.path(), o);
    constexpr std::string_view types[] = {"view", "cart", "purchase", "purchase", "return"};
    for (int step = 0; step < 1200; ++step) {
      const std::string user = named("u", rng() % 12);
      const std::string other = named("u", rng() % 12);
      switch (rng() % 40) {
        case 0: store->merge_users(user, other); plain.merge(user, other); break;
        case 1: store->erase_user(user); plain.erase(user); break;
        case 2: if (rng() % 6 == 0) store->compact(); break;
        case 3:
          if (rng() % 6 == 0) {
            store.reset();
            store = std::make_unique<EventStore>(dir.path(), o);
          }
          break;
        default: {
          PlainShop::Past p{kNow - static_cast<std::int64_t>(rng() % (72 * 4)) * kHour / 4, named("i", rng() % 15), std::string(types[rng() % 5]),
                                rng() % 5 == 0 ? -1.0f : 1.0f};
          store->observe({user, p.item, p.type, p.time, p.value});
          plain.observe(user, p);
        }
      }
      if (step % 100 != 99) continue;
      const auto trending = trending_of(*store);
      for (const auto& [item, value] : plain.trending) {
        const auto at = trending.find(item);
        ASSERT_NEAR(at == trending.end() ? 0 : at->second, value, 1e-4) << "seed " << seed << ", step " << step << ", " << item;
      }
      for (int i = 0; i < 15; ++i) {
        std::map<std::string, float> expected;
        for (const auto& [pair, n] : plain.pairs)
          if (pair.first == named("i", i) && n != 0) expected[pair.second] = static_cast<float>(n);
        ASSERT_EQ(together_with(*store, named("i", i)), expected) << "seed " << seed << ", step " << step << ", item " << i;
      }
    }
  }
}

}  // namespace
}  // namespace etalage
