// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "etalage/serving/catalog_index.hpp"

namespace etalage {

/// Compiled filters by the text of their predicate and place, and by pairs of filters. The least recently used go first, an
/// eighth of the budget at a time, so that a look-up moves nothing: it reads under a shared lock and notes when.
struct CatalogIndex::Cache {
  struct Entry {
    SharedFilter filter;
    std::uint64_t version = 0;  // predicates: of the offers that it has taken in; pairs: the stamp of the smaller id's set
    std::uint64_t other = 0;    // pairs: the stamp of the larger id's set
    std::atomic<std::uint64_t> used{0};
  };
  struct PairHash {
    std::size_t operator()(const std::pair<std::uint64_t, std::uint64_t>& p) const noexcept {
      return static_cast<std::size_t>((p.first * 0x9E3779B97F4A7C15u) ^ p.second);
    }
  };
  template <class Key, class Hash = std::hash<Key>>
  using Table = std::unordered_map<Key, Entry, Hash>;
  struct Found {
    SharedFilter filter;  // null: none
    std::uint64_t version = 0;
    std::uint64_t other = 0;
  };

  explicit Cache(std::size_t budget_bytes) : budget(budget_bytes) {}

  template <class T>
  Found find(T& table, const typename T::key_type& key) {
    const std::shared_lock lock(mutex);
    const auto at = table.find(key);
    if (at == table.end()) {
      misses.fetch_add(1, std::memory_order_relaxed);
      return {};
    }
    hits.fetch_add(1, std::memory_order_relaxed);
    at->second.used.store(clock.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
    return {at->second.filter, at->second.version, at->second.other};
  }

  /// In place of `old`, null for none. Where another thread was faster its entry stays, and `filter` serves this once.
  template <class T>
  void put(T& table, const typename T::key_type& key, const SharedFilter& old, Found entry) {
    const std::unique_lock lock(mutex);
    auto at = table.find(key);
    if (at == table.end()) {
      const std::size_t size = bytes_of(*entry.filter);
      if (size > budget) return;
      if (bytes + lists->load(std::memory_order_relaxed) + size > budget) make_room(size);
      bytes += size;
      at = table.try_emplace(key).first;
    } else if (at->second.filter != old) {
      return;
    }
    at->second.filter = std::move(entry.filter);  // of the same size: it is over the same products
    at->second.version = entry.version;
    at->second.other = entry.other;
    at->second.used.store(clock.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
  }

  [[nodiscard]] static std::size_t bytes_of(const CompiledFilter& f) noexcept {
    return sizeof(CompiledFilter) + sizeof(ItemBitmap) + sizeof(Entry) + f.bits.words().size() * sizeof(std::uint64_t);
  }

  std::size_t budget;
  mutable std::shared_mutex mutex;
  std::atomic<std::uint64_t> clock{1};
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> misses{0};
  std::atomic<std::uint64_t> patches{0};
  std::size_t bytes = 0;
  const std::shared_ptr<std::atomic<std::size_t>> lists = std::make_shared<std::atomic<std::size_t>>(0);  // bytes of lists made of sets
  Table<std::string> predicates;
  Table<std::pair<std::uint64_t, std::uint64_t>, PairHash> pairs;
  std::mutex groups_mutex;
  std::map<std::string, std::shared_ptr<const ItemGroups>, std::less<>> groups;

 private:
  void make_room(std::size_t size) {
    std::vector<std::tuple<std::uint64_t, const std::string*, const std::pair<std::uint64_t, std::uint64_t>*>> all;
    all.reserve(predicates.size() + pairs.size());
    for (const auto& [key, entry] : predicates) all.emplace_back(entry.used.load(std::memory_order_relaxed), &key, nullptr);
    for (const auto& [key, entry] : pairs) all.emplace_back(entry.used.load(std::memory_order_relaxed), nullptr, &key);
    std::sort(all.begin(), all.end());
    const std::size_t goal = budget - std::max(size, budget / 8);
    for (const auto& [used, predicate, pair] : all) {
      if (bytes + lists->load(std::memory_order_relaxed) <= goal) return;
      const auto drop = [&](auto& table, const auto& key) {
        const auto at = table.find(key);
        bytes -= bytes_of(*at->second.filter);
        table.erase(at);
      };
      if (predicate != nullptr) drop(predicates, *predicate);
      else drop(pairs, *pair);
    }
  }
};

}  // namespace etalage
