// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/event_builder.hpp"
#include "core/intern.hpp"
#include "core/time_text.hpp"
#include "etalage/core/event_log.hpp"

namespace {

using etalage::Array;
using etalage::EventLog;
using etalage::InteractionOptions;

EventLog make_log(const std::vector<std::int32_t>& users, const std::vector<std::int32_t>& items, const std::vector<float>& values = {},
                  const std::vector<std::int64_t>& times = {}) {
  EventLog::Columns c;
  c.users = Array<std::int32_t>(users);
  c.items = Array<std::int32_t>(items);
  c.values = Array<float>(values);
  c.times_ms = Array<std::int64_t>(times);
  return EventLog(std::move(c));
}

TEST(EventLog, RefusesColumnsThatDoNotFit) {
  EXPECT_THROW(make_log({0, 1}, {0}), std::invalid_argument);
  EXPECT_THROW(make_log({0}, {-1}), std::invalid_argument);
  EXPECT_THROW(make_log({0}, {0}, {std::numeric_limits<float>::infinity()}), std::invalid_argument);
  EXPECT_THROW(make_log({0}, {0}, {1.0f}, {1, 2}), std::invalid_argument);
}

TEST(EventLog, SumsDuplicatesIntoSortedRows) {
  const EventLog log = make_log({1, 0, 1, 1}, {2, 1, 0, 2}, {1.0f, 2.0f, 3.0f, 0.5f});
  const auto m = log.interactions().user_items();
  EXPECT_EQ(m.rows, 2);
  EXPECT_EQ(m.cols, 3);
  EXPECT_EQ(std::vector<std::int32_t>(m.columns.begin(), m.columns.end()), (std::vector<std::int32_t>{1, 0, 2}));
  EXPECT_EQ(std::vector<float>(m.values.begin(), m.values.end()), (std::vector<float>{2.0f, 3.0f, 1.5f}));
}

TEST(EventLog, ReturnsTakeTheLatestPurchaseBackFirst) {
  const EventLog log = make_log({0, 0, 0, 0}, {0, 0, 0, 0}, {1.0f, 4.0f, -3.0f, 2.0f}, {1, 2, 3, 4});
  InteractionOptions options;
  options.negative_values = etalage::NegativeValues::kCancel;
  options.duplicates = etalage::Duplicates::kMax;
  const auto m = log.interactions(options).user_items();
  ASSERT_EQ(m.nnz(), 1);
  EXPECT_EQ(m.values[0], 2.0f);  // 1, 4 - 3 = 1, and 2 after the return
}

TEST(EventLog, WeightsAreTheSameForAnyThreadCount) {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<float> values;
  std::uint64_t x = 1;
  for (int i = 0; i < 600000; ++i) {
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    users.push_back(static_cast<std::int32_t>(x >> 33) % 20000);
    items.push_back(static_cast<std::int32_t>(x >> 40) % 300);
    values.push_back(static_cast<float>(x >> 50) / 977.0f);
  }
  const EventLog log = make_log(users, items, values);
  InteractionOptions options;
  options.num_threads = 1;
  const auto one = log.interactions(options).user_items();
  for (const int threads : {2, 4}) {
    options.num_threads = threads;
    const auto m = log.interactions(options).user_items();
    EXPECT_TRUE(std::equal(one.columns.begin(), one.columns.end(), m.columns.begin(), m.columns.end()));
    EXPECT_TRUE(std::equal(one.values.begin(), one.values.end(), m.values.begin(), m.values.end()));
  }
}

TEST(EventLog, OptionsNameFieldValueAndRule) {
  const EventLog log = make_log({0}, {0});
  InteractionOptions options;
  options.half_life_days = -2;
  try {
    (void)log.interactions(options);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("half_life_days is -2"), std::string::npos);
  }
  options = {};
  options.event_weights = {{"view", 1.0}};
  EXPECT_THROW((void)log.interactions(options), std::invalid_argument);
}

TEST(EventLog, SequencesAreStableByTime) {
  const EventLog log = make_log({0, 0, 0}, {2, 1, 0}, {}, {5, 5, 1});
  const auto s = log.sequences();
  EXPECT_EQ(std::vector<std::int32_t>(s.items().begin(), s.items().end()), (std::vector<std::int32_t>{0, 2, 1}));
}

TEST(InternKeys, CoverEveryLengthAroundTheSlotBorders) {
  std::string bytes;
  std::vector<std::int64_t> offsets{0};
  const int copies = 3;
  for (int copy = 0; copy < copies; ++copy)
    for (std::size_t n = 1; n < 40; ++n)
      for (std::size_t changed = 0; changed < n; ++changed) {
        std::string key(n, 'a');
        key[changed] = 'b';  // one byte apart from its neighbours
        bytes += key;
        offsets.push_back(static_cast<std::int64_t>(bytes.size()));
      }
  etalage::detail::Column column;
  column.type = etalage::detail::ColumnType::kLargeUtf8;
  etalage::detail::ColumnChunk chunk;
  chunk.type = column.type;
  chunk.size = static_cast<std::int64_t>(offsets.size()) - 1;
  chunk.data = bytes.data();
  chunk.offsets = offsets.data();
  column.push(chunk);
  auto interned = etalage::detail::intern_keys(column, 1);
  interned.finish();
  const auto distinct = static_cast<std::int32_t>(chunk.size / copies);
  ASSERT_EQ(interned.ids->size(), distinct);
  for (std::size_t i = 0; i < interned.codes.size(); ++i) {
    EXPECT_EQ(interned.codes[i], static_cast<std::int32_t>(i) % distinct);
    EXPECT_EQ(interned.ids->string_at(interned.codes[i]), std::string_view(bytes).substr(static_cast<std::size_t>(offsets[i]), static_cast<std::size_t>(offsets[i + 1] - offsets[i])));
  }
}

TEST(TimeText, ReadsIso8601) {
  using etalage::detail::parse_iso_time;
  EXPECT_EQ(parse_iso_time("1970-01-01"), 0);
  EXPECT_EQ(parse_iso_time("1970-01-01T00:00:00.001Z"), 1);
  EXPECT_EQ(parse_iso_time("1970/01/01 01:00:00+0100"), 0);
  EXPECT_EQ(parse_iso_time("1970-01-01 01:00+01"), 0);
  EXPECT_EQ(parse_iso_time("2000-02-29T23:59:60Z"), 951868800000);
  EXPECT_EQ(parse_iso_time("0001-01-01"), etalage::detail::kMinTimeMs);
  for (const char* bad : {"", "1970", "1970-13-01", "1970-02-29", "1970-01-01T", "1970-01-01T24:00", "1970-01-01T00:00:00.", "1970-01-01T00:00:00+1",
                          "1970-01-01T00:00:00Zx", "1970-01/01", "0000-01-01", "1970-01-01T00:00:6", "a970-01-01"})
    EXPECT_FALSE(parse_iso_time(bad).has_value()) << bad;
}

TEST(TimeText, EpochsRoundDownAndStayInRange) {
  using etalage::TimeUnit;
  using etalage::detail::epoch_to_ms;
  EXPECT_EQ(epoch_to_ms(std::int64_t{-1}, TimeUnit::kNanosecond), -1);
  EXPECT_EQ(epoch_to_ms(std::int64_t{1999}, TimeUnit::kMicrosecond), 1);
  EXPECT_FALSE(epoch_to_ms(std::numeric_limits<std::int64_t>::max(), TimeUnit::kSecond).has_value());
  EXPECT_FALSE(epoch_to_ms(std::numeric_limits<double>::quiet_NaN(), TimeUnit::kSecond).has_value());
}

}  // namespace
