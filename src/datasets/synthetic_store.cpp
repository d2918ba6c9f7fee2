// SPDX-License-Identifier: Apache-2.0
#include "etalage/datasets/synthetic_store.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "core/option_check.hpp"
#include "detail/random_stream.hpp"
#include "datasets/synthetic_catalog.hpp"
#include "datasets/synthetic_shopper.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"

namespace etalage {
namespace {

using detail::Day;

// How busy each day of the year is: weekends, and the weeks before Christmas.
std::vector<std::uint32_t> cumulated_days(const SyntheticStoreOptions& o) {
  std::vector<std::uint32_t> sum{0};
  for (std::int32_t d = 0; d < o.days; ++d) {
    const Day day(o.start_ms, d);
    std::uint32_t weight = 10;
    if (day.weekday >= 5) weight += 4;
    if (day.of_year >= 325 && day.of_year < 358) weight += 8;
    sum.push_back(sum.back() + weight);
  }
  return sum;
}

// Shares out the events: one a shopper, the rest by how keen each is. The sum is exact.
std::vector<std::int64_t> shared_out(const SyntheticStoreOptions& o, std::int64_t events) {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(o.users) + 1);
  std::vector<std::int64_t> keen(static_cast<std::size_t>(o.users) + 1);
  for (std::int32_t u = 0; u < o.users; ++u) {
    detail::RandomStream random(o.seed, 4, static_cast<std::uint64_t>(u));
    // A heavy tail: most are occasional shoppers, one in 512 comes every other day.
    const std::int64_t weight = static_cast<std::int64_t>(2 + random.below(7)) << (random.steps(500, 9) - 1);
    keen[static_cast<std::size_t>(u) + 1] = keen[static_cast<std::size_t>(u)] + weight;
  }
  __extension__ using Wide = __int128;
  for (std::size_t u = 0; u <= static_cast<std::size_t>(o.users); ++u)
    offsets[u] = static_cast<std::int64_t>(u) +
                 static_cast<std::int64_t>(static_cast<Wide>(events - o.users) * keen[u] / keen.back());
  return offsets;
}

// Rows of `from` in the order `rows`.
template <class T>
Array<T> ordered(const std::vector<T>& from, std::span<const std::uint32_t> rows, int num_threads) {
  Array<T> to(rows.size(), uninitialized);
  T* out = to.mutable_data();
  detail::parallel_for(rows.size(), 1 << 16, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t j = begin; j < end; ++j) out[j] = from[rows[j]];
  });
  return to;
}

// Rows by time, ties in shopper order: scattered to days, then each day sorted by itself.
std::vector<std::uint32_t> by_time(const detail::ShopperEvents& e, const SyntheticStoreOptions& o) {
  constexpr std::int64_t kDay = 86'400'000;
  const std::size_t n = e.times.size();
  // What runs past the last day stays in one bucket at the end.
  const auto bucket = [&](std::size_t row) {
    return static_cast<std::size_t>(std::min<std::int64_t>((e.times[row] - o.start_ms) / kDay, o.days));
  };
  std::vector<std::size_t> begin(static_cast<std::size_t>(o.days) + 2, 0);
  for (std::size_t row = 0; row < n; ++row) ++begin[bucket(row) + 1];
  for (std::size_t d = 1; d < begin.size(); ++d) begin[d] += begin[d - 1];
  std::vector<std::uint32_t> rows(n);
  std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
  for (std::size_t row = 0; row < n; ++row) rows[next[bucket(row)]++] = static_cast<std::uint32_t>(row);
  detail::parallel_for(begin.size() - 1, 1, o.num_threads, [&](std::size_t first, std::size_t last, int) {
    for (std::size_t d = first; d < last; ++d)
      std::stable_sort(rows.begin() + static_cast<std::ptrdiff_t>(begin[d]), rows.begin() + static_cast<std::ptrdiff_t>(begin[d + 1]),
                       [&](std::uint32_t a, std::uint32_t b) { return e.times[a] < e.times[b]; });
  });
  return rows;
}

}  // namespace

void SyntheticStoreOptions::validate() const {
  require_options(*this);
  detail::require(events == 0 || events >= users, "events", events, ">= users, or 0 for 40 a shopper");
  detail::require(events != 0 || users <= 50'000'000, "users", users, "at most 50000000 where events is 0 and means 40 a shopper");
  detail::require(start_ms >= 0 && start_ms % 86'400'000 == 0 && start_ms < 4'102'444'800'000, "start_ms", start_ms,
                  "a midnight (UTC) between 1970 and 2100");
}

SyntheticStore make_synthetic_store(const SyntheticStoreOptions& options) {
  options.validate();
  SyntheticStore store;
  const detail::CatalogModel catalog = detail::make_catalog(options, store.catalog);
  const std::int64_t events = options.events != 0 ? options.events : 40 * static_cast<std::int64_t>(options.users);
  const std::vector<std::int64_t> offsets = shared_out(options, events);
  const std::vector<std::uint32_t> days = cumulated_days(options);

  const auto n = static_cast<std::size_t>(events);
  detail::ShopperEvents e(n);
  store.segments = Array<std::int32_t>(static_cast<std::size_t>(options.users));
  store.num_segments = detail::kSegments;
  std::int32_t* segments = store.segments.mutable_data();
  std::vector<std::int32_t> sessions(static_cast<std::size_t>(options.users) + 1, 0);
  detail::parallel_for(static_cast<std::size_t>(options.users), 256, options.num_threads,
                       [&](std::size_t begin, std::size_t end, int) {
    detail::Shopper shopper(options, catalog, days);
    for (std::size_t u = begin; u < end; ++u)
      sessions[u + 1] = shopper.shop(static_cast<std::int32_t>(u), static_cast<std::size_t>(offsets[u]),
                                     static_cast<std::size_t>(offsets[u + 1]), e, segments[u]);
  });
  for (std::size_t u = 0; u < static_cast<std::size_t>(options.users); ++u) sessions[u + 1] += sessions[u];
  std::vector<std::int32_t> users(n);
  detail::parallel_for(static_cast<std::size_t>(options.users), 256, options.num_threads,
                       [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t u = begin; u < end; ++u)
      for (auto row = static_cast<std::size_t>(offsets[u]); row < static_cast<std::size_t>(offsets[u + 1]); ++row) {
        users[row] = static_cast<std::int32_t>(u);
        e.sessions[row] += sessions[u];
      }
  });

  const std::vector<std::uint32_t> rows = by_time(e, options);
  store.events.users = ordered(users, rows, options.num_threads);
  store.events.items = ordered(e.items, rows, options.num_threads);
  store.events.events = ordered(e.types, rows, options.num_threads);
  store.events.times_ms = ordered(e.times, rows, options.num_threads);
  store.events.values = ordered(e.values, rows, options.num_threads);
  store.events.sessions = ordered(e.sessions, rows, options.num_threads);
  store.events.event_names = {"view", "cart", "purchase", "return"};
  store.events.user_ids = detail::numbered_ids("user-", options.users, 7);
  store.events.item_ids = store.catalog.item_ids;
  store.events.session_ids = detail::numbered_ids("visit-", sessions.back(), 8);
  return store;
}

std::uint64_t SyntheticStore::hash() const {
  std::uint64_t h = 0x9e3779b97f4a7c15ULL;
  const auto add = [&h](std::uint64_t word) {
    h = (h ^ word) * 0xd6e8feb86659fd93ULL;
    h ^= h >> 32;
  };
  const auto numbers = [&](const auto& array) {
    add(array.size());
    for (const auto v : array) {
      if constexpr (std::is_same_v<std::decay_t<decltype(v)>, float>) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, &v, sizeof bits);
        add(bits);
      } else {
        add(static_cast<std::uint64_t>(v));
      }
    }
  };
  const auto text = [&](std::string_view s) {
    add(s.size());
    for (const char c : s) add(static_cast<unsigned char>(c));
  };
  const auto texts = [&](const std::vector<std::string>& list) {
    add(list.size());
    for (const std::string& s : list) text(s);
  };
  const auto ids = [&](const SharedIdMap& map) {
    add(static_cast<std::uint64_t>(map->size()));
    for (std::int32_t i = 0; i < map->size(); ++i) text(map->string_at(i));
  };
  numbers(events.users);
  numbers(events.items);
  numbers(events.events);
  numbers(events.times_ms);
  numbers(events.values);
  numbers(events.sessions);
  texts(events.event_names);
  ids(events.user_ids);
  ids(events.item_ids);
  ids(events.session_ids);
  texts(catalog.names);
  texts(catalog.category_paths);
  texts(catalog.brands);
  texts(catalog.tags);
  numbers(catalog.prices);
  numbers(catalog.stock);
  numbers(catalog.launch_ms);
  numbers(segments);
  return h;
}

}  // namespace etalage
