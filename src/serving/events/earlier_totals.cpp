// SPDX-License-Identifier: Apache-2.0
#include "serving/events/earlier_totals.hpp"

#include <algorithm>
#include <cmath>

#include "profile/decay.hpp"
#include "profile/gap_moments.hpp"
#include "serving/events/event_codec.hpp"

namespace etalage::serving {
namespace {

using profile::days_between;

constexpr std::int64_t kNever = EarlierTotals::kNever;

std::int64_t earlier(std::int64_t a, std::int64_t b) noexcept { return a == kNever ? b : b == kNever ? a : std::min(a, b); }

void add_type(EarlierTotals& t, const EarlierTotals::Type& one) {
  const auto found = std::find_if(t.types.begin(), t.types.end(), [&](const auto& x) { return x.type == one.type && x.negative == one.negative; });
  if (found == t.types.end()) {
    t.types.push_back(one);
    return;
  }
  found->events += one.events;
  found->value += one.value;
}

std::vector<EarlierTotals::Bought>::iterator place_of(EarlierTotals& t, std::int32_t item) {
  return std::lower_bound(t.bought.begin(), t.bought.end(), item, [](const EarlierTotals::Bought& b, std::int32_t i) { return b.item < i; });
}

EarlierTotals::Bought& bought_of(EarlierTotals& t, std::int32_t item) {
  const auto at = place_of(t, item);
  if (at != t.bought.end() && at->item == item) return *at;
  return *t.bought.insert(at, {.item = item});
}

void keep_latest(EarlierTotals& t, std::size_t limit) {
  while (t.bought.size() > limit)
    t.bought.erase(std::min_element(t.bought.begin(), t.bought.end(), [](const auto& a, const auto& b) { return a.last_ms < b.last_ms; }));
}

/// As UserProfile counts a purchase.
void add_purchase(EarlierTotals& t, const EarlierEvent& e, std::int64_t idle_ms) {
  const bool first = t.last_purchase_ms == kNever;
  const bool late = !first && e.time_ms < t.last_purchase_ms;
  t.first_purchase_ms = earlier(t.first_purchase_ms, e.time_ms);
  if (first || (!late && e.time_ms - t.last_purchase_ms > idle_ms)) {
    ++t.orders;
    if (!first) {
      const double gap = days_between(t.last_purchase_ms, e.time_ms);
      ++t.order_gaps;
      profile::add_gap(gap, t.order_gaps, t.gap_mean_days, t.gap_m2);
      t.last_gap_days = gap;
    }
  }
  if (!late) t.last_purchase_ms = e.time_ms;
  EarlierTotals::Bought& b = bought_of(t, e.item);
  b.quantity += static_cast<double>(e.value);
  if (b.last_ms == kNever) {
    b.count = 1;
    b.last_ms = e.time_ms;
  } else if (e.time_ms > b.last_ms) {
    if (e.time_ms - b.last_ms > idle_ms) {
      const double log_gap = std::log(days_between(b.last_ms, e.time_ms));
      ++b.count;
      b.sum_log_gap += log_gap;
      b.sum_log_gap2 += log_gap * log_gap;
    }
    b.last_ms = e.time_ms;
  }
}

}  // namespace

void add_earlier(EarlierTotals& t, const EarlierEvent& e, std::int64_t idle_ms, std::size_t bought_limit) {
  const bool buys = serving::buys(e, e.value);
  if (t.last_ms == kNever || e.time_ms - t.last_ms > idle_ms) {
    ++t.sessions;
    t.session_start_ms = e.time_ms;
    t.session_purchases = 0;
  }
  if (buys && e.time_ms >= t.session_start_ms && ++t.session_purchases == 1) ++t.buying_sessions;
  t.first_ms = earlier(t.first_ms, e.time_ms);
  t.last_ms = std::max(t.last_ms, e.time_ms);
  add_type(t, {e.type, e.value < 0, 1, static_cast<double>(e.value)});
  if (buys) add_purchase(t, e, idle_ms);
  else if (e.purchase || e.returns) bought_of(t, e.item).quantity -= std::abs(static_cast<double>(e.value));
  keep_latest(t, bought_limit);
}

void merge_earlier(EarlierTotals& t, const EarlierTotals& o, std::size_t bought_limit) {
  if (o.empty()) return;
  if (t.empty()) {
    t = o;
    return;
  }
  if (o.last_ms > t.last_ms) {
    t.session_start_ms = o.session_start_ms;
    t.session_purchases = o.session_purchases;
  }
  if (o.last_purchase_ms > t.last_purchase_ms && o.order_gaps > 0) t.last_gap_days = o.last_gap_days;
  profile::merge_gaps(t.order_gaps, t.gap_mean_days, t.gap_m2, o.order_gaps, o.gap_mean_days, o.gap_m2);
  t.first_ms = earlier(t.first_ms, o.first_ms);
  t.last_ms = std::max(t.last_ms, o.last_ms);
  t.first_purchase_ms = earlier(t.first_purchase_ms, o.first_purchase_ms);
  t.last_purchase_ms = std::max(t.last_purchase_ms, o.last_purchase_ms);
  for (const auto member : {&EarlierTotals::sessions, &EarlierTotals::buying_sessions, &EarlierTotals::orders, &EarlierTotals::order_gaps})
    t.*member += o.*member;
  for (const EarlierTotals::Type& type : o.types) add_type(t, type);
  for (const EarlierTotals::Bought& b : o.bought) {
    EarlierTotals::Bought& mine = bought_of(t, b.item);
    // Each list's first purchase opens no gap, so one occasion is dropped to keep gaps = count - 1.
    mine.count += b.count - (mine.count > 0 && b.count > 0 ? 1 : 0);
    mine.last_ms = std::max(mine.last_ms, b.last_ms);
    mine.quantity += b.quantity;
    mine.sum_log_gap += b.sum_log_gap;
    mine.sum_log_gap2 += b.sum_log_gap2;
  }
  keep_latest(t, bought_limit);
}

void put_earlier(ByteWriter& w, const EarlierTotals& t, const std::function<std::int32_t(std::int32_t)>& number_of) {
  for (const std::int64_t x : {t.first_ms, t.last_ms, t.first_purchase_ms, t.last_purchase_ms, t.session_start_ms, t.session_purchases, t.sessions,
                               t.buying_sessions, t.orders, t.order_gaps})
    w.put(x);
  for (const double x : {t.gap_mean_days, t.gap_m2, t.last_gap_days}) w.put(x);
  w.put(static_cast<std::uint32_t>(t.types.size()));
  for (const EarlierTotals::Type& type : t.types) {
    w.put(type.type);
    w.put(static_cast<std::uint8_t>(type.negative ? 1 : 0));
    w.put(type.events);
    w.put(type.value);
  }
  const auto named = [&](const EarlierTotals::Bought& b) { return number_of(b.item) >= 0; };
  w.put(static_cast<std::uint32_t>(std::count_if(t.bought.begin(), t.bought.end(), named)));
  for (const EarlierTotals::Bought& b : t.bought) {
    if (!named(b)) continue;
    w.put(number_of(b.item));
    w.put(b.count);
    w.put(b.last_ms);
    for (const double x : {b.quantity, b.sum_log_gap, b.sum_log_gap2}) w.put(x);
  }
}

EarlierTotals get_earlier(ByteReader& r, const std::function<std::int32_t(std::int32_t)>& item,
                          const std::function<std::uint16_t(std::uint16_t)>& type) {
  EarlierTotals t;
  for (std::int64_t* x : {&t.first_ms, &t.last_ms, &t.first_purchase_ms, &t.last_purchase_ms, &t.session_start_ms}) {
    *x = r.get<std::int64_t>();
    if ((*x < 0 && *x != kNever) || *x > kLatestMs) ByteReader::fail("found a time that is not in [0, 2^60] in a shopper's totals");
  }
  if (t.empty()) ByteReader::fail("found a shopper's totals of nothing");
  for (std::int64_t* x : {&t.session_purchases, &t.sessions, &t.buying_sessions, &t.orders, &t.order_gaps}) {
    *x = r.get<std::int64_t>();
    if (*x < 0 || *x > (std::int64_t{1} << 53)) ByteReader::fail("found a count of a shopper's totals that is not in [0, 2^53]");
  }
  const auto number = [&r] {
    const auto x = r.get<double>();
    if (!std::isfinite(x)) ByteReader::fail("found a sum of a shopper's totals that is not finite");
    return x;
  };
  for (double* x : {&t.gap_mean_days, &t.gap_m2, &t.last_gap_days}) *x = number();
  for (auto n = r.get_count(19); n > 0; --n) {
    EarlierTotals::Type one;
    one.type = type(r.get<std::uint16_t>());
    const auto negative = r.get<std::uint8_t>();
    one.negative = negative == 1;
    one.events = r.get<std::int64_t>();
    if (negative > 1 || one.events < 0 || one.events > (std::int64_t{1} << 53)) ByteReader::fail("found a type of a shopper's totals that no events make");
    one.value = number();
    add_type(t, one);
  }
  for (auto n = r.get_count(40); n > 0; --n) {
    EarlierTotals::Bought b;
    b.item = item(r.get<std::int32_t>());
    b.count = r.get<std::int32_t>();
    b.last_ms = r.get<std::int64_t>();
    for (double* x : {&b.quantity, &b.sum_log_gap, &b.sum_log_gap2}) *x = number();
    const auto at = place_of(t, b.item);
    if (b.count < 0 || b.count > (1 << 30) || b.last_ms > kLatestMs || (b.count == 0) != (b.last_ms == kNever) || (b.last_ms < 0 && b.last_ms != kNever) || (at != t.bought.end() && at->item == b.item))
      ByteReader::fail("found a product of a shopper's totals twice, or bought as no events buy");
    t.bought.insert(at, b);
  }
  return t;
}

std::size_t bytes_of(const EarlierTotals& t) noexcept {
  return sizeof t + t.types.capacity() * sizeof(EarlierTotals::Type) + t.bought.capacity() * sizeof(EarlierTotals::Bought);
}

}  // namespace etalage::serving
