// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/user_profile.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "profile/decay.hpp"
#include "profile/gap_moments.hpp"

namespace etalage {
namespace {

using profile::days_between;
using profile::halved;

enum Rate : std::size_t { kViews, kCarts, kOrders, kSessions, kMoney };

double weight_of(EventRole role, const ProfileOptions& o) {
  switch (role) {
    case EventRole::kView: return o.view_weight;
    case EventRole::kCart: return o.cart_weight;
    case EventRole::kPurchase: return o.purchase_weight;
    case EventRole::kReturn: return o.return_weight;
    case EventRole::kIgnore: break;
  }
  return 0;
}

void add(std::vector<Affinity>& list, std::int32_t id, double weight, std::int32_t most) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const Affinity& a) { return a.id == id; });
  if (found != list.end()) {
    found->weight = std::max(0.0, found->weight + weight);
    return;
  }
  if (weight <= 0) return;
  if (list.size() < static_cast<std::size_t>(most)) {
    list.push_back({id, weight});
    return;
  }
  const auto weakest = std::min_element(list.begin(), list.end(), [](const Affinity& a, const Affinity& b) {
    return a.weight != b.weight ? a.weight < b.weight : a.id > b.id;
  });
  // A newcomer always gets the place: with old weights fading, it would otherwise never get in.
  *weakest = {id, weight};
}

void remember(std::vector<std::int32_t>& list, std::int32_t id) {
  if (id >= 0 && list.size() < UserProfile::kSessionItems && std::find(list.begin(), list.end(), id) == list.end()) list.push_back(id);
}

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

}  // namespace

void ProfileOptions::validate() const {
  require_options(*this);
  using detail::require;
  using detail::require_finite;
  require_finite(lapsed_gaps > at_risk_gaps, "lapsed_gaps", lapsed_gaps, "a finite number > at_risk_gaps");
}

std::vector<EventRole> ProfileOptions::roles_of(std::span<const std::string> event_names) const {
  if (event_names.empty()) return {untyped};
  std::vector<EventRole> out;
  for (const std::string& name : event_names) {
    const auto found = roles.find(name);
    if (found == roles.end())
      throw std::invalid_argument("roles has no entry for the event type '" + name + "', must name every type of the log (EventRole::kIgnore leaves one out)");
    out.push_back(found->second);
  }
  return out;
}

std::string_view lifecycle_name(Lifecycle segment) noexcept {
  constexpr std::array<std::string_view, 7> names{"unknown", "prospect", "new", "active", "loyal", "at risk", "lapsed"};
  return names[static_cast<std::size_t>(segment)];
}

void UserProfile::decay_to(std::int64_t time_ms, const ProfileOptions& options) {
  if (counts_.last_ms == kNever || time_ms <= counts_.last_ms) return;
  const double days = days_between(counts_.last_ms, time_ms);
  const double f = halved(days, options.half_life_days);
  for (Affinity& a : categories_) a.weight *= f;
  for (Affinity& a : brands_) a.weight *= f;
  for (double& x : sums_.bands) x *= f;
  for (double& x : sums_.hours) x *= f;
  for (double& x : sums_.weekdays) x *= f;
  sums_.price_level *= f;
  sums_.price_weight *= f;
  for (std::size_t h = 0; h < kRateHalfLives.size(); ++h) {
    const double g = halved(days, kRateHalfLives[h]);
    for (double& x : sums_.rates[h]) x *= g;
  }
}

void UserProfile::habits(const ProfileEvent& event, double weight, const ItemFacts& facts, const ProfileOptions& options) {
  for (std::int32_t c = facts.category(event.item); c != ItemFacts::kNone; c = facts.parent(c)) add(categories_, c, weight, options.max_categories);
  if (const std::int32_t b = facts.brand(event.item); b != ItemFacts::kNone) add(brands_, b, weight, options.max_brands);
  if (const std::int32_t band = facts.price_band(event.item); band != ItemFacts::kNone) {
    double& at = sums_.bands[static_cast<std::size_t>(band)];
    at = std::max(0.0, at + weight);
    if (weight > 0) {
      sums_.price_level += weight * static_cast<double>(facts.price_level(event.item));
      sums_.price_weight += weight;
    }
  }
  if (weight <= 0) return;
  const std::int64_t minutes = floor_div(event.time_ms, 60000) + options.utc_offset_minutes;
  const std::int64_t day = floor_div(minutes, 1440);
  sums_.hours[static_cast<std::size_t>((minutes - day * 1440) / 60)] += weight;
  sums_.weekdays[static_cast<std::size_t>(((day + 3) % 7 + 7) % 7)] += weight;
}

/// Counts the event into the running session, opening one where it is due. True for a new session.
bool UserProfile::session(const ProfileEvent& event, const ItemFacts& facts, const ProfileOptions& options) {
  const bool opens = counts_.last_ms == kNever || profile::minutes_between(counts_.last_ms, event.time_ms) > options.idle_minutes;
  if (opens) {
    counts_.previous_end_ms = counts_.last_ms;
    counts_.session_start_ms = event.time_ms;
    counts_.session_events = counts_.session_views = counts_.session_carts = counts_.session_purchases = counts_.session_priced = 0;
    sums_.session_price_level = sums_.session_price_max = 0;
    session_items_.clear();
    session_categories_.clear();
    ++counts_.sessions;
  } else if (event.time_ms < counts_.session_start_ms) {
    return false;
  }
  ++counts_.session_events;
  if (event.role == EventRole::kView) ++counts_.session_views;
  if (event.role == EventRole::kCart) ++counts_.session_carts;
  if (event.role == EventRole::kPurchase && ++counts_.session_purchases == 1) ++counts_.buying_sessions;
  if (const float level = facts.price_level(event.item); !std::isnan(level)) {
    ++counts_.session_priced;
    sums_.session_price_level += static_cast<double>(level);
    sums_.session_price_max = std::max(sums_.session_price_max, static_cast<double>(level));
  }
  remember(session_items_, event.item);
  remember(session_categories_, facts.category(event.item));
  return opens;
}

void UserProfile::purchase(const ProfileEvent& event, const ProfileOptions& options, Observed& out) {
  const bool late = counts_.last_purchase_ms != kNever && event.time_ms < counts_.last_purchase_ms;
  if (counts_.first_purchase_ms == kNever || event.time_ms < counts_.first_purchase_ms) counts_.first_purchase_ms = event.time_ms;
  const bool by_time = event.order == OrderPlace::kByTime;
  const bool first = counts_.last_purchase_ms == kNever;
  if (by_time) out.new_order = first || (!late && profile::minutes_between(counts_.last_purchase_ms, event.time_ms) > options.idle_minutes);
  else out.new_order = first || event.order == OrderPlace::kNewOrder;
  if (out.new_order && !first && !late) {
    const double gap = days_between(counts_.last_purchase_ms, event.time_ms);
    ++counts_.order_gaps;
    profile::add_gap(gap, counts_.order_gaps, sums_.gap_mean_days, sums_.gap_m2);
    sums_.last_gap_days = gap;
  }
  if (out.new_order) ++counts_.orders;
  if (!late) counts_.last_purchase_ms = event.time_ms;

  const auto found = std::find_if(items_.begin(), items_.end(), [&](const ItemMemory& m) { return m.item == event.item; });
  if (found != items_.end()) {
    if (event.time_ms <= found->last_ms) return;
    if (by_time ? profile::minutes_between(found->last_ms, event.time_ms) > options.idle_minutes : event.order != OrderPlace::kFurther) {
      const double gap = days_between(found->last_ms, event.time_ms);
      const double log_gap = std::log(gap);
      ++found->count;
      found->sum_log_gap += log_gap;
      found->sum_log_gap2 += log_gap * log_gap;
      out.repurchase_gap_days = gap;
      out.item_occasion = true;
    }
    found->last_ms = event.time_ms;
    return;
  }
  out.item_occasion = true;
  const ItemMemory fresh{event.item, 1, event.time_ms, 0, 0};
  if (items_.size() < static_cast<std::size_t>(options.max_items)) {
    items_.push_back(fresh);
    return;
  }
  // The oldest leaves, once-bought ones first: who comes back for a product is what this memory is for.
  const auto victim = std::min_element(items_.begin(), items_.end(), [](const ItemMemory& a, const ItemMemory& b) {
    if ((a.count > 1) != (b.count > 1)) return a.count <= 1;
    return a.last_ms != b.last_ms ? a.last_ms < b.last_ms : a.item > b.item;
  });
  *victim = fresh;
}

void UserProfile::begin_after(const Counts& counts, const Sums& sums, std::vector<ItemMemory> bought, const ProfileOptions& options) {
  counts_ = counts;
  sums_ = sums;
  items_ = std::move(bought);
  keep_latest_items(options);
}

void UserProfile::keep_latest_items(const ProfileOptions& options) {
  if (items_.size() <= static_cast<std::size_t>(options.max_items)) return;
  std::sort(items_.begin(), items_.end(), [](const ItemMemory& a, const ItemMemory& b) {
    return a.last_ms != b.last_ms ? a.last_ms > b.last_ms : a.item < b.item;
  });
  items_.resize(static_cast<std::size_t>(options.max_items));
}

Observed UserProfile::observe(const ProfileEvent& given, const ItemFacts& facts, const ProfileOptions& options) {
  Observed out;
  ProfileEvent event = given;
  event.role = given.meaning();
  if (event.role == EventRole::kIgnore) return out;
  detail::require(event.item >= 0, "item", event.item, ">= 0");
  if (!std::isfinite(event.value)) throw std::invalid_argument(detail::violated("value", event.value, "finite"));
  decay_to(event.time_ms, options);
  // What came late has aged already.
  const double age = counts_.last_ms == kNever ? 0 : std::max(0.0, days_between(event.time_ms, counts_.last_ms));
  const bool late = age > 0;
  habits(event, weight_of(event.role, options) * halved(age, options.half_life_days), facts, options);
  out.new_session = session(event, facts, options);

  double amount = 0;
  if (event.role == EventRole::kPurchase || event.role == EventRole::kReturn) {
    const float price = facts.price(event.item);
    amount = options.value_is_amount ? static_cast<double>(event.value)
                                     : (std::isnan(price) ? 0.0 : static_cast<double>(event.value) * static_cast<double>(price));
    amount = event.role == EventRole::kReturn ? -std::abs(amount) : amount;
    sums_.money += amount;
  }
  ++counts_.events;
  switch (event.role) {
    case EventRole::kView: ++counts_.views; break;
    case EventRole::kCart: ++counts_.carts; break;
    case EventRole::kPurchase:
      ++counts_.purchases;
      purchase(event, options, out);
      break;
    case EventRole::kReturn: ++counts_.returns; break;
    case EventRole::kIgnore: break;
  }
  for (std::size_t h = 0; h < kRateHalfLives.size(); ++h) {
    const double f = late ? halved(age, kRateHalfLives[h]) : 1.0;
    auto& r = sums_.rates[h];
    if (event.role == EventRole::kView) r[kViews] += f;
    if (event.role == EventRole::kCart) r[kCarts] += f;
    if (out.new_order) r[kOrders] += f;
    if (out.new_session) r[kSessions] += f;
    r[kMoney] = std::max(0.0, r[kMoney] + f * amount);
  }
  if (counts_.first_ms == kNever || event.time_ms < counts_.first_ms) counts_.first_ms = event.time_ms;
  if (!late) {
    counts_.last_ms = event.time_ms;
    counts_.last_role = static_cast<std::int64_t>(event.role);
  }
  return out;
}

void UserProfile::merge(const UserProfile& other, const ProfileOptions& options) {
  if (other.empty()) return;
  if (empty()) {
    *this = other;
    return;
  }
  UserProfile that = other;
  const bool that_is_newer = that.counts_.last_ms > counts_.last_ms;
  decay_to(that.counts_.last_ms, options);
  that.decay_to(counts_.last_ms, options);
  const auto earlier = [](std::int64_t a, std::int64_t b) { return a == kNever ? b : (b == kNever ? a : std::min(a, b)); };
  Counts c = counts_;
  const Counts& o = that.counts_;
  c.first_ms = earlier(c.first_ms, o.first_ms);
  c.first_purchase_ms = earlier(c.first_purchase_ms, o.first_purchase_ms);
  c.last_ms = std::max(c.last_ms, o.last_ms);
  c.last_purchase_ms = std::max(c.last_purchase_ms, o.last_purchase_ms);
  for (const auto member : {&Counts::events, &Counts::views, &Counts::carts, &Counts::purchases, &Counts::returns, &Counts::sessions,
                            &Counts::buying_sessions, &Counts::orders, &Counts::order_gaps})
    c.*member += o.*member;
  Sums& s = sums_;
  const Sums& p = that.sums_;
  profile::merge_gaps(counts_.order_gaps, s.gap_mean_days, s.gap_m2, o.order_gaps, p.gap_mean_days, p.gap_m2);
  if (o.last_purchase_ms > counts_.last_purchase_ms && o.order_gaps > 0) s.last_gap_days = p.last_gap_days;
  s.money += p.money;
  s.price_level += p.price_level;
  s.price_weight += p.price_weight;
  for (std::size_t h = 0; h < s.rates.size(); ++h)
    for (std::size_t r = 0; r < s.rates[h].size(); ++r) s.rates[h][r] += p.rates[h][r];
  for (std::size_t i = 0; i < s.bands.size(); ++i) s.bands[i] += p.bands[i];
  for (std::size_t i = 0; i < s.hours.size(); ++i) s.hours[i] += p.hours[i];
  for (std::size_t i = 0; i < s.weekdays.size(); ++i) s.weekdays[i] += p.weekdays[i];
  if (that_is_newer) {
    for (const auto member : {&Counts::previous_end_ms, &Counts::session_start_ms, &Counts::session_events, &Counts::session_views, &Counts::session_carts,
                              &Counts::session_purchases, &Counts::session_priced, &Counts::last_role})
      c.*member = o.*member;
    s.session_price_level = p.session_price_level;
    s.session_price_max = p.session_price_max;
    session_items_ = that.session_items_;
    session_categories_ = that.session_categories_;
  }
  for (const Affinity& a : sorted(that.categories_)) add(categories_, a.id, a.weight, options.max_categories);
  for (const Affinity& a : sorted(that.brands_)) add(brands_, a.id, a.weight, options.max_brands);
  for (const ItemMemory& m : that.items_) {
    const auto found = std::find_if(items_.begin(), items_.end(), [&](const ItemMemory& x) { return x.item == m.item; });
    if (found == items_.end()) {
      items_.push_back(m);
      continue;
    }
    // Each list's first purchase opens no gap, so one occasion is dropped to keep gaps = count - 1.
    found->count += m.count - 1;
    found->last_ms = std::max(found->last_ms, m.last_ms);
    found->sum_log_gap += m.sum_log_gap;
    found->sum_log_gap2 += m.sum_log_gap2;
  }
  keep_latest_items(options);
  counts_ = c;
}

std::vector<Affinity> UserProfile::sorted(const std::vector<Affinity>& list) {
  std::vector<Affinity> out;
  for (const Affinity& a : list)
    if (a.weight > 0) out.push_back(a);
  std::sort(out.begin(), out.end(), [](const Affinity& a, const Affinity& b) { return a.weight != b.weight ? a.weight > b.weight : a.id < b.id; });
  return out;
}

double UserProfile::category_share(std::int32_t category, const ItemFacts& facts) const {
  double all = 0;
  double here = 0;
  for (const Affinity& a : categories_) {
    // Roll-up has put the weight of everything below into the roots.
    if (a.id < facts.num_categories() && facts.parent(a.id) == ItemFacts::kNone) all += a.weight;
    if (a.id == category) here = a.weight;
  }
  return all > 0 ? std::min(1.0, here / all) : 0;
}

double UserProfile::brand_share(std::int32_t brand) const {
  double all = 0;
  double here = 0;
  for (const Affinity& a : brands_) {
    all += a.weight;
    if (a.id == brand) here = a.weight;
  }
  return all > 0 ? here / all : 0;
}

double UserProfile::band_share(std::int32_t band) const {
  detail::require_index(band, ItemFacts::kPriceBands, "band");
  double all = 0;
  for (const double x : sums_.bands) all += x;
  return all > 0 ? sums_.bands[static_cast<std::size_t>(band)] / all : 0;
}

double UserProfile::price_level() const noexcept {
  return sums_.price_weight > 0 ? sums_.price_level / sums_.price_weight : std::numeric_limits<double>::quiet_NaN();
}

std::vector<ItemMemory> UserProfile::bought() const {
  std::vector<ItemMemory> out = items_;
  std::sort(out.begin(), out.end(), [](const ItemMemory& a, const ItemMemory& b) {
    return a.last_ms != b.last_ms ? a.last_ms > b.last_ms : a.item < b.item;
  });
  return out;
}

double UserProfile::recency_days(std::int64_t now_ms) const noexcept {
  if (counts_.last_purchase_ms == kNever) return std::numeric_limits<double>::infinity();
  return std::max(0.0, days_between(counts_.last_purchase_ms, now_ms));
}

Lifecycle UserProfile::lifecycle(std::int64_t now_ms, const ProfileOptions& options) const noexcept {
  if (empty()) return Lifecycle::kUnknown;
  if (counts_.last_purchase_ms == kNever) return Lifecycle::kProspect;
  const auto gaps = static_cast<double>(counts_.order_gaps);
  const double usual = (gaps * sums_.gap_mean_days + options.typical_gap_days) / (gaps + 1);
  const double since = recency_days(now_ms);
  if (since > options.lapsed_gaps * usual) return Lifecycle::kLapsed;
  if (since > options.at_risk_gaps * usual) return Lifecycle::kAtRisk;
  if (days_between(counts_.first_purchase_ms, now_ms) <= options.new_days) return Lifecycle::kNew;
  return counts_.orders >= options.loyal_orders ? Lifecycle::kLoyal : Lifecycle::kActive;
}

}  // namespace etalage
