// SPDX-License-Identifier: Apache-2.0
// Events to a matrix against the plain way: a map of pairs, each pair's events one after the other.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/pair_sort.hpp"
#include "etalage/core/event_log.hpp"

namespace {

using etalage::Array;
using etalage::Duplicates;
using etalage::EventLog;
using etalage::InteractionOptions;

struct Random {
  std::uint64_t state;
  std::uint64_t operator()(std::uint64_t below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (state >> 33) % below;
  }
};

TEST(PairSort, IsAStableSortByUserAndItem) {
  using Sort = etalage::detail::PairSort<std::uint32_t, float>;
  Sort sort;
  Random random{5};
  for (const std::size_t n : std::initializer_list<std::size_t>{0, 1, 2, 100, 1000, 5, 3000})
    for (const auto& [item_bits, user_bits] : {std::pair{1, 12}, {7, 12}, {11, 3}, {12, 12}, {20, 12}, {22, 10}, {31, 0}, {31, 1}}) {
      const auto users = std::uint64_t{1} << user_bits;
      const auto items = std::uint64_t{1} << item_bits;
      std::vector<Sort::Entry> entries;
      for (std::size_t i = 0; i < n; ++i) {
        // Some of few items, some of all, so that pairs repeat and the last item occurs.
        const std::uint64_t item = i % 3 == 0 ? items - 1 : random(std::min<std::uint64_t>(items, 40));
        entries.push_back({static_cast<std::uint32_t>(random(users) << item_bits | item), static_cast<float>(i)});
      }
      auto expected = entries;
      std::stable_sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) { return a.pair < b.pair; });
      std::vector<std::size_t> rows(users, 0);
      for (const auto& e : entries) ++rows[e.pair >> item_bits];
      const Sort::Entry* sorted = sort(entries.data(), n, item_bits, user_bits);
      for (std::size_t i = 0; i < n; ++i) {
        ASSERT_EQ(sorted[i].pair, expected[i].pair) << n << " of " << item_bits << " bits";
        ASSERT_EQ(sorted[i].weight, expected[i].weight) << n << " of " << item_bits << " bits";
      }
      EXPECT_EQ(sort.rows(), rows);
    }
}

struct Events {
  std::vector<std::int32_t> users;
  std::vector<std::int32_t> items;
  std::vector<float> values;
  std::vector<std::int64_t> times;

  [[nodiscard]] EventLog log(bool with_values, bool with_times) const {
    EventLog::Columns c;
    c.users = Array<std::int32_t>(users);
    c.items = Array<std::int32_t>(items);
    if (with_values) c.values = Array<float>(values);
    if (with_times) c.times_ms = Array<std::int64_t>(times);
    return EventLog(std::move(c));
  }
};

/// Items of a log of which most are near the last one; users around the borders of the blocks that threads take.
Events draw(std::size_t n, std::int32_t users, std::int32_t items) {
  Events e;
  Random random{n + static_cast<std::uint64_t>(items)};
  for (std::size_t i = 0; i < n; ++i) {
    e.users.push_back(static_cast<std::int32_t>(random(4) == 0 ? random(static_cast<std::uint64_t>(users)) : static_cast<std::uint64_t>(users) - 1 - random(3)));
    e.items.push_back(items - 1 - static_cast<std::int32_t>(random(static_cast<std::uint64_t>(std::min(items, 37)))));
    constexpr float values[] = {1.0f, 0.0f, -1.0f, 2.5f, 1e-45f, -3e-39f, 0.1f, 1e30f};
    e.values.push_back(values[random(8)]);
    e.times.push_back(static_cast<std::int64_t>(i / 7) * 86400000);
  }
  return e;
}

/// What InteractionOptions says of sums, maxima, lasts and marks of events in order of time, without a half-life or with one of a day.
std::map<std::pair<std::int32_t, std::int32_t>, float> plain_way(const Events& e, bool with_values, Duplicates how, bool decays) {
  struct Pair {
    double total;
    double magnitudes;
  };
  std::map<std::pair<std::int32_t, std::int32_t>, Pair> pairs;
  const auto newest = static_cast<double>(e.times.back());
  for (std::size_t i = 0; i < e.users.size(); ++i) {
    const double value = with_values ? static_cast<double>(e.values[i]) : 1.0;
    if (value == 0) continue;
    double w = decays ? value * std::exp2(-(newest - static_cast<double>(e.times[i])) / 86400000.0) : value;
    // Events are kept in float32 where they do not decay.
    if (!decays && std::abs(w) < static_cast<double>(std::numeric_limits<float>::min())) w = std::copysign(static_cast<double>(std::numeric_limits<float>::min()), w);
    const auto [at, first] = pairs.try_emplace({e.users[i], e.items[i]}, Pair{w, std::abs(w)});
    if (first) continue;
    Pair& p = at->second;
    p.magnitudes += std::abs(w);
    p.total = how == Duplicates::kMax ? std::max(p.total, w) : how == Duplicates::kLast ? w : p.total + w;
  }
  std::map<std::pair<std::int32_t, std::int32_t>, float> out;
  for (const auto& [key, p] : pairs) {
    const bool sums = how == Duplicates::kSum || how == Duplicates::kBinary;
    if (p.total == 0 || (sums && std::abs(p.total) <= p.magnitudes / (1 << 23) && p.total != std::trunc(p.total))) continue;
    const double w = how == Duplicates::kBinary ? std::copysign(1.0, p.total) : p.total;
    const auto f = static_cast<float>(w);
    out[key] = std::abs(f) < std::numeric_limits<float>::min() ? static_cast<float>(std::copysign(std::numeric_limits<float>::min(), w)) : f;
  }
  return out;
}

void expect_plain_way(const Events& e, Duplicates how, bool with_values, bool decays) {
  const auto expected = plain_way(e, with_values, how, decays);
  for (const int threads : {1, 2}) {
    InteractionOptions options;
    options.duplicates = how;
    options.num_threads = threads;
    if (decays) options.half_life_days = 1;
    const auto m = e.log(with_values, decays).interactions(options).user_items();
    ASSERT_EQ(m.columns.size(), expected.size());
    auto at = expected.begin();
    for (std::int32_t u = 0; u < m.rows; ++u)
      for (auto j = static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(u)]); j < static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(u) + 1]); ++j, ++at) {
        ASSERT_EQ(at->first, std::pair(u, m.columns[j]));
        ASSERT_EQ(at->second, m.values[j]) << u << ", " << m.columns[j];
      }
  }
}

class EventMatrix : public testing::TestWithParam<std::int32_t> {};

TEST_P(EventMatrix, IsThePlainWaysWhateverTheNumberOfItems) {
  for (const std::int32_t users : {3, 4096, 9000}) {
    const Events e = draw(4000, users, GetParam());
    for (const Duplicates how : {Duplicates::kSum, Duplicates::kMax, Duplicates::kLast, Duplicates::kBinary})
      for (const bool with_values : {false, true}) expect_plain_way(e, how, with_values, false);
    for (const Duplicates how : {Duplicates::kSum, Duplicates::kMax, Duplicates::kLast}) expect_plain_way(e, how, true, true);
  }
}

// 2^20, 2^21 and 2^22 items leave room for 12, 11 and 10 bits of a user; beyond, pairs take 64 bits.
INSTANTIATE_TEST_SUITE_P(Items, EventMatrix,
                         testing::Values(1, 2, 3, 2048, 2049, 1 << 20, (1 << 20) + 1, 1 << 21, (1 << 22) - 1, 1 << 22, (1 << 22) + 1, 1 << 24));

TEST(EventMatrixErrors, NameThePairBeyondFloat32) {
  Events e = draw(50, 5000, 1 << 20);
  e.values.assign(50, 1.0f);
  e.users[30] = 4567;
  e.items[30] = 777777;
  e.values[30] = 3e38f;
  const auto message = [&](double weight, int threads) -> std::string {
    EventLog::Columns c = e.log(true, false).columns();
    c.events = Array<std::uint16_t>(std::vector<std::uint16_t>(50, 0));
    c.event_names = {"buy"};
    InteractionOptions options;
    options.event_weights = {{"buy", weight}};
    options.num_threads = threads;
    try {
      (void)EventLog(std::move(c)).interactions(options);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  for (const int threads : {1, 2}) {
    EXPECT_EQ(message(1, threads), "");
    const std::string beyond = message(2, threads);
    EXPECT_NE(beyond.find("user index 4567 and item index 777777"), std::string::npos) << beyond;
  }
}

TEST(EventMatrixErrors, AWeightThatComesToNothingIsLeftOut) {
  Events e = draw(6, 3, 4);
  e.values.assign(6, 1e-45f);
  EventLog::Columns c = e.log(true, false).columns();
  c.events = Array<std::uint16_t>(std::vector<std::uint16_t>(6, 0));
  c.event_names = {"buy"};
  InteractionOptions options;
  options.event_weights = {{"buy", 1e-300}};  // whose product is 0 in double precision
  EXPECT_EQ(EventLog(std::move(c)).interactions(options).user_items().columns.size(), 0U);
}

}  // namespace
