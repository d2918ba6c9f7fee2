// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/event_log.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

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

}  // namespace

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
  std::int32_t num_sessions = 0;
  if (own_sessions) num_sessions = columns_.session_ids ? columns_.session_ids->size() : check_codes(columns_.sessions, -1, "sessions");
  detail::RowGroups groups = own_sessions ? detail::group_rows(columns_.sessions, num_sessions, 0)
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
