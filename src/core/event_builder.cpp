// SPDX-License-Identifier: Apache-2.0
#include "core/event_builder.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/convert.hpp"
#include "core/intern.hpp"
#include "detail/parallel_for.hpp"

namespace etalage::detail {
namespace {

enum Mark : std::uint8_t { kUser = 1, kItem = 2, kEvent = 4, kTime = 8, kValue = 16, kSession = 32 };

template <class T>
Array<T> kept_rows(const Array<T>& a, std::span<const std::uint8_t> bad, std::size_t kept) {
  if (a.empty()) return a;
  Array<T> out(kept, uninitialized);
  T* to = out.mutable_data();
  std::size_t n = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (bad[i] == 0) to[n++] = a[i];
  return out;
}

void mark_missing(const Array<std::int32_t>& codes, std::span<std::uint8_t> bad, std::uint8_t mark, int num_threads) {
  parallel_for(codes.size(), 65536, num_threads, [&](std::size_t b, std::size_t e, int) {
    for (std::size_t i = b; i < e; ++i)
      if (codes[i] < 0) bad[i] |= mark;
  });
}

class Builder {
 public:
  Builder(EventInput input, const EventColumns& options) : in_(std::move(input)), options_(options) {}

  EventLog build() {
    open(in_.user);
    const auto n = static_cast<std::size_t>(in_.user.size());
    rows_ = in_.user.size();
    if (!in_.read)
      for (const Column* c : {ptr(in_.item), ptr(in_.event), ptr(in_.time), ptr(in_.value), ptr(in_.session)})
        if (c != nullptr) check_rows(*c);
    bad_.assign(n, 0);
    Interned users = keys(in_.user, options_.user_kind, kUser);
    open(in_.item);
    Interned items = keys(in_.item, options_.item_kind, kItem);
    Interned events;
    Interned sessions;
    EventLog::Columns out;
    if (in_.event) {
      open(*in_.event);
      events = keys(*in_.event, std::nullopt, kEvent);
    }
    if (in_.time) {
      open(*in_.time);
      out.times_ms = to_times(*in_.time, options_.time_unit, bad_, kTime, options_.num_threads);
      close(*in_.time, kTime);
    }
    if (in_.value) {
      open(*in_.value);
      out.values = to_floats(*in_.value, bad_, kValue, options_.num_threads);
      close(*in_.value, kValue);
    }
    if (in_.session) {
      open(*in_.session);
      sessions = keys(*in_.session, std::nullopt, kSession);
    }

    ReadReport report = refuse();
    Interned* const maps[] = {&users, &items, &events, &sessions};
    as_text(users, options_.user_kind);
    as_text(items, options_.item_kind);
    if (report.rows_kept != static_cast<std::int64_t>(n)) {
      const auto kept = static_cast<std::size_t>(report.rows_kept);
      for (Interned* k : maps)
        if (k->ids) *k = renumbered(kept_rows(k->codes, bad_, kept), *k->ids);
      out.times_ms = kept_rows(out.times_ms, bad_, kept);
      out.values = kept_rows(out.values, bad_, kept);
    }
    out.users = std::move(users.codes);
    out.user_ids = std::move(users.ids);
    out.items = std::move(items.codes);
    out.item_ids = std::move(items.ids);
    out.sessions = std::move(sessions.codes);
    out.session_ids = std::move(sessions.ids);
    if (events.ids) name_events(events, out);
    return EventLog(std::move(out), std::move(report), EventLog::Checked{});
  }

 private:
  static const Column* ptr(const std::optional<Column>& c) { return c ? &*c : nullptr; }
  static const Column* ptr(const Column& c) { return &c; }

  void check_rows(const Column& c) const {
    if (c.size() != rows_)
      throw std::invalid_argument("column '" + c.name + "' has " + std::to_string(c.size()) + " rows, must have as many as '" +
                                  in_.user.name + "', " + std::to_string(rows_));
  }

  /// Reads the column where columns come one by one.
  void open(Column& column) const {
    if (!in_.read) return;
    column = in_.read(column.name);
    if (&column != &in_.user) check_rows(column);
  }

  /// Frees the column's memory unless a row was refused for it.
  void close(Column& column, std::uint8_t mark) const {
    std::uint8_t named = 0;
    for (const std::uint8_t b : bad_) named |= b;
    if ((named & mark) != 0) return;
    column.chunks.clear();
    column.owner.reset();
  }

  /// Integers as the decimal text that keys shall be.
  static void as_text(Interned& keys, const std::optional<IdMap::Kind>& kind) {
    if (kind != IdMap::Kind::kString || keys.ids->kind() == IdMap::Kind::kString) return;
    std::vector<std::string> texts;
    for (std::int32_t i = 0; i < keys.ids->size(); ++i) texts.push_back(keys.ids->text_at(i));
    keys.ids = std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(texts)));
  }

  /// Numbers a column's keys, or the integers that its text shall be.
  Interned keys(Column& column, const std::optional<IdMap::Kind>& kind, std::uint8_t mark) {
    Column integers;
    const bool converted = kind == IdMap::Kind::kInteger && column.has_strings();
    if (converted) integers = integers_of(column, options_.num_threads);
    Interned k = intern_keys(converted ? integers : column, options_.num_threads);
    if (!k.complete) mark_missing(k.codes, bad_, mark, options_.num_threads);
    k.finish();
    if (k.complete) {
      column.chunks.clear();
      column.owner.reset();
    }
    return k;
  }

  static void name_events(const Interned& events, EventLog::Columns& out) {
    constexpr std::int32_t limit = std::numeric_limits<std::uint16_t>::max();
    if (events.ids->size() > limit)
      throw std::invalid_argument("the event column holds " + std::to_string(events.ids->size()) + " different types, must be at most " +
                                  std::to_string(limit));
    for (std::int32_t e = 0; e < events.ids->size(); ++e) out.event_names.push_back(events.ids->text_at(e));
    out.events = Array<std::uint16_t>(events.codes.size(), uninitialized);
    std::uint16_t* to = out.events.mutable_data();
    for (std::size_t i = 0; i < events.codes.size(); ++i) to[i] = static_cast<std::uint16_t>(events.codes[i]);
  }

  [[nodiscard]] std::string why(std::size_t i) const {
    const auto row = static_cast<std::int64_t>(i);
    const std::uint8_t b = bad_[i];
    const auto noted = [&](const Column& column) -> std::optional<std::string> {
      for (const UnreadableCell& cell : in_.unreadable)
        if (cell.row == row && cell.column == column.name) return column.name + " " + cell.reason;
      return std::nullopt;
    };
    const auto key = [&](const Column& column, const std::optional<IdMap::Kind>& kind = std::nullopt) {
      const auto note = noted(column);
      return note ? *note : why_no_key(column, row, kind);
    };
    if ((b & kUser) != 0) return key(in_.user, options_.user_kind);
    if ((b & kItem) != 0) return key(in_.item, options_.item_kind);
    if ((b & kEvent) != 0) return key(*in_.event);
    if ((b & kTime) != 0) {
      const auto note = noted(*in_.time);
      return note ? *note : why_no_time(*in_.time, row, options_.time_unit);
    }
    if ((b & kValue) != 0) {
      const auto note = noted(*in_.value);
      return note ? *note : why_no_number(*in_.value, row);
    }
    return key(*in_.session);
  }

  ReadReport refuse() const {
    const std::size_t n = bad_.size();
    ReadReport report;
    report.lines = in_.lines;
    std::uint8_t any = 0;
    for (const std::uint8_t b : bad_) any |= b;
    const std::int64_t refused = any == 0 ? 0 : static_cast<std::int64_t>(n) - std::count(bad_.begin(), bad_.end(), 0);
    report.rows_read = static_cast<std::int64_t>(n) + in_.refused;
    report.rows_kept = static_cast<std::int64_t>(n) - refused;
    report.rows_refused = refused + in_.refused;
    report.refused.reserve(static_cast<std::size_t>(refused) + in_.refused_places.size());
    for (std::size_t i = 0; i < n && refused != 0; ++i) {
      if (bad_[i] == 0) continue;
      const auto row = static_cast<std::int64_t>(i);
      report.refused.push_back(in_.place_of ? in_.place_of(row) : row);
      if (report.refusals.size() < ReadReport::kMaxRefusals) report.refusals.push_back({report.refused.back(), why(i)});
    }
    report.refused.insert(report.refused.end(), in_.refused_places.begin(), in_.refused_places.end());
    std::sort(report.refused.begin(), report.refused.end());
    report.refusals.insert(report.refusals.end(), in_.refusals.begin(), in_.refusals.end());
    std::stable_sort(report.refusals.begin(), report.refusals.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
    if (report.refusals.size() > ReadReport::kMaxRefusals) report.refusals.resize(ReadReport::kMaxRefusals);
    if (options_.on_error == OnError::kRaise && report.rows_refused != 0) {
      const auto& first = report.refusals.front();
      throw std::invalid_argument(std::string(report.lines ? "line " : "row ") + std::to_string(first.line) + ": " + first.reason +
                                  " (" + std::to_string(report.rows_refused) + " of " + std::to_string(report.rows_read) +
                                  " rows are bad; on_error=\"skip\" keeps the others and reports these)");
    }
    return report;
  }

  EventInput in_;
  const EventColumns& options_;
  std::int64_t rows_ = 0;
  std::vector<std::uint8_t> bad_;
};

}  // namespace

EventLog build_event_log(EventInput input, const EventColumns& options) { return Builder(std::move(input), options).build(); }

}  // namespace etalage::detail
