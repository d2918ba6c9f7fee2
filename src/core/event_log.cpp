// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/event_log.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/group_rows.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"

namespace etalage {
namespace {

template <class T>
void check_size(const Array<T>& a, std::size_t n, const char* name, bool required) {
  if (a.size() != n && (required || !a.empty()))
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(a.size()) + " entries, must have one for each of the " +
                                std::to_string(n) + " events" + (required ? "" : " or none"));
}

/// Smallest and largest entry's check against [0, size); size < 0 stands for "whatever occurs". Returns the size.
template <class T>
std::int32_t check_codes(const Array<T>& a, std::int64_t size, const char* name) {
  constexpr std::size_t grain = 262144;
  std::vector<std::int64_t> largest(detail::num_chunks(a.size(), grain), -1);
  detail::parallel_for(a.size(), grain, 0, [&](std::size_t b, std::size_t e, int) {
    std::int64_t high = -1;
    for (std::size_t i = b; i < e; ++i) {
      const auto v = static_cast<std::int64_t>(a[i]);
      if (v < 0 || (size >= 0 && v >= size) || v == 2147483647)
        throw std::invalid_argument(std::string(name) + " holds " + std::to_string(v) + " at event " + std::to_string(i) + ", must be in [0, " +
                                    std::to_string(size >= 0 ? size : 2147483647) + ")");
      high = std::max(high, v);
    }
    largest[b / grain] = high;
  });
  if (size >= 0) return static_cast<std::int32_t>(size);
  std::int64_t high = -1;
  for (const std::int64_t v : largest) high = std::max(high, v);
  return static_cast<std::int32_t>(high + 1);
}

template <class T>
Array<T> take(const Array<T>& a, std::span<const std::uint8_t> keep, std::size_t kept) {
  if (a.empty()) return a;
  Array<T> out(kept, uninitialized);
  T* to = out.mutable_data();
  for (std::size_t i = 0; i < a.size(); ++i)
    if (keep[i] != 0) *to++ = a[i];
  return out;
}

/// Each row's session, and how many there are.
struct SessionNumbers {
  Array<std::int32_t> of_row;
  std::int32_t count = 0;
};

/// Sessions by user and key. The log's own numbers where each key is one user's, else numbers in order of first
/// appearance of (user, key).
SessionNumbers session_numbers(const EventLog::Columns& c) {
  const std::int32_t keys = c.session_ids ? c.session_ids->size() : check_codes(c.sessions, -1, "sessions");
  const std::size_t n = c.users.size();
  std::vector<std::int32_t> user_of(static_cast<std::size_t>(keys), -1);
  bool shared = false;
  for (std::size_t i = 0; i < n && !shared; ++i) {
    std::int32_t& user = user_of[static_cast<std::size_t>(c.sessions[i])];
    if (user < 0) user = c.users[i];
    shared = user != c.users[i];
  }
  if (!shared) return {c.sessions, keys};
  SessionNumbers out{Array<std::int32_t>(n, uninitialized), 0};
  std::int32_t* to = out.of_row.mutable_data();
  std::unordered_map<std::uint64_t, std::int32_t> number;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t pair = static_cast<std::uint64_t>(c.users[i]) << 32 | static_cast<std::uint32_t>(c.sessions[i]);
    const auto [at, fresh] = number.try_emplace(pair, out.count);
    if (fresh) ++out.count;
    to[i] = at->second;
  }
  return out;
}

/// Appends a log's ids to `all`, and returns the new index of each.
std::vector<std::int32_t> joined(SharedIdMap& all, const SharedIdMap& ids, const char* what) {
  std::vector<std::int32_t> index;
  if (!ids) return index;
  if (!all) all = std::make_shared<const IdMap>();
  if (!all->empty() && !ids->empty() && all->kind() != ids->kind())
    throw std::invalid_argument(std::string(what) + " keys are strings in one log and integers in another, must be of one kind");
  const bool strings = ids->kind() == IdMap::Kind::kString;
  std::vector<std::string_view> texts;
  std::vector<std::int64_t> numbers;
  for (std::int32_t i = 0; i < ids->size(); ++i) {
    const std::int32_t known = strings ? all->find(ids->string_at(i)) : all->find(ids->integer_at(i));
    index.push_back(known >= 0 ? known : all->size() + static_cast<std::int32_t>(texts.size() + numbers.size()));
    if (known >= 0) continue;
    if (strings) texts.push_back(ids->string_at(i));
    else numbers.push_back(ids->integer_at(i));
  }
  if (!texts.empty()) all = std::make_shared<const IdMap>(all->extended(std::span<const std::string_view>(texts)));
  if (!numbers.empty()) all = std::make_shared<const IdMap>(all->extended(std::span<const std::int64_t>(numbers)));
  return index;
}

/// One column of all logs, by way of each log's new numbers where there are any.
template <class T, class Index>
Array<T> chained(std::span<const EventLog> logs, Array<T> EventLog::Columns::*column, std::size_t n, const char* name,
                 const std::vector<std::vector<Index>>& numbers) {
  bool any = false;
  for (const EventLog& log : logs) any = any || !(log.columns().*column).empty();
  if (!any) return {};
  Array<T> out(n, uninitialized);
  T* to = out.mutable_data();
  for (std::size_t k = 0; k < logs.size(); ++k) {
    const Array<T>& from = logs[k].columns().*column;
    if (from.size() != static_cast<std::size_t>(logs[k].size()))
      throw std::invalid_argument("log " + std::to_string(k) + " has no " + name + " and another has, must be in all logs or in none");
    for (const T v : from) *to++ = numbers.empty() ? v : static_cast<T>(numbers[k][static_cast<std::size_t>(v)]);
  }
  return out;
}

}  // namespace

EventLog EventLog::concat(std::span<const EventLog> logs) {
  Columns out;
  ReadReport report;
  std::size_t n = 0;
  std::vector<std::vector<std::int32_t>> users;
  std::vector<std::vector<std::int32_t>> items;
  std::vector<std::vector<std::int32_t>> sessions;
  std::vector<std::vector<std::int32_t>> events;
  for (const EventLog& log : logs) {
    const Columns& c = log.columns_;
    if (log.size() != 0 && (!c.user_ids || !c.item_ids || (!c.sessions.empty() && !c.session_ids)))
      throw std::invalid_argument("a log has no keys, must have them to be joined with others");
    n += c.users.size();
    users.push_back(joined(out.user_ids, c.user_ids, "user"));
    items.push_back(joined(out.item_ids, c.item_ids, "item"));
    sessions.push_back(joined(out.session_ids, c.session_ids, "session"));
    std::vector<std::int32_t> type;
    for (const std::string& name : c.event_names) {
      const auto at = std::find(out.event_names.begin(), out.event_names.end(), name);
      type.push_back(static_cast<std::int32_t>(at - out.event_names.begin()));
      if (at == out.event_names.end()) out.event_names.push_back(name);
    }
    events.push_back(std::move(type));
    report.rows_read += log.report_.rows_read;
    report.rows_kept += log.report_.rows_kept;
    report.rows_refused += log.report_.rows_refused;
  }
  if (out.event_names.size() > 65535) throw std::invalid_argument("the logs hold more than 65535 event types together");
  const std::vector<std::vector<std::int32_t>> as_is;
  out.users = chained(logs, &Columns::users, n, "users", users);
  out.items = chained(logs, &Columns::items, n, "items", items);
  out.events = chained(logs, &Columns::events, n, "event column", events);
  out.times_ms = chained(logs, &Columns::times_ms, n, "time column", as_is);
  out.values = chained(logs, &Columns::values, n, "value column", as_is);
  out.sessions = chained(logs, &Columns::sessions, n, "session column", sessions);
  return EventLog(std::move(out), std::move(report));
}

EventLog::EventLog(Columns columns, ReadReport report) : columns_(std::move(columns)), report_(std::move(report)) {
  const std::size_t n = columns_.users.size();
  check_size(columns_.items, n, "items", true);
  check_size(columns_.events, n, "events", false);
  check_size(columns_.times_ms, n, "times_ms", false);
  check_size(columns_.values, n, "values", false);
  check_size(columns_.sessions, n, "sessions", false);
  const auto size_of = [](const SharedIdMap& ids) { return ids ? std::int64_t{ids->size()} : std::int64_t{-1}; };
  num_users_ = check_codes(columns_.users, size_of(columns_.user_ids), "users");
  num_items_ = check_codes(columns_.items, size_of(columns_.item_ids), "items");
  check_codes(columns_.events, static_cast<std::int64_t>(columns_.event_names.size()), "events");
  check_codes(columns_.sessions, size_of(columns_.session_ids), "sessions");
  detail::parallel_for(columns_.values.size(), 262144, 0, [&](std::size_t b, std::size_t e, int) {
    for (std::size_t i = b; i < e; ++i)
      if (!std::isfinite(columns_.values[i]))
        throw std::invalid_argument("values holds " + std::to_string(columns_.values[i]) + " at event " + std::to_string(i) +
                                    ", must be finite");
  });
  if (report_.rows_read == 0 && n != 0) report_.rows_read = report_.rows_kept = static_cast<std::int64_t>(n);
}

EventLog::EventLog(Columns columns, ReadReport report, Checked /*checked*/) noexcept
    : columns_(std::move(columns)), report_(std::move(report)), num_users_(columns_.user_ids->size()), num_items_(columns_.item_ids->size()) {}

EventLog EventLog::filtered(std::span<const std::uint8_t> keep) const {
  if (keep.size() != columns_.users.size())
    throw std::invalid_argument("keep has " + std::to_string(keep.size()) + " entries, must have one for each of the " +
                                std::to_string(columns_.users.size()) + " events");
  std::size_t kept = 0;
  for (const std::uint8_t k : keep) kept += k != 0;
  EventLog out;
  Columns& c = out.columns_;
  c = columns_;
  c.users = take(columns_.users, keep, kept);
  c.items = take(columns_.items, keep, kept);
  c.events = take(columns_.events, keep, kept);
  c.times_ms = take(columns_.times_ms, keep, kept);
  c.values = take(columns_.values, keep, kept);
  c.sessions = take(columns_.sessions, keep, kept);
  out.num_users_ = num_users_;
  out.num_items_ = num_items_;
  out.report_.rows_read = out.report_.rows_kept = static_cast<std::int64_t>(kept);
  return out;
}

Sequences EventLog::sequences(By by, double idle_minutes) const {
  const std::size_t n = columns_.users.size();
  const bool timed = !columns_.times_ms.empty() || n == 0;
  const bool own_sessions = by == By::kSession && !columns_.sessions.empty();
  const bool cut = by == By::kSession && !own_sessions;
  if (cut) {
    detail::require_finite(idle_minutes > 0, "idle_minutes", idle_minutes, "a finite number > 0");
    if (!timed) throw std::invalid_argument("by=\"session\" needs a time or a session column, this log has neither");
  }
  SessionNumbers sessions;
  if (own_sessions) sessions = session_numbers(columns_);
  detail::RowGroups groups = own_sessions ? detail::group_rows(sessions.of_row.view(), sessions.count, 0)
                                          : detail::group_rows(columns_.users, num_users_, 0);
  const auto lists = static_cast<std::int64_t>(groups.offsets.size()) - 1;
  Array<std::int32_t> items(n, uninitialized);
  Array<std::int64_t> times(timed ? n : 0, uninitialized);
  std::int64_t* rows = groups.rows.mutable_data();
  std::int32_t* to_items = items.mutable_data();
  std::int64_t* to_times = times.mutable_data();
  detail::parallel_for(static_cast<std::size_t>(lists), 1024, 0, [&](std::size_t first, std::size_t last, int) {
    for (std::size_t g = first; g < last; ++g) {
      const auto b = static_cast<std::size_t>(groups.offsets[g]);
      const auto e = static_cast<std::size_t>(groups.offsets[g + 1]);
      // Rows ascend within a group, so comparing rows second makes the order stable without extra memory.
      if (timed)
        std::sort(rows + b, rows + e, [&](std::int64_t x, std::int64_t y) {
          const std::int64_t tx = columns_.times_ms[static_cast<std::size_t>(x)];
          const std::int64_t ty = columns_.times_ms[static_cast<std::size_t>(y)];
          return tx != ty ? tx < ty : x < y;
        });
      for (std::size_t j = b; j < e; ++j) {
        to_items[j] = columns_.items[static_cast<std::size_t>(rows[j])];
        if (timed) to_times[j] = columns_.times_ms[static_cast<std::size_t>(rows[j])];
      }
    }
  });
  if (by == By::kUser)
    return Sequences(groups.offsets, std::move(items), std::move(times), num_items_, {}, columns_.user_ids, columns_.item_ids);

  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> whose;
  const double idle_ms = idle_minutes * 60000.0;
  for (std::size_t g = 0; g < static_cast<std::size_t>(lists); ++g) {
    const auto b = static_cast<std::size_t>(groups.offsets[g]);
    const auto e = static_cast<std::size_t>(groups.offsets[g + 1]);
    if (b == e) continue;
    const std::int32_t user = columns_.users[static_cast<std::size_t>(rows[b])];
    for (std::size_t j = b; j + 1 < e && cut; ++j)
      if (static_cast<double>(times[j + 1] - times[j]) > idle_ms) {
        offsets.push_back(static_cast<std::int64_t>(j + 1));
        whose.push_back(user);
      }
    whose.push_back(user);
    offsets.push_back(static_cast<std::int64_t>(e));
  }
  return Sequences(Array<std::int64_t>(offsets), std::move(items), std::move(times), num_items_, Array<std::int32_t>(whose),
                   columns_.user_ids, columns_.item_ids);
}

}  // namespace etalage
