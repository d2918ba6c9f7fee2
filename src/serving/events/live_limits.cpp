// SPDX-License-Identifier: Apache-2.0
// How many shoppers LiveState keeps, and who goes first.
#include <algorithm>

#include "serving/events/earlier_totals.hpp"
#include "serving/events/live_state.hpp"

namespace etalage::serving {
namespace {

constexpr std::size_t kRemovalsAnEvent = 4;     // more than one event can add, so that lowered limits are reached
constexpr std::int64_t kRecordOverhead = 64;    // of the key's index and the allocator, about

}  // namespace

void LiveState::note_oldest(std::size_t shard, std::size_t line) noexcept {
  const User* oldest = shards_[shard].lines[line].oldest;
  oldest_[line][shard].store(oldest == nullptr ? UINT64_MAX : oldest->version, std::memory_order_relaxed);
  if (line == kVisitors) idle_since_[shard].store(oldest == nullptr ? INT64_MAX : oldest->last_ms, std::memory_order_relaxed);
}

/// At the newest end: versions of a shard are given under its lock, so that they only rise.
void LiveState::link(std::size_t shard, User& user) {
  const std::size_t place = user.customer ? kCustomers : kVisitors;
  Line& line = shards_[shard].lines[place];
  user.older = line.newest;
  user.newer = nullptr;
  (line.newest == nullptr ? line.oldest : line.newest->newer) = &user;
  line.newest = &user;
  user.linked = true;
  if (line.oldest == &user) note_oldest(shard, place);
}

void LiveState::unlink(std::size_t shard, User& user) {
  if (!user.linked) return;
  user.linked = false;
  const std::size_t place = user.customer ? kCustomers : kVisitors;
  Line& line = shards_[shard].lines[place];
  const bool first = line.oldest == &user;
  (user.older == nullptr ? line.oldest : user.older->newer) = user.newer;
  (user.newer == nullptr ? line.newest : user.newer->older) = user.older;
  if (first) note_oldest(shard, place);
}

void LiveState::weigh(User& user, KeyView key) {
  const auto* text = std::get_if<std::string_view>(&key);
  const std::int64_t bytes = static_cast<std::int64_t>(sizeof(User) + user.history.capacity() * sizeof(Past) + user.seen.capacity() * sizeof(UserView::Seen) +
                                                       user.pairs.capacity() * sizeof(Pair) + (text == nullptr ? 0 : text->size()) + (user.earlier.empty() ? 0 : bytes_of(user.earlier.front()))) +
                             kRecordOverhead;
  if (bytes == user.bytes) return;
  shopper_bytes_.fetch_add(bytes - user.bytes, std::memory_order_relaxed);
  user.bytes = bytes;
}

void LiveState::remove_user(std::size_t shard, User& user) {
  unlink(shard, user);
  shopper_bytes_.fetch_sub(user.bytes, std::memory_order_relaxed);
  num_shoppers_.fetch_sub(1, std::memory_order_relaxed);
  const std::int32_t index = user.index;
  user = User{};  // before somebody else is given the index
  users.erase(index);
}

bool LiveState::becomes_customer(KeyView key, bool bought_or_named) const noexcept {
  const auto* text = std::get_if<std::string_view>(&key);
  if (options_.visitor_prefix.empty() || text == nullptr) return bought_or_named;
  return !text->starts_with(options_.visitor_prefix);
}

bool LiveState::beyond_caps() const noexcept {
  return (options_.max_shoppers != 0 && num_shoppers() > options_.max_shoppers) ||
         (options_.max_shopper_bytes != 0 && shopper_bytes() > options_.max_shopper_bytes && num_shoppers() > 1);
}

void LiveState::forget(std::size_t shard, User& user, const NumberForgotten& number) {
  Key key;
  if (!users.key_at(user.index, key)) return;
  number(view_of(key));
  remove_user(shard, user);
}

std::size_t LiveState::enforce_caps(std::size_t at_most, const NumberForgotten& number) {
  std::size_t removed = 0;
  // A shard may have changed since it was looked at: as many looks again are enough, and the next event goes on.
  for (std::size_t looks = 0; removed < at_most && looks < 2 * at_most && beyond_caps(); ++looks) {
    bool anybody = false;
    for (const std::size_t line : {kVisitors, kCustomers}) {
      const auto& versions = oldest_[line];
      std::size_t shard = 0;
      std::uint64_t oldest = UINT64_MAX;
      for (std::size_t s = 0; s < kUserShards; ++s)
        if (const std::uint64_t v = versions[s].load(std::memory_order_relaxed); v < oldest) {
          oldest = v;
          shard = s;
        }
      if (oldest == UINT64_MAX) continue;
      anybody = true;
      const std::lock_guard guard(shards_[shard].mutex);
      User* user = shards_[shard].lines[line].oldest;
      if (user == nullptr || user->version != oldest) break;
      forget(shard, *user, number);
      ++removed;
      break;
    }
    if (!anybody) break;
  }
  return removed;
}

std::size_t LiveState::enforce_limits(KeyView user, std::int64_t now_ms, const NumberForgotten& number) {
  // Idle ones of this shopper's shard alone: each event looks after its own, and events come to all of them.
  const std::size_t place = shard_number(user);
  const std::int64_t since = options_.visitor_idle_days == 0 ? INT64_MIN : now_ms - std::int64_t{options_.visitor_idle_days} * 86'400'000;
  std::size_t removed = 0;
  if (idle_since_[place].load(std::memory_order_relaxed) < since) {
    const std::lock_guard guard(shards_[place].mutex);
    for (User* oldest = nullptr; removed < kRemovalsAnEvent && (oldest = shards_[place].lines[kVisitors].oldest) != nullptr && oldest->last_ms < since; ++removed)
      forget(place, *oldest, number);
  }
  return removed + enforce_caps(kRemovalsAnEvent, number);
}

}  // namespace etalage::serving
