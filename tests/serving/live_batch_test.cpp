// SPDX-License-Identifier: Apache-2.0
// Random streams of events, out of order, told twice, returned, merged and erased, with compactions and reopenings between:
// what is live is what a log of the events that are left says in one go.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "etalage/core/recipe.hpp"
#include "etalage/profile/profiles.hpp"
#include "io/tiny_model.hpp"
#include "profile/profile_data.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage {
namespace {

using testing::kDay;
using testing::kStart;
using testing::TempDir;

struct Row {
  std::int64_t user, item;
  std::string type;
  std::int64_t time_ms;
  float value;
  [[nodiscard]] bool operator==(const Row&) const = default;
};

/// The events that are left, each shopper's in the order in which they came.
struct Plain {
  std::vector<Row> rows;
  void observe(const Row& row) {
    if (std::find(rows.begin(), rows.end(), row) == rows.end()) rows.push_back(row);
  }
  void merge(std::int64_t from, std::int64_t to) {
    if (from == to) return;
    const auto moved = std::stable_partition(rows.begin(), rows.end(), [&](const Row& r) { return r.user != from; });
    for (auto r = moved; r != rows.end(); ++r) r->user = to;
  }
  void erase(std::int64_t user) {
    std::erase_if(rows, [&](const Row& r) { return r.user == user; });
  }
  [[nodiscard]] std::vector<Row> of(std::int64_t user) const {
    std::vector<Row> out;
    std::copy_if(rows.begin(), rows.end(), std::back_inserter(out), [&](const Row& r) { return r.user == user; });
    std::stable_sort(out.begin(), out.end(), [](const Row& a, const Row& b) { return a.time_ms < b.time_ms; });
    return out;
  }
  [[nodiscard]] EventLog log(const std::shared_ptr<const Catalog>& catalog) const {
    EventLog::Columns c;
    std::vector<std::int32_t> users, items;
    std::vector<std::uint16_t> events;
    std::vector<std::int64_t> times, keys;
    std::vector<float> values;
    c.event_names = {"view", "cart", "purchase", "return"};
    for (const Row& r : rows) {
      auto at = std::find(keys.begin(), keys.end(), r.user);
      if (at == keys.end()) at = keys.insert(keys.end(), r.user);
      users.push_back(static_cast<std::int32_t>(at - keys.begin()));
      items.push_back(catalog->item_ids()->find(r.item));
      events.push_back(static_cast<std::uint16_t>(std::find(c.event_names.begin(), c.event_names.end(), r.type) - c.event_names.begin()));
      times.push_back(r.time_ms);
      values.push_back(r.value);
    }
    c.users = Array<std::int32_t>(users);
    c.items = Array<std::int32_t>(items);
    c.events = Array<std::uint16_t>(events);
    c.times_ms = Array<std::int64_t>(times);
    c.values = Array<float>(values);
    c.user_ids = std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys)));
    c.item_ids = catalog->item_ids();
    return EventLog(std::move(c));
  }
};

void expect_equal(const Engine& engine, const Plain& plain, const std::shared_ptr<const Catalog>& catalog, const std::string& where) {
  const EventLog log = plain.log(catalog);
  Profiles profiles(std::make_shared<const ItemFacts>(*catalog));
  profiles.add(log);
  const Recipe bought{.event_weights = {{"view", 0}, {"cart", 0}, {"purchase", 1}}, .return_event = "return", .return_cancels = {"purchase"},
                      .negative_values = NegativeValues::kCancel};
  const Interactions matrix = bought.interactions(log);
  const CsrView pairs = matrix.user_items().view();
  for (std::int64_t user = 0; user < 9; ++user) {
    const std::vector<Row> rows = plain.of(user);
    UserView view;
    ASSERT_EQ(engine.events().read_user(user, view), !rows.empty()) << where << ", shopper " << user;
    if (rows.empty()) continue;
    ASSERT_EQ(view.history.size(), rows.size()) << where << ", shopper " << user;
    Key key;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ASSERT_TRUE(engine.events().item_key(view.history[i].item, key));
      ASSERT_EQ(std::get<std::int64_t>(key), rows[i].item) << where << ", shopper " << user << ", event " << i;
      ASSERT_EQ(view.history[i].time_ms, rows[i].time_ms);
      ASSERT_EQ(view.history[i].value, rows[i].value);
    }
    const std::int32_t row = log.columns().user_ids->find(user);
    std::map<std::int64_t, std::int32_t> left, said;
    for (std::size_t p = 0; p < pairs.row_columns(row).size(); ++p)
      left[catalog->item_ids()->integer_at(pairs.row_columns(row)[p])] = static_cast<std::int32_t>(pairs.row_values(row)[p]);
    for (const UserView::Seen& s : view.seen) {
      if (s.purchases == 0) continue;
      ASSERT_TRUE(engine.events().item_key(s.item, key));
      said[std::get<std::int64_t>(key)] = s.purchases;
    }
    ASSERT_EQ(said, left) << where << ", shopper " << user;
    const UserProfile& batch = profiles.at(row);
    const UserProfile live = engine.profile(user).profile;
    ASSERT_EQ(std::memcmp(&live.counts(), &batch.counts(), sizeof(UserProfile::Counts)), 0) << where << ", shopper " << user;
    ASSERT_EQ(live.sums().money, batch.sums().money) << where << ", shopper " << user;
  }
}

TEST(LiveAndBatch, SayTheSameOfAnyStream) {
  const auto catalog = testing::small_catalog();
  const std::vector<std::string> types = {"view", "cart", "purchase", "purchase", "return"};
  for (unsigned seed = 1; seed <= 4; ++seed) {
    const TempDir dir;
    std::mt19937 rng(seed);
    std::int64_t now = kStart;
    EngineOptions options;
    options.events.now_ms = [&now] { return now; };
    options.events.history_limit = 4096;
    options.events.journal.segment_bytes = 4096;
    options.events.journal.durability = Durability::kNone;
    const auto open = [&] {
      auto engine = std::make_unique<Engine>(dir.path(), options);
      SnapshotParts parts;
      parts.catalog = catalog;
      engine->publish(std::make_shared<const Snapshot>(std::move(parts)));
      return engine;
    };
    auto engine = open();
    Plain plain;
    for (int step = 0; step < 700; ++step) {
      now += static_cast<std::int64_t>(rng() % 3) * kDay / 8;
      const std::int64_t user = rng() % 9;
      switch (rng() % 60) {
        case 0: {
          const std::int64_t to = rng() % 9;
          engine->merge_users(user, to);
          plain.merge(user, to);
          break;
        }
        case 1: engine->erase_user(user); plain.erase(user); break;
        case 2: engine->events().compact(); break;
        case 3: engine.reset(); engine = open(); break;
        default: {
          Row row{user, catalog->item_ids()->integer_at(static_cast<std::int32_t>(rng() % 8)), types[rng() % types.size()], now, 1};
          if (rng() % 3 == 0) row.time_ms -= static_cast<std::int64_t>(rng() % 40) * kDay / 8;  // late
          if (row.type == "purchase" && rng() % 5 == 0) row.value = -1;  // a return too
          for (int times = rng() % 4 == 0 ? 2 : 1; times > 0; --times) {  // told twice
            engine->observe({row.user, row.item, row.type, row.time_ms, row.value});
            plain.observe(row);
          }
        }
      }
      if (step % 70 == 69) expect_equal(*engine, plain, catalog, "seed " + std::to_string(seed) + ", step " + std::to_string(step));
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace etalage
