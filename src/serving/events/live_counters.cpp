// SPDX-License-Identifier: Apache-2.0
#include "serving/events/live_counters.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

namespace etalage::serving {
namespace {

std::size_t shard_of(std::int32_t item) noexcept { return static_cast<std::size_t>(item) % kItemShards; }
std::int32_t place_of(std::int32_t item) noexcept { return item / static_cast<std::int32_t>(kItemShards); }

using Counter = TrendingCounters::Counter;

bool larger(const Counter& a, const Counter& b) noexcept {
  if (a.mantissa == 0 || b.mantissa == 0) return a.mantissa > b.mantissa;
  return a.exponent != b.exponent ? a.exponent > b.exponent : a.mantissa > b.mantissa;
}

/// Grows with the counter, if not strictly.
double height(const Counter& c) noexcept {
  return c.mantissa == 0 ? -std::numeric_limits<double>::infinity() : static_cast<double>(c.exponent) + c.mantissa;
}

/// mantissa * 2^exponent, normalised; exponents beyond what any date and half-life give are held at the bound.
Counter normal(double mantissa, double exponent, std::uint32_t events) noexcept {
  if (!(mantissa > 0)) return {0, 0, events};
  int shift = 0;
  mantissa = std::frexp(mantissa, &shift);
  return {mantissa, static_cast<std::int32_t>(std::clamp(exponent + shift, -TrendingCounters::kMostExponent, TrendingCounters::kMostExponent)), events};
}

/// a + sign * b, in units of the larger one.
Counter sum(const Counter& a, const Counter& b, double sign, std::uint32_t events) noexcept {
  if (a.mantissa == 0) return {sign > 0 ? b.mantissa : 0, b.exponent, events};
  const std::int32_t high = std::max(a.exponent, b.exponent);
  const double value = std::ldexp(a.mantissa, std::max(a.exponent - high, -200)) + sign * std::ldexp(b.mantissa, std::max(b.exponent - high, -200));
  // What rounding leaves of a counter that is taken back whole is nothing; where nobody counted it was rounded more coarsely.
  const double least = a.events == TrendingCounters::kUnknownEvents ? 1e-6 : 0x1p-46;
  if (sign < 0 && !(value > least)) return {0, 0, events};
  return normal(value, high, events);
}

}  // namespace

TrendingCounters::TrendingCounters(double half_life_ms, std::size_t leaders)
    : half_life_ms_(half_life_ms), limit_(leaders), shards_(kItemShards), threshold_(-std::numeric_limits<double>::infinity()) {}

Counter TrendingCounters::term(float weight, std::int64_t time_ms) const noexcept {
  const double age = static_cast<double>(time_ms) / half_life_ms_;
  const double whole = std::floor(age);
  return normal(static_cast<double>(weight) * std::exp2(age - whole), whole, 1);
}

bool TrendingCounters::better(const Leader& a, const Leader& b) noexcept {
  if (larger(a.counter, b.counter)) return true;
  return !larger(b.counter, a.counter) && a.item < b.item;
}

TrendingCounters::Leader TrendingCounters::leader_at(const Shard& shard, std::size_t number, std::int32_t place) noexcept {
  return {shard.counters[static_cast<std::size_t>(place)], static_cast<std::int32_t>(static_cast<std::size_t>(place) * kItemShards + number)};
}

/// The winner of what lies under a node, which may be a leaf.
std::int32_t TrendingCounters::below(const Shard& shard, std::size_t node) noexcept {
  if (node < shard.winners.size()) return shard.winners[node];
  const std::size_t place = node - shard.winners.size();
  return place < shard.counters.size() && shard.counters[place].mantissa > 0 ? static_cast<std::int32_t>(place) : -1;
}

std::int32_t TrendingCounters::winner_of(const Shard& shard, std::int32_t a, std::int32_t b) noexcept {
  if (a < 0 || b < 0) return std::max(a, b);
  // Of one shard: the lower place is the lower item.
  return larger(shard.counters[static_cast<std::size_t>(b)], shard.counters[static_cast<std::size_t>(a)]) ? b : a;
}

void TrendingCounters::build_tree(Shard& shard) {
  std::size_t size = 1;
  while (size < shard.counters.size()) size *= 2;
  shard.winners.assign(size, -1);
  for (std::size_t node = size - 1; node >= 1; --node) shard.winners[node] = winner_of(shard, below(shard, 2 * node), below(shard, 2 * node + 1));
}

void TrendingCounters::make_room(Shard& shard, std::size_t place) {
  if (place < shard.counters.size()) return;
  shard.counters.resize(place + 1);
  if (place >= shard.winners.size()) build_tree(shard);
}

void TrendingCounters::risen(Shard& shard, std::int32_t place) {
  for (std::size_t node = (shard.winners.size() + static_cast<std::size_t>(place)) / 2; node >= 1; node /= 2) {
    std::int32_t& winner = shard.winners[node];
    if (winner == place) continue;
    if (winner >= 0 && winner_of(shard, std::min(winner, place), std::max(winner, place)) != place) return;
    winner = place;
  }
}

void TrendingCounters::fallen(Shard& shard, std::int32_t place) {
  for (std::size_t node = (shard.winners.size() + static_cast<std::size_t>(place)) / 2; node >= 1; node /= 2) {
    if (shard.winners[node] != place) return;
    shard.winners[node] = winner_of(shard, below(shard, 2 * node), below(shard, 2 * node + 1));
  }
}

void TrendingCounters::add(std::int32_t item, float weight, std::int64_t time_ms) {
  if (!(weight > 0)) return;
  Shard& shard = shards_[shard_of(item)];
  const std::int32_t place = place_of(item);
  const std::lock_guard guard(shard.mutex);
  make_room(shard, static_cast<std::size_t>(place));
  Counter& counter = shard.counters[static_cast<std::size_t>(place)];
  const Counter before = counter;
  counter = sum(before, term(weight, time_ms), 1, before.events + (before.events < kUnknownEvents ? 1 : 0));
  risen(shard, place);
  if (height(counter) >= threshold_.load(std::memory_order_relaxed)) promote({before, item}, {counter, item});
}

void TrendingCounters::promote(const Leader& before, const Leader& now) {
  const std::lock_guard guard(leaders_mutex_);
  if (cut_.counter.mantissa > 0 && !better(now, cut_)) return;
  const auto old = std::lower_bound(leaders_.begin(), leaders_.end(), before, better);
  const auto to = std::lower_bound(leaders_.begin(), leaders_.end(), now, better);
  if (old != leaders_.end() && old->item == before.item) {
    *old = now;
    std::rotate(to, old, old + 1);
    return;
  }
  leaders_.insert(to, now);
  if (leaders_.size() <= limit_) return;
  cut_ = leaders_.back();
  leaders_.pop_back();
  threshold_.store(height(cut_.counter), std::memory_order_relaxed);
}

bool TrendingCounters::demote(const Leader& before, const Leader& now) {
  const std::lock_guard guard(leaders_mutex_);
  const auto old = std::lower_bound(leaders_.begin(), leaders_.end(), before, better);
  if (old == leaders_.end() || old->item != before.item) return false;
  if (now.counter.mantissa == 0 || (cut_.counter.mantissa > 0 && !better(now, cut_))) {
    leaders_.erase(old);
  } else {
    const auto to = std::lower_bound(leaders_.begin(), leaders_.end(), now, better);
    *old = now;
    if (to != old) std::rotate(old, old + 1, to);  // what was taken may be too little to lower a counter
  }
  return cut_.counter.mantissa > 0 && leaders_.size() <= limit_ / 2;
}

void TrendingCounters::subtract(std::span<const Taken> events) {
  bool few = false;
  for (const Taken& e : events) {
    if (!(e.weight > 0)) continue;
    Shard& shard = shards_[shard_of(e.item)];
    const std::int32_t place = place_of(e.item);
    const std::lock_guard guard(shard.mutex);
    if (static_cast<std::size_t>(place) >= shard.counters.size()) continue;
    Counter& counter = shard.counters[static_cast<std::size_t>(place)];
    const Counter before = counter;
    if (before.mantissa == 0) {
      if (counter.events != kUnknownEvents && counter.events > 0) --counter.events;
      continue;
    }
    const std::uint32_t left = before.events == kUnknownEvents ? kUnknownEvents : before.events == 0 ? 0 : before.events - 1;
    counter = left == 0 ? Counter{} : sum(before, term(e.weight, e.time_ms), -1, left);
    fallen(shard, place);
    few = demote({before, e.item}, {counter, e.item}) || few;
  }
  if (few) refill(false);
}

/// Once half of the leaders have fallen: the best of each shard's tree, as many as are needed on average and some more,
/// or still more where a few shards hold most leaders. What a shard holds back bounds what is better than the new cut.
void TrendingCounters::refill(bool always) {
  std::vector<std::unique_lock<std::mutex>> guards;
  for (Shard& shard : shards_) guards.emplace_back(shard.mutex);
  const std::lock_guard guard(leaders_mutex_);
  if (!always && (cut_.counter.mantissa == 0 || leaders_.size() > limit_ / 2)) return;  // somebody else has
  std::vector<Leader> found;
  Leader bound{};
  for (std::size_t quota = 2 * limit_ / kItemShards + 16;; quota *= 4) {
    found.clear();
    bound = {};
    for (std::size_t number = 0; number < kItemShards; ++number) {
      const Leader next = take_best(shards_[number], number, quota, found);
      if (next.counter.mantissa > 0 && (bound.counter.mantissa == 0 || better(next, bound))) bound = next;
    }
    std::sort(found.begin(), found.end(), better);
    if (bound.counter.mantissa > 0) found.erase(std::lower_bound(found.begin(), found.end(), bound, better), found.end());
    if (bound.counter.mantissa == 0 || found.size() >= limit_ - limit_ / 4) break;
  }
  if (found.size() > limit_) {
    bound = found[limit_];
    found.resize(limit_);
  }
  leaders_ = std::move(found);
  cut_ = bound;
  threshold_.store(height(cut_.counter), std::memory_order_relaxed);
}

/// Appends the `quota` best of a shard and returns the next one.
TrendingCounters::Leader TrendingCounters::take_best(const Shard& shard, std::size_t number, std::size_t quota, std::vector<Leader>& found) {
  if (shard.counters.empty()) return {};
  // Subtrees by their winner. Taking a winner leaves the siblings of the nodes on the way down to it.
  const auto worse = [&](std::size_t a, std::size_t b) {
    return better(leader_at(shard, number, below(shard, b)), leader_at(shard, number, below(shard, a)));
  };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(worse)> open(worse);
  if (below(shard, 1) >= 0) open.push(1);
  for (std::size_t taken = 0; !open.empty(); ++taken) {
    std::size_t node = open.top();
    const std::int32_t winner = below(shard, node);
    if (taken == quota) return leader_at(shard, number, winner);
    open.pop();
    found.push_back(leader_at(shard, number, winner));
    while (node < shard.winners.size()) {
      const std::size_t left = 2 * node;
      const bool is_left = below(shard, left) == winner;
      if (const std::size_t other = is_left ? left + 1 : left; below(shard, other) >= 0) open.push(other);
      node = is_left ? left : left + 1;
    }
  }
  return {};
}

void TrendingCounters::rebuild() {
  for (Shard& shard : shards_) {
    const std::lock_guard guard(shard.mutex);
    if (!shard.counters.empty()) build_tree(shard);
  }
  refill(true);
}

std::size_t TrendingCounters::top(std::int64_t now_ms, std::span<std::pair<std::int32_t, float>> out) const {
  const double shift = static_cast<double>(now_ms) / half_life_ms_;
  const std::lock_guard guard(leaders_mutex_);
  const std::size_t n = std::min(out.size(), leaders_.size());
  for (std::size_t i = 0; i < n; ++i) {
    const Counter& c = leaders_[i].counter;
    out[i] = {leaders_[i].item, static_cast<float>(c.mantissa * std::exp2(static_cast<double>(c.exponent) - shift))};
  }
  return n;
}

Counter TrendingCounters::counter(std::int32_t item) const {
  const Shard& shard = shards_[shard_of(item)];
  const std::lock_guard guard(shard.mutex);
  const auto at = static_cast<std::size_t>(place_of(item));
  return at < shard.counters.size() ? shard.counters[at] : Counter{};
}

void TrendingCounters::set_counter(std::int32_t item, Counter counter, double shift) {
  Shard& shard = shards_[shard_of(item)];
  const std::lock_guard guard(shard.mutex);
  const auto at = static_cast<std::size_t>(place_of(item));
  if (at >= shard.counters.size()) shard.counters.resize(at + 1);
  const double whole = std::floor(shift);
  shard.counters[at] = shift == 0 ? counter : normal(counter.mantissa * std::exp2(shift - whole), static_cast<double>(counter.exponent) + whole, counter.events);
}

void CoPurchases::add(std::int32_t a, std::int32_t b, float delta) {
  add_one(a, b, delta);
  add_one(b, a, delta);
}

void CoPurchases::add_one(std::int32_t from, std::int32_t to, float delta) {
  Shard& shard = shards_[shard_of(from)];
  const std::lock_guard guard(shard.mutex);
  if (delta < 0 && !shard.lists.contains(from)) return;
  std::vector<Partner>& list = shard.lists[from];
  auto at = std::find_if(list.begin(), list.end(), [to](const Partner& p) { return p.item == to; });
  if (at == list.end()) {
    if (delta <= 0) return;
    if (list.size() < limit_) {
      list.push_back({to, delta});
    } else {
      list.back() = {to, list.back().count + delta};
    }
    at = list.end() - 1;
  } else {
    at->count += delta;
    if (at->count <= 0) {
      list.erase(at);
      if (list.empty()) shard.lists.erase(from);
      return;
    }
  }
  const auto better = [](const Partner& x, const Partner& y) { return x.count != y.count ? x.count > y.count : x.item < y.item; };
  for (; at != list.begin() && better(*at, *(at - 1)); --at) std::swap(*at, *(at - 1));
  for (; at + 1 != list.end() && better(*(at + 1), *at); ++at) std::swap(*at, *(at + 1));
}

std::size_t CoPurchases::top(std::int32_t item, std::span<std::pair<std::int32_t, float>> out) const {
  if (item < 0) return 0;
  const Shard& shard = shards_[shard_of(item)];
  const std::lock_guard guard(shard.mutex);
  const auto found = shard.lists.find(item);
  if (found == shard.lists.end()) return 0;
  const std::size_t n = std::min(out.size(), found->second.size());
  for (std::size_t i = 0; i < n; ++i) out[i] = {found->second[i].item, found->second[i].count};
  return n;
}

std::vector<CoPurchases::Partner> CoPurchases::partners(std::int32_t item) const {
  const Shard& shard = shards_[shard_of(item)];
  const std::lock_guard guard(shard.mutex);
  const auto found = shard.lists.find(item);
  return found == shard.lists.end() ? std::vector<Partner>{} : found->second;
}

void CoPurchases::set_partners(std::int32_t item, std::vector<Partner> partners) {
  Shard& shard = shards_[shard_of(item)];
  const std::lock_guard guard(shard.mutex);
  if (partners.size() > limit_) partners.resize(limit_);
  shard.lists[item] = std::move(partners);
}

}  // namespace etalage::serving
