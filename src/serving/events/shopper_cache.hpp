// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>

namespace etalage::serving {

/// What was worked out for shoppers (folded-in factor rows, profiles), each good for one version of the shopper and one
/// state of what it was worked out from. The `capacity` shoppers who were asked for last stay, in shards of at least 64:
/// exact least recently used within a shard, which over many shoppers comes close to that of all.
template <class Value>
class ShopperCache {
 public:
  explicit ShopperCache(std::size_t capacity)
      : num_shards_(std::clamp<std::size_t>(capacity / kFewest, 1, kMostShards)), shards_(std::make_unique<Shard[]>(num_shards_)) {
    for (std::size_t i = 0; i < num_shards_; ++i) shards_[i].limit = capacity / num_shards_ + (i < capacity % num_shards_ ? 1 : 0);
  }

  bool find(std::int32_t user, std::uint64_t version, std::uint64_t source, Value& out) const {
    if (user < 0) return false;
    Shard& shard = shard_of(user);
    const std::lock_guard guard(shard.mutex);
    const auto found = shard.entries.find(user);
    if (found == shard.entries.end() || found->second->version != version || found->second->source != source) return false;
    shard.order.splice(shard.order.begin(), shard.order, found->second);
    out = found->second->value;
    return true;
  }

  void put(std::int32_t user, std::uint64_t version, std::uint64_t source, const Value& value) {
    if (user < 0) return;
    Shard& shard = shard_of(user);
    const std::lock_guard guard(shard.mutex);
    if (shard.limit == 0) return;
    auto found = shard.entries.find(user);
    if (found == shard.entries.end()) {
      if (shard.entries.size() >= shard.limit) {
        // The oldest entry's memory serves the newest.
        shard.entries.erase(shard.order.back().user);
        shard.order.splice(shard.order.begin(), shard.order, std::prev(shard.order.end()));
      } else {
        shard.order.emplace_front();
      }
      found = shard.entries.emplace(user, shard.order.begin()).first;
    } else {
      shard.order.splice(shard.order.begin(), shard.order, found->second);
    }
    Entry& entry = *found->second;
    entry.user = user;
    entry.version = version;
    entry.source = source;
    entry.value = value;
  }

  void erase(std::int32_t user) {
    if (user < 0) return;
    Shard& shard = shard_of(user);
    const std::lock_guard guard(shard.mutex);
    const auto found = shard.entries.find(user);
    if (found == shard.entries.end()) return;
    shard.order.erase(found->second);
    shard.entries.erase(found);
  }

  [[nodiscard]] std::size_t size() const {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < num_shards_; ++i) {
      const std::lock_guard guard(shards_[i].mutex);
      sum += shards_[i].entries.size();
    }
    return sum;
  }

 private:
  static constexpr std::size_t kFewest = 64;
  static constexpr std::size_t kMostShards = 64;
  struct Entry {
    std::int32_t user = -1;
    std::uint64_t version = 0;
    std::uint64_t source = 0;
    Value value{};
  };
  struct Shard {
    std::mutex mutex;
    std::size_t limit = 0;
    std::list<Entry> order;  // the one asked for last first
    std::unordered_map<std::int32_t, typename std::list<Entry>::iterator> entries;
  };
  [[nodiscard]] Shard& shard_of(std::int32_t user) const noexcept {
    // Spread: shoppers whose numbers have a step in common shall not share a shard.
    const std::uint64_t mixed = static_cast<std::uint64_t>(user) * 0x9E3779B97F4A7C15u;
    return shards_[static_cast<std::size_t>(mixed >> 32) % num_shards_];
  }

  std::size_t num_shards_;
  std::unique_ptr<Shard[]> shards_;
};

}  // namespace etalage::serving
