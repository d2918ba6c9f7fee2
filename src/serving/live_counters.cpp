// SPDX-License-Identifier: Apache-2.0
#include "serving/live_counters.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace etalage::serving {
namespace {

constexpr double kNone = -std::numeric_limits<double>::infinity();

std::size_t shard_of(std::int32_t item) noexcept { return static_cast<std::size_t>(item) % kItemShards; }
std::size_t place_of(std::int32_t item) noexcept { return static_cast<std::size_t>(item) / kItemShards; }

double plus(double a, double b) noexcept {
  const double high = std::max(a, b);
  return high + std::log2(1.0 + std::exp2(std::min(a, b) - high));
}

}  // namespace

TrendingCounters::TrendingCounters(double half_life_ms, std::size_t leaders)
    : half_life_ms_(half_life_ms), limit_(leaders), shards_(kItemShards), threshold_(kNone) {}

void TrendingCounters::add(std::int32_t item, float weight, std::int64_t time_ms) {
  if (!(weight > 0)) return;
  const double term = std::log2(static_cast<double>(weight)) + static_cast<double>(time_ms) / half_life_ms_;
  Shard& shard = shards_[shard_of(item)];
  const std::size_t at = place_of(item);
  const std::lock_guard guard(shard.mutex);
  if (at >= shard.levels.size()) shard.levels.resize(std::max(at + 1, shard.levels.size() * 3 / 2), kNone);
  const double before = shard.levels[at];
  const double now = before == kNone ? term : plus(before, term);
  shard.levels[at] = now;
  if (now > threshold_.load(std::memory_order_relaxed)) promote({before, item}, {now, item});
}

void TrendingCounters::promote(Leader before, Leader now) {
  const std::lock_guard guard(leaders_mutex_);
  const auto old = std::lower_bound(leaders_.begin(), leaders_.end(), before);
  const auto to = std::lower_bound(leaders_.begin(), leaders_.end(), now);
  if (old != leaders_.end() && old->item == before.item && old->level == before.level) {
    *old = now;
    std::rotate(to, old, old + 1);
  } else if (leaders_.size() < limit_) {
    leaders_.insert(to, now);
  } else if (to != leaders_.end()) {
    leaders_.back() = now;
    std::rotate(to, leaders_.end() - 1, leaders_.end());
  }
  if (leaders_.size() == limit_) threshold_.store(leaders_.back().level, std::memory_order_relaxed);
}

void TrendingCounters::subtract(std::span<const Taken> events) {
  for (const Taken& e : events) {
    if (!(e.weight > 0)) continue;
    Shard& shard = shards_[shard_of(e.item)];
    const std::lock_guard guard(shard.mutex);
    if (place_of(e.item) >= shard.levels.size()) continue;
    double& level = shard.levels[place_of(e.item)];
    const double rest = 1.0 - std::exp2(std::log2(static_cast<double>(e.weight)) + static_cast<double>(e.time_ms) / half_life_ms_ - level);
    // What rounding leaves of a counter that is taken back whole is nothing.
    level = rest > 1e-6 ? level + std::log2(rest) : kNone;
  }
  rebuild();
}

void TrendingCounters::rebuild() {
  std::vector<std::unique_lock<std::mutex>> guards;
  for (Shard& shard : shards_) guards.emplace_back(shard.mutex);
  const std::lock_guard guard(leaders_mutex_);
  leaders_.clear();
  for (std::size_t s = 0; s < shards_.size(); ++s)
    for (std::size_t i = 0; i < shards_[s].levels.size(); ++i)
      if (shards_[s].levels[i] != kNone) leaders_.push_back({shards_[s].levels[i], static_cast<std::int32_t>(i * kItemShards + s)});
  const auto keep = static_cast<std::ptrdiff_t>(std::min(limit_, leaders_.size()));
  std::partial_sort(leaders_.begin(), leaders_.begin() + keep, leaders_.end());
  leaders_.resize(static_cast<std::size_t>(keep));
  threshold_.store(leaders_.size() == limit_ ? leaders_.back().level : kNone, std::memory_order_relaxed);
}

std::size_t TrendingCounters::top(std::int64_t now_ms, std::span<std::pair<std::int32_t, float>> out) const {
  const double shift = static_cast<double>(now_ms) / half_life_ms_;
  const std::lock_guard guard(leaders_mutex_);
  const std::size_t n = std::min(out.size(), leaders_.size());
  for (std::size_t i = 0; i < n; ++i) out[i] = {leaders_[i].item, static_cast<float>(std::exp2(leaders_[i].level - shift))};
  return n;
}

double TrendingCounters::level(std::int32_t item) const {
  const Shard& shard = shards_[shard_of(item)];
  const std::lock_guard guard(shard.mutex);
  const std::size_t at = place_of(item);
  const double level = at < shard.levels.size() ? shard.levels[at] : kNone;
  return level == kNone ? std::numeric_limits<double>::quiet_NaN() : level;
}

void TrendingCounters::set_level(std::int32_t item, double level) {
  Shard& shard = shards_[shard_of(item)];
  const std::lock_guard guard(shard.mutex);
  const std::size_t at = place_of(item);
  if (at >= shard.levels.size()) shard.levels.resize(std::max(at + 1, shard.levels.size() * 3 / 2), kNone);
  shard.levels[at] = std::isnan(level) ? kNone : level;
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
