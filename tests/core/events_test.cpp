// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/event_builder.hpp"
#include "core/hash.hpp"
#include "core/intern.hpp"
#include "core/time_text.hpp"
#include "etalage/core/event_log.hpp"

namespace {

using etalage::Array;
using etalage::EventLog;
using etalage::InteractionOptions;
using etalage::Interactions;

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

TEST(EventLog, DecayRemovesNoPairUnderAnyWayOfMerging) {
  constexpr std::int64_t day = 86400000;
  const EventLog log = make_log({0, 0, 0, 1, 0}, {0, 1, 1, 0, 2}, {2.0f, -1.0f, -3.0f, 1e-30f, 1.0f}, {0, -5000 * day, 0, 3 * day, 4000 * day});
  for (const auto how : {etalage::Duplicates::kSum, etalage::Duplicates::kMax, etalage::Duplicates::kLast, etalage::Duplicates::kBinary})
    for (const double half_life : {0.01, 1.0, 30.0}) {
      InteractionOptions options;
      options.duplicates = how;
      options.half_life_days = half_life;
      const auto m = log.interactions(options).user_items();
      ASSERT_EQ(m.nnz(), 4);
      for (const float w : m.values) EXPECT_GE(std::abs(w), std::numeric_limits<float>::min());
      EXPECT_GT(m.values[0], 0);
      EXPECT_LT(m.values[1], 0);
    }
}

TEST(EventLog, FractionsReturnedWholeLeaveNothing) {
  const EventLog log = make_log({0, 0, 0, 0}, {0, 0, 0, 1}, {0.3f, -0.1f, -0.2f, 1.0f}, {1, 2, 3, 4});
  for (const auto negative : {etalage::NegativeValues::kKeep, etalage::NegativeValues::kCancel})
    for (const auto how : {etalage::Duplicates::kSum, etalage::Duplicates::kBinary}) {
      InteractionOptions options;
      options.negative_values = negative;
      options.duplicates = how;
      EXPECT_EQ(log.interactions(options).nnz(), 1);
    }
}

TEST(EventLog, TransformsActOnMergedWeightsAndKeepSigns) {
  const EventLog log = make_log({0, 0, 0, 1}, {0, 1, 0, 0}, {1.0f, -9.0f, 3.0f, 5.0f});
  const auto values = [&](etalage::ValueTransform transform, etalage::UserNormalization norm = etalage::UserNormalization::kNone) {
    InteractionOptions options;
    options.value_transform = transform;
    options.value_cap = 4.5;
    options.normalize_users = norm;
    const Interactions data = log.interactions(options);
    return std::vector<float>(data.user_items().values.begin(), data.user_items().values.end());
  };
  EXPECT_EQ(values(etalage::ValueTransform::kSqrt), (std::vector<float>{2, -3, std::sqrt(5.0f)}));
  EXPECT_EQ(values(etalage::ValueTransform::kRank), (std::vector<float>{0.5f, -1, 1}));
  EXPECT_EQ(values(etalage::ValueTransform::kCap), (std::vector<float>{4, -4.5f, 4.5f}));
  EXPECT_EQ(values(etalage::ValueTransform::kSqrt, etalage::UserNormalization::kL1), (std::vector<float>{0.4f, -0.6f, 1}));
}

TEST(EventLog, SessionsBelongToOneUser) {
  EventLog::Columns c;
  c.users = Array<std::int32_t>(std::vector<std::int32_t>{0, 1, 0, 1});
  c.items = Array<std::int32_t>(std::vector<std::int32_t>{0, 1, 2, 3});
  c.sessions = Array<std::int32_t>(std::vector<std::int32_t>{0, 0, 0, 1});
  const auto s = EventLog(std::move(c)).sequences(EventLog::By::kSession);
  ASSERT_EQ(s.size(), 3);
  EXPECT_EQ(std::vector<std::int32_t>(s.items().begin(), s.items().end()), (std::vector<std::int32_t>{0, 2, 1, 3}));
  EXPECT_EQ(std::vector<std::int32_t>(s.user_index().begin(), s.user_index().end()), (std::vector<std::int32_t>{0, 1, 1}));
}

TEST(EventLog, NamesOfReturnsMustBeTheLogs) {
  EventLog::Columns c;
  c.users = c.items = Array<std::int32_t>(std::vector<std::int32_t>{0, 0});
  c.events = Array<std::uint16_t>(std::vector<std::uint16_t>{0, 1});
  c.event_names = {"buy", "return"};
  const EventLog log(std::move(c));
  InteractionOptions options;
  options.return_event = "retrun";
  try {
    (void)log.interactions(options);
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "return_event names 'retrun', which is no event type of the log, must be one of 'buy', 'return'");
  }
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

namespace intern_ways {

using etalage::detail::Column;
using etalage::detail::ColumnChunk;
using etalage::detail::ColumnType;
using etalage::detail::intern_keys;
using etalage::detail::InternWay;

/// A column of strings or integers in chunks of odd sizes and offsets, some rows missing, some empty.
struct Keys {
  Keys(std::size_t n, std::uint64_t distinct, bool strings, bool nulls) : text(strings), valid((n + 16) / 8 + 1, 0xff) {
    std::uint64_t x = n + distinct;
    for (std::size_t i = 0; i < n; ++i) {
      x = x * 6364136223846793005ULL + 1442695040888963407ULL;
      const std::uint64_t k = (x >> 33) % distinct;
      numbers.push_back(static_cast<std::int64_t>(k * 0x9e3779b97f4a7c15ULL >> 1));
      std::string key = std::to_string(k);
      if (k % 5 == 1) key = "key " + std::string(static_cast<std::size_t>(k % 40), 'x') + key;
      if (k % 97 == 3) key.clear();
      offsets.push_back(static_cast<std::int64_t>(bytes.size()));
      bytes += key;
      if (nulls && k % 11 == 7) valid[i >> 3] = static_cast<std::uint8_t>(valid[i >> 3] & ~(1U << (i & 7)));
    }
    offsets.push_back(static_cast<std::int64_t>(bytes.size()));
    column.name = "key";
    column.type = strings ? ColumnType::kLargeUtf8 : ColumnType::kInt64;
    for (std::size_t b = 0, size = 1; b < n; size = size * 3 + 1) {
      ColumnChunk c;
      c.type = column.type;
      c.offset = static_cast<std::int64_t>(b);
      c.size = static_cast<std::int64_t>(std::min(size, n - b));
      if (nulls) c.validity = valid.data();
      if (strings) {
        c.offsets = offsets.data();
        c.data = bytes.data();
      } else {
        c.data = numbers.data();
      }
      b += static_cast<std::size_t>(c.size);
      column.push(c);
    }
  }
  bool text;
  std::vector<std::uint8_t> valid;
  std::string bytes;
  std::vector<std::int64_t> offsets;
  std::vector<std::int64_t> numbers;
  Column column;
};

void expect_same_numbers(const Keys& keys) {
  auto one = intern_keys(keys.column, 1, InternWay::kOneTable);
  one.finish();
  // First appearance, by the plainest means.
  std::int32_t next = 0;
  for (const std::int32_t code : one.codes) {
    ASSERT_LE(code, next);
    next = std::max(next, code + 1);
  }
  ASSERT_EQ(next, one.ids->size());
  for (const int threads : {1, 2, 3})
    for (const InternWay way : {InternWay::kOneTable, InternWay::kPartitioned, InternWay::kAutomatic}) {
      auto other = intern_keys(keys.column, threads, way);
      other.finish();
      ASSERT_TRUE(std::equal(one.codes.begin(), one.codes.end(), other.codes.begin(), other.codes.end()));
      const auto a = one.ids->parts();
      const auto b = other.ids->parts();
      EXPECT_TRUE(std::equal(a.keys.begin(), a.keys.end(), b.keys.begin(), b.keys.end()));
      EXPECT_TRUE(std::equal(a.offsets.begin(), a.offsets.end(), b.offsets.begin(), b.offsets.end()));
      EXPECT_TRUE(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end()));
      EXPECT_TRUE(std::equal(a.slots.begin(), a.slots.end(), b.slots.begin(), b.slots.end()));
    }
}

TEST(InternKeys, EveryWayNumbersAlike) {
  for (const bool strings : {false, true})
    for (const bool nulls : {false, true})
      for (const std::size_t n : {0u, 1u, 31u, 32u, 33u, 513u, 8191u, 8192u, 8193u, 70001u})
        for (const std::uint64_t distinct : {1u, 50u, 30000u}) {
          SCOPED_TRACE(std::to_string(n) + " rows of " + std::to_string(distinct) + " keys" + (strings ? ", strings" : "") + (nulls ? ", some missing" : ""));
          expect_same_numbers(Keys(n, distinct, strings, nulls));
        }
}

TEST(InternKeys, EveryWayNumbersAlikeOverManyBlocks) {
  expect_same_numbers(Keys(2300000, 400000, false, true));
  expect_same_numbers(Keys(2300000, 400000, true, true));
}

TEST(InternKeys, ColumnsOfNothingHoldNothing) {
  Column column;
  column.name = "key";
  column.type = ColumnType::kNull;
  ColumnChunk c;
  c.size = 9000;
  column.push(c);
  for (const InternWay way : {InternWay::kOneTable, InternWay::kPartitioned}) {
    auto none = intern_keys(column, 2, way);
    none.finish();
    EXPECT_EQ(none.ids->size(), 0);
    EXPECT_EQ(std::count(none.codes.begin(), none.codes.end(), -1), 9000);
  }
}

TEST(InternKeys, MapsAreThoseOfTheirKeys) {
  const Keys keys(70001, 30000, true, true);
  auto interned = intern_keys(keys.column, 2);
  interned.finish();
  std::vector<std::string> words;
  for (std::int32_t i = 0; i < interned.ids->size(); ++i) words.emplace_back(interned.ids->string_at(i));
  const auto a = interned.ids->parts();
  const auto b = etalage::IdMap::from_strings(std::span<const std::string>(words)).parts();
  EXPECT_TRUE(std::equal(a.slots.begin(), a.slots.end(), b.slots.begin(), b.slots.end()));
  EXPECT_TRUE(std::equal(a.bytes.begin(), a.bytes.end(), b.bytes.begin(), b.bytes.end()));
  for (std::size_t i = 0; i < words.size(); ++i) ASSERT_EQ(interned.ids->find(std::string_view(words[i])), static_cast<std::int32_t>(i));
}

}  // namespace intern_ways

TEST(HashKey, NeverChanges) {
  // The hash as files hold it: eight bytes at a time, then the rest byte by byte.
  const auto plain = [](std::string_view key) {
    __extension__ using u128 = unsigned __int128;
    const auto fold = [](std::uint64_t a, std::uint64_t b) {
      const u128 p = static_cast<u128>(a) * b;
      return static_cast<std::uint64_t>(p) ^ static_cast<std::uint64_t>(p >> 64);
    };
    std::size_t n = key.size();
    std::uint64_t h = 0x9e3779b97f4a7c15ULL ^ (n * 0xd6e8feb86659fd93ULL);
    const auto word = [&](std::size_t size) {
      std::uint64_t v = 0;
      for (std::size_t i = 0; i < size; ++i) v |= static_cast<std::uint64_t>(static_cast<unsigned char>(key[key.size() - n + i])) << (8 * i);
      return v;
    };
    for (; n > 8; n -= 8) h = fold(h ^ word(8), 0xd6e8feb86659fd93ULL);
    return etalage::detail::mix(fold(h ^ word(n), 0x9e3779b97f4a7c15ULL) + n);
  };
  std::string text;
  for (std::size_t n = 0; n < 70; ++n) {
    EXPECT_EQ(etalage::detail::hash_key(std::string_view(text)), plain(text)) << n;
    text += static_cast<char>(n * 37 + 200);
  }
  EXPECT_EQ(etalage::detail::hash_key(std::string_view("user-000000001")), plain("user-000000001"));
}

TEST(EventLog, WeightsAreThoseOfAMapOfPairs) {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<float> values;
  std::uint64_t x = 9;
  for (int i = 0; i < 60000; ++i) {
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto u = static_cast<std::int32_t>((x >> 33) % 5000);
    users.push_back(u * u / 5000);  // rows of every length, from none to more than a hundred
    items.push_back(static_cast<std::int32_t>((x >> 20) % 900));
    values.push_back(static_cast<float>((x >> 50) % 7) / 3.0f - 1.0f);
  }
  const EventLog log = make_log(users, items, values);
  std::map<std::pair<std::int32_t, std::int32_t>, double> sums;
  std::map<std::pair<std::int32_t, std::int32_t>, double> magnitudes;
  for (std::size_t i = 0; i < users.size(); ++i)
    if (values[i] != 0) {
      sums[{users[i], items[i]}] += static_cast<double>(values[i]);
      magnitudes[{users[i], items[i]}] += std::abs(static_cast<double>(values[i]));
    }
  // 2/3 - 1/3 - 1/3 in float32 is not 0, and is nothing.
  std::erase_if(sums, [&](const auto& s) { return std::abs(s.second) <= magnitudes[s.first] * 0x1p-23; });
  const auto m = log.interactions().user_items();
  ASSERT_EQ(m.nnz(), static_cast<std::int64_t>(sums.size()));
  std::size_t j = 0;
  for (const auto& [pair, sum] : sums) {
    EXPECT_EQ(m.columns[j], pair.second);
    EXPECT_EQ(m.values[j], static_cast<float>(sum));
    EXPECT_LT(static_cast<std::int64_t>(j), m.offsets[static_cast<std::size_t>(pair.first) + 1]);
    EXPECT_GE(static_cast<std::int64_t>(j), m.offsets[static_cast<std::size_t>(pair.first)]);
    ++j;
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
