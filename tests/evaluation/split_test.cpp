// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/split.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "support/message_of.hpp"

namespace etalage {
namespace {

using test::message_of;

struct Row {
  std::int32_t user;
  std::int32_t item;
  std::int64_t time;
  std::uint16_t event = 0;
};

EventLog log_of(const std::vector<Row>& rows, bool times = true) {
  std::vector<std::int32_t> users, items;
  std::vector<std::int64_t> at;
  std::vector<std::uint16_t> events;
  std::int64_t num_users = 0;
  std::int64_t num_items = 0;
  for (const Row& r : rows) {
    users.push_back(r.user);
    items.push_back(r.item);
    at.push_back(r.time);
    events.push_back(r.event);
    num_users = std::max<std::int64_t>(num_users, r.user + 1);
    num_items = std::max<std::int64_t>(num_items, r.item + 1);
  }
  const auto ids = [](std::int64_t n) {
    std::vector<std::int64_t> keys;
    for (std::int64_t j = 0; j < n; ++j) keys.push_back(j);
    return std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys)));
  };
  EventLog::Columns c;
  c.users = Array<std::int32_t>(users);
  c.items = Array<std::int32_t>(items);
  c.events = Array<std::uint16_t>(events);
  if (times) c.times_ms = Array<std::int64_t>(at);
  c.event_names = {"view", "purchase"};
  c.user_ids = ids(num_users);
  c.item_ids = ids(num_items);
  return EventLog(c);
}

using Pairs = std::vector<std::pair<std::int32_t, std::int32_t>>;
Pairs pairs(const EventLog& log) {
  Pairs p;
  for (std::size_t r = 0; r < log.columns().users.size(); ++r) p.emplace_back(log.columns().users[r], log.columns().items[r]);
  return p;
}

// User 0: 1, 2, 1, 3, 2 in time, though the rows lie otherwise; user 1: 4, 5; user 2: 4 alone.
const std::vector<Row> kRows{{0, 2, 50, 1}, {0, 1, 10}, {0, 2, 20}, {1, 4, 5, 1}, {0, 1, 30, 1}, {0, 3, 40}, {1, 5, 6}, {2, 4, 7}};

TEST(LeaveLastOut, WholePairsLeaveByTime) {
  const Split<EventLog> s = leave_last_out(log_of(kRows));
  EXPECT_EQ(pairs(s.test), (Pairs{{0, 2}, {0, 2}, {1, 5}})) << "the earlier view of item 2 leaves train too";
  EXPECT_EQ(pairs(s.valid), (Pairs{{0, 3}}));
  EXPECT_EQ(pairs(s.train), (Pairs{{0, 1}, {1, 4}, {0, 1}, {2, 4}}));
  EXPECT_EQ(s.train.num_items(), 6);
  EXPECT_EQ(s.test.num_users(), 3);
}

TEST(LeaveLastOut, KeepsRepeatsAndTargetsWhenAskedTo) {
  LeaveLastOutOptions o;
  o.keep_repeats = true;
  const Split<EventLog> repeats = leave_last_out(log_of(kRows), o);
  EXPECT_EQ(pairs(repeats.test), (Pairs{{0, 2}, {1, 5}}));
  EXPECT_EQ(pairs(repeats.valid), (Pairs{{0, 3}}));
  EXPECT_EQ(repeats.train.size(), 5);
  o = {};
  o.target_events = {"purchase"};
  o.valid = false;
  const Split<EventLog> bought = leave_last_out(log_of(kRows), o);
  EXPECT_EQ(pairs(bought.test), (Pairs{{0, 2}, {0, 2}, {1, 4}}));
  EXPECT_EQ(bought.valid.size(), 0);
  o.target_events = {"click"};
  EXPECT_EQ(message_of([&] { (void)leave_last_out(log_of(kRows), o); }),
            "target_events holds 'click', must be an event type of the log (view, purchase)");
}

TEST(LeaveLastOut, UsesTheOrderOfRowsWithoutTimes) {
  const Split<EventLog> s = leave_last_out(log_of(kRows, false));
  EXPECT_EQ(pairs(s.test), (Pairs{{0, 3}, {1, 5}}));
}

TEST(Temporal, CutsAtTheMoment) {
  const Split<EventLog> s = temporal(log_of(kRows), 30, 20);
  EXPECT_EQ(pairs(s.train), (Pairs{{0, 1}, {1, 4}, {1, 5}, {2, 4}}));
  EXPECT_EQ(pairs(s.valid), (Pairs{{0, 2}}));
  EXPECT_EQ(pairs(s.test), (Pairs{{0, 2}, {0, 1}, {0, 3}}));
  EXPECT_NE(message_of([&] { (void)temporal(log_of(kRows, false), 30); }).find("log has no times"), std::string::npos);
  EXPECT_NE(message_of([&] { (void)temporal(log_of(kRows), 30, 30); }).find("valid_at is 30 ms, must be before at"), std::string::npos);
}

TEST(RandomHoldout, CutsLogAndMatrixAlikeAtTheShareAskedFor) {
  std::vector<Row> rows;
  for (std::int32_t u = 0; u < 200; ++u)
    for (std::int32_t j = 0; j < 40; ++j) rows.push_back({u, (u * 3 + j * 7) % 100, j});
  const EventLog log = log_of(rows);
  const Split<EventLog> s = random_holdout(log, 0.2, 5, 0.1);
  EXPECT_NEAR(static_cast<double>(s.test.size()) / 8000, 0.2, 0.02);
  EXPECT_NEAR(static_cast<double>(s.valid.size()) / 8000, 0.1, 0.015);
  EXPECT_EQ(s.train.size() + s.valid.size() + s.test.size(), 8000);
  const Split<Interactions> m = random_holdout(log.interactions(), 0.2, 5, 0.1);
  EXPECT_EQ(m.test.nnz(), s.test.interactions().nnz());
  EXPECT_EQ(m.train.nnz(), s.train.interactions().nnz());
  EXPECT_EQ(m.test.num_users(), 200);
  EXPECT_NE(random_holdout(log, 0.2, 6).test.size(), s.test.size());
  EXPECT_EQ(message_of([&] { (void)random_holdout(log, 1.0, 1); }), "share is 1, must be in (0, 1)");
  EXPECT_NE(message_of([&] { (void)random_holdout(log, 0.6, 1, 0.5); }).find("valid_share is 0.5"), std::string::npos);
}

TEST(TailHoldout, TakesTheLastShareOfEachRow) {
  std::vector<Row> rows;
  for (std::int32_t j = 0; j < 10; ++j) rows.push_back({0, j, 0});
  for (std::int32_t j = 0; j < 4; ++j) rows.push_back({1, j, 0});
  const Split<EventLog> s = tail_holdout(log_of(rows), 0.2, 0.1);
  EXPECT_EQ(pairs(s.test), (Pairs{{0, 8}, {0, 9}}));
  EXPECT_EQ(pairs(s.valid), (Pairs{{0, 7}}));
}

}  // namespace
}  // namespace etalage
