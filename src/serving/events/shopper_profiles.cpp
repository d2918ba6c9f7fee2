// SPDX-License-Identifier: Apache-2.0
#include "serving/events/shopper_profiles.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

namespace etalage::serving {
namespace {

/// An event type's role: by its name where the options know it, else by what the store is told of it.
EventRole role_of(const EventType& type, const ProfileOptions& options) {
  if (const auto named = options.roles.find(type.name); named != options.roles.end()) return named->second;
  if (type.purchase) return EventRole::kPurchase;
  if (type.returns) return EventRole::kReturn;
  return type.weight > 0 ? EventRole::kView : EventRole::kIgnore;
}

/// Levels of "category" or "category:2"; 0 for another grouping.
std::int32_t depth_of(std::string_view by) {
  if (by == "category") return std::numeric_limits<std::int32_t>::max();
  std::int32_t depth = 0;
  if (by.starts_with("category:")) std::from_chars(by.data() + 9, by.data() + by.size(), depth);
  return depth;
}

}  // namespace

ShopperProfiles::ShopperProfiles(const Snapshot& snapshot, const EventStoreOptions& events, const LiveRows& rows) : snapshot_(snapshot), rows_(rows) {
  for (const EventType& type : events.event_types) roles_.push_back(role_of(type, snapshot.profile_options()));
  const SnapshotParts& p = snapshot.parts();
  if (p.rerank.method != RerankMethod::kCalibrated) return;
  const auto groups = snapshot.catalog()->groups(p.calibrate_by);
  if (const std::int32_t depth = depth_of(p.calibrate_by); depth > 0) {
    map_categories(*groups, depth);
  } else if (p.calibrate_by == "brand") {
    brand_.assign(static_cast<std::size_t>(snapshot.facts().num_brands()), -1);
    for (std::int32_t i = 0; i < snapshot.catalog()->size(); ++i)
      if (const std::int32_t b = snapshot.facts().brand(i); b >= 0) brand_[static_cast<std::size_t>(b)] = groups->code(i);
  } else {
    return;
  }
  num_groups_ = groups->names.size();
}

void ShopperProfiles::map_categories(const ItemGroups& groups, std::int32_t depth) {
  const ItemFacts& facts = snapshot_.facts();
  category_.assign(static_cast<std::size_t>(facts.num_categories()), -1);
  std::vector<std::int32_t> level(category_.size(), 1);  // parents come before children
  for (std::int32_t c = 0; c < facts.num_categories(); ++c)
    if (const std::int32_t up = facts.parent(c); up >= 0) level[static_cast<std::size_t>(c)] = level[static_cast<std::size_t>(up)] + 1;
  for (std::int32_t i = 0; i < snapshot_.catalog()->size(); ++i) {
    std::int32_t node = facts.category(i);
    while (node >= 0 && level[static_cast<std::size_t>(node)] > depth) node = facts.parent(node);
    if (node >= 0) category_[static_cast<std::size_t>(node)] = groups.code(i);
  }
}

/// A product that this catalogue lacks is somebody all the same: it counts as an event, and is never recommended.
std::int32_t ShopperProfiles::row_of(std::int32_t item) const {
  const std::int32_t row = rows_.row_of(item);
  const std::int32_t products = snapshot_.catalog()->size();
  if (row >= 0) return row;
  return item > std::numeric_limits<std::int32_t>::max() - products ? std::numeric_limits<std::int32_t>::max() : products + item;
}

/// Totals by what the types mean here, money by what products cost now.
void ShopperProfiles::begin(const EarlierTotals& earlier, UserProfile& out) const {
  const ProfileOptions& options = snapshot_.profile_options();
  UserProfile::Counts counts;
  UserProfile::Sums sums;
  counts.first_ms = earlier.first_ms;
  counts.last_ms = earlier.last_ms;
  counts.session_start_ms = earlier.session_start_ms;
  counts.session_purchases = earlier.session_purchases;
  counts.sessions = earlier.sessions;
  for (const EarlierTotals::Type& t : earlier.types) {
    EventRole role = t.type < roles_.size() ? roles_[t.type] : EventRole::kIgnore;
    if (role == EventRole::kIgnore) continue;
    if (role == EventRole::kPurchase && t.negative) role = EventRole::kReturn;
    counts.events += t.events;
    if (role == EventRole::kView) counts.views += t.events;
    if (role == EventRole::kCart) counts.carts += t.events;
    if (role == EventRole::kPurchase) counts.purchases += t.events;
    if (role == EventRole::kReturn) counts.returns += t.events;
    if (options.value_is_amount && role == EventRole::kPurchase) sums.money += t.value;
    if (options.value_is_amount && role == EventRole::kReturn) sums.money -= std::abs(t.value);
  }
  if (counts.events == 0) return;
  std::vector<ItemMemory> bought;
  if (counts.purchases != 0) {
    counts.first_purchase_ms = earlier.first_purchase_ms;
    counts.last_purchase_ms = earlier.last_purchase_ms;
    counts.buying_sessions = earlier.buying_sessions;
    counts.orders = earlier.orders;
    counts.order_gaps = earlier.order_gaps;
    sums.gap_mean_days = earlier.gap_mean_days;
    sums.gap_m2 = earlier.gap_m2;
    sums.last_gap_days = earlier.last_gap_days;
    for (const EarlierTotals::Bought& b : earlier.bought)
      if (b.count > 0) bought.push_back({row_of(b.item), b.count, b.last_ms, b.sum_log_gap, b.sum_log_gap2});
  }
  if (!options.value_is_amount)
    for (const EarlierTotals::Bought& b : earlier.bought)
      if (const float price = snapshot_.facts().price(row_of(b.item)); !std::isnan(price)) sums.money += b.quantity * static_cast<double>(price);
  out.begin_after(counts, sums, std::move(bought), options);
}

void ShopperProfiles::make(std::int32_t row, const UserView& view, UserProfile& out) const {
  const SnapshotParts& p = snapshot_.parts();
  auto event = view.history.begin();
  if (p.profiles && row >= 0 && row < p.profiles->size()) {
    out = p.profiles->at(row);
    event = std::upper_bound(event, view.history.end(), p.trained_ms, [](std::int64_t t, const UserView::Past& e) { return t < e.time_ms; });
  } else {
    out = UserProfile();
    if (!view.earlier.empty()) begin(view.earlier, out);
  }
  for (; event != view.history.end(); ++event) {
    const EventRole role = event->type < roles_.size() ? roles_[event->type] : EventRole::kIgnore;
    out.observe({row_of(event->item), role, event->time_ms, event->value}, snapshot_.facts(), snapshot_.profile_options());
  }
}

bool ShopperProfiles::target(const UserProfile& profile, std::span<float> out) const {
  std::fill(out.begin(), out.end(), 0.0f);
  const ItemFacts& facts = snapshot_.facts();
  const auto add = [&](const std::vector<std::int32_t>& group, std::int32_t id, double weight) {
    const std::int32_t g = id >= 0 && static_cast<std::size_t>(id) < group.size() ? group[static_cast<std::size_t>(id)] : -1;
    if (g >= 0) out[static_cast<std::size_t>(g)] += static_cast<float>(weight);
    return g >= 0;
  };
  for (const Affinity& a : category_.empty() ? std::span<const Affinity>() : profile.categories_unsorted()) {
    if (!add(category_, a.id, a.weight)) continue;
    // What lies below a node counts there too: it is taken out again where that is a group of its own.
    for (std::int32_t up = facts.parent(a.id); up >= 0; up = facts.parent(up))
      if (add(category_, up, -a.weight)) break;
  }
  for (const Affinity& a : brand_.empty() ? std::span<const Affinity>() : profile.brands_unsorted()) add(brand_, a.id, a.weight);
  float sum = 0;
  for (float& p : out) {
    p = std::max(p, 0.0f);
    sum += p;
  }
  if (!(sum > 0)) {
    std::fill(out.begin(), out.end(), 0.0f);
    return false;
  }
  for (float& p : out) p /= sum;
  return true;
}

}  // namespace etalage::serving
