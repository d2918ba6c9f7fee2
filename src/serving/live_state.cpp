// SPDX-License-Identifier: Apache-2.0
#include "serving/live_state.hpp"

#include <algorithm>
#include <utility>

#include "core/hash.hpp"
#include "etalage/error.hpp"

namespace etalage::serving {
namespace {

constexpr std::int64_t kHour = 3'600'000;

std::uint64_t hash_of(KeyView key) noexcept {
  if (const auto* text = std::get_if<std::string_view>(&key)) return detail::hash_key(*text);
  return detail::hash_key(*std::get_if<std::int64_t>(&key));
}

}  // namespace

LiveState::LiveState(const EventStoreOptions& options)
    : users("user"), items("item"), trending(options.trending_half_life_hours * static_cast<double>(kHour), static_cast<std::size_t>(options.trending_size)),
      together(static_cast<std::size_t>(options.co_purchase_limit)), options_(options), shards_(kUserShards) {
  for (const EventType& t : options_.event_types) type_names_.push_back(t.name);
}

int LiveState::type_of(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < options_.event_types.size(); ++i)
    if (options_.event_types[i].name == name) return static_cast<int>(i);
  return -1;
}

std::uint16_t LiveState::replayed_type(std::string_view name) {
  const auto found = std::find(type_names_.begin(), type_names_.end(), name);
  if (found == type_names_.end() && type_names_.size() >= 65535) throw FormatError("a journal record: found more than 65535 types of events");
  const auto at = static_cast<std::uint16_t>(found - type_names_.begin());
  if (found == type_names_.end()) type_names_.emplace_back(name);
  return at;
}

void LiveState::note_seen(User& user, std::int32_t item, std::uint16_t type, std::int64_t time_ms) const {
  auto at = std::lower_bound(user.seen.begin(), user.seen.end(), item, [](const UserView::Seen& s, std::int32_t i) { return s.item < i; });
  if (at == user.seen.end() || at->item != item) {
    if (user.seen.size() >= static_cast<std::size_t>(options_.seen_limit)) {
      const auto oldest = std::min_element(user.seen.begin(), user.seen.end(), [](const auto& a, const auto& b) { return a.last_ms < b.last_ms; });
      user.seen.erase(oldest);
      at = std::lower_bound(user.seen.begin(), user.seen.end(), item, [](const UserView::Seen& s, std::int32_t i) { return s.item < i; });
    }
    at = user.seen.insert(at, {item, 0, time_ms, 0});
  }
  at->last_ms = std::max(at->last_ms, time_ms);
  if (is_purchase(type)) {
    ++at->purchases;
    at->last_purchase_ms = std::max(at->last_purchase_ms, time_ms);
  } else if (is_return(type) && at->purchases > 0 && --at->purchases == 0) {
    at->last_purchase_ms = 0;
  }
}

void LiveState::keep_newest(User& user) const {
  const auto limit = static_cast<std::size_t>(options_.history_limit);
  if (user.history.size() > limit) user.history.erase(user.history.begin(), user.history.end() - static_cast<std::ptrdiff_t>(limit));
}

void LiveState::partners_of(std::span<const Past> history, std::int32_t item, std::int64_t time_ms, std::vector<std::int32_t>& out) const {
  out.clear();
  const std::int64_t window = options_.co_purchase_hours * kHour;
  const auto from = std::lower_bound(history.begin(), history.end(), time_ms - window, [](const Past& p, std::int64_t t) { return p.time_ms < t; });
  for (auto p = from; p != history.end() && p->time_ms <= time_ms + window; ++p) {
    if (!is_purchase(p->type)) continue;
    if (p->item == item) {  // bought twice within the window: its pairs are counted already
      out.clear();
      return;
    }
    if (std::find(out.begin(), out.end(), p->item) == out.end()) out.push_back(p->item);
  }
}

LiveState::Outcome LiveState::observe(const SettledEvent& e, const Number& number) {
  Outcome out;
  const std::int32_t item = items.intern(e.item);
  thread_local std::vector<std::int32_t> partners;
  partners.clear();
  for (;;) {
    const std::uint64_t before = removals_.load(std::memory_order_acquire);
    const std::int32_t index = users.intern(e.user);
    Shard& shard = shard_of(index);
    const std::lock_guard guard(shard.mutex);
    if (removals_.load(std::memory_order_acquire) != before && users.find(e.user) != index) continue;
    const auto known = shard.users.find(index);
    if (e.check_duplicate && known != shard.users.end()) {
      const auto& h = known->second.history;
      for (auto p = std::lower_bound(h.begin(), h.end(), e.time_ms, [](const Past& q, std::int64_t t) { return q.time_ms < t; });
           p != h.end() && p->time_ms == e.time_ms; ++p)
        if (p->item == item && p->type == e.type && p->value == e.value) return out;
    }
    out.sequence = number();
    User& user = known == shard.users.end() ? shard.users[index] : known->second;
    user.version = out.sequence;
    if (is_purchase(e.type)) partners_of(user.history, item, e.time_ms, partners);
    const auto at = std::upper_bound(user.history.begin(), user.history.end(), e.time_ms, [](std::int64_t t, const Past& p) { return t < p.time_ms; });
    out.late = at != user.history.end();
    user.history.insert(at, {e.time_ms, item, e.value, e.type});
    keep_newest(user);
    note_seen(user, item, e.type, e.time_ms);
    break;
  }
  trending.add(item, trending_of(e.type), e.time_ms);
  for (const std::int32_t partner : partners) together.add(item, partner, 1);
  std::int64_t newest = newest_ms_.load(std::memory_order_relaxed);
  while (newest < e.time_ms && !newest_ms_.compare_exchange_weak(newest, e.time_ms, std::memory_order_relaxed)) {
  }
  return out;
}

std::uint64_t LiveState::merge(KeyView from, KeyView to, const Number& number) {
  for (;;) {
    const std::uint64_t before = removals_.load(std::memory_order_acquire);
    const std::int32_t source = users.find(from);
    if (source < 0) return 0;
    const std::int32_t target = users.intern(to);
    if (source == target) return 0;
    std::unique_lock first(shard_of(std::min(source, target)).mutex, std::defer_lock);
    std::unique_lock second(shard_of(std::max(source, target)).mutex, std::defer_lock);
    if (first.mutex() == second.mutex()) first.lock();
    else std::lock(first, second);
    if (removals_.load(std::memory_order_acquire) != before && (users.find(from) != source || users.find(to) != target)) continue;
    const std::uint64_t sequence = number();
    User moved;
    if (const auto found = shard_of(source).users.find(source); found != shard_of(source).users.end()) {
      moved = std::move(found->second);
      shard_of(source).users.erase(found);
    }
    User& user = shard_of(target).users[target];
    user.version = sequence;
    const auto middle = static_cast<std::ptrdiff_t>(user.history.size());
    user.history.insert(user.history.end(), moved.history.begin(), moved.history.end());
    std::inplace_merge(user.history.begin(), user.history.begin() + middle, user.history.end(),
                       [](const Past& a, const Past& b) { return a.time_ms < b.time_ms; });
    keep_newest(user);
    std::vector<UserView::Seen> seen;
    for (auto a = user.seen.begin(), b = moved.seen.begin(); a != user.seen.end() || b != moved.seen.end();) {
      if (b == moved.seen.end() || (a != user.seen.end() && a->item < b->item)) seen.push_back(*a++);
      else if (a == user.seen.end() || b->item < a->item) seen.push_back(*b++);
      else {
        seen.push_back({a->item, a->purchases + b->purchases, std::max(a->last_ms, b->last_ms), std::max(a->last_purchase_ms, b->last_purchase_ms)});
        ++a;
        ++b;
      }
    }
    if (seen.size() > static_cast<std::size_t>(options_.seen_limit)) {
      std::sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.last_ms > b.last_ms; });
      seen.resize(static_cast<std::size_t>(options_.seen_limit));
      std::sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.item < b.item; });
    }
    user.seen = std::move(seen);
    removals_.fetch_add(1, std::memory_order_acq_rel);
    users.erase(source);
    return sequence;
  }
}

void LiveState::take_back(const User& user) {
  std::vector<TrendingCounters::Taken> taken;
  std::vector<std::int32_t> partners;
  for (std::size_t i = 0; i < user.history.size(); ++i) {
    const Past& p = user.history[i];
    if (trending_of(p.type) > 0) taken.push_back({p.item, trending_of(p.type), p.time_ms});
    if (!is_purchase(p.type)) continue;
    partners_of(std::span(user.history).first(i), p.item, p.time_ms, partners);
    for (const std::int32_t partner : partners) together.add(p.item, partner, -1);
  }
  trending.subtract(taken);
}

std::uint64_t LiveState::erase(KeyView key, std::int64_t time_ms, const Number& number) {
  User gone;
  std::uint64_t sequence = 0;
  {
    // Whoever is not there yet is kept out too: the hash is noted before the index is let go.
    const std::int32_t index = users.find(key);
    std::unique_lock<std::mutex> guard;
    if (index >= 0) guard = std::unique_lock(shard_of(index).mutex);
    sequence = number();
    {
      const std::lock_guard erased(erased_mutex_);
      erased_[hash_of(key)] = time_ms;
      num_erased_.store(erased_.size(), std::memory_order_release);
    }
    if (index >= 0) {
      if (const auto found = shard_of(index).users.find(index); found != shard_of(index).users.end()) {
        gone = std::move(found->second);
        shard_of(index).users.erase(found);
      }
      removals_.fetch_add(1, std::memory_order_acq_rel);
      users.erase(index);
    }
  }
  take_back(gone);
  return sequence;
}

std::int64_t LiveState::erased_ms(KeyView user) const {
  if (num_erased_.load(std::memory_order_acquire) == 0) return 0;
  const std::shared_lock guard(erased_mutex_);
  const auto found = erased_.find(hash_of(user));
  return found == erased_.end() ? 0 : found->second;
}

bool LiveState::read_user(KeyView key, std::int64_t now_ms, UserView& out) const {
  out.index = -1;
  out.version = 0;
  out.history.clear();
  out.session.clear();
  out.seen.clear();
  const std::int32_t index = users.find(key);
  if (index < 0) return false;
  const Shard& shard = shard_of(index);
  {
    const std::lock_guard guard(shard.mutex);
    const auto found = shard.users.find(index);
    if (found == shard.users.end()) return false;
    const User& user = found->second;
    out.index = index;
    out.version = user.version;
    for (const Past& p : user.history) {
      const float weight = p.type < options_.event_types.size() ? options_.event_types[p.type].weight : 0;
      out.history.push_back({p.time_ms, p.item, weight * p.value, p.type, p.value});
    }
    out.seen.assign(user.seen.begin(), user.seen.end());
  }
  const std::int64_t idle = std::int64_t{options_.session_idle_minutes} * 60'000;
  std::int64_t later = now_ms;
  auto p = out.history.rbegin();
  while (p != out.history.rend() && later - p->time_ms <= idle) later = (p++)->time_ms;
  for (auto q = p.base(); q != out.history.end(); ++q)
    if (!is_return(q->type)) out.session.push_back(q->item);
  return true;
}

}  // namespace etalage::serving
