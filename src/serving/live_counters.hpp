// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace etalage::serving {

/// All may be held at once, and ThreadSanitizer follows at most 64 locks of one thread.
inline constexpr std::size_t kItemShards = 32;

/// Counters that decay: after an event at time t of weight w a counter is sum_e w_e 2^(-(now - t_e) / half_life).
///
/// What is stored is log2 of the counter plus now / half_life, which does not change while time passes: counters are
/// compared as they stand, events of any age may come in any order, and nothing ever overflows.
class TrendingCounters {
 public:
  TrendingCounters(double half_life_ms, std::size_t leaders);

  void add(std::int32_t item, float weight, std::int64_t time_ms);
  /// Takes events back, of one user mostly, and puts the leaders in order again; costs a pass over all counters.
  struct Taken {
    std::int32_t item;
    float weight;
    std::int64_t time_ms;
  };
  void subtract(std::span<const Taken> events);
  std::size_t top(std::int64_t now_ms, std::span<std::pair<std::int32_t, float>> out) const;

  /// The stored form; NaN for an item without events.
  [[nodiscard]] double level(std::int32_t item) const;
  void set_level(std::int32_t item, double level);
  void rebuild();

 private:
  struct Leader {
    double level;
    std::int32_t item;
    bool operator<(const Leader& o) const noexcept { return level != o.level ? level > o.level : item < o.item; }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::vector<double> levels;  // of item shard + kItemShards * i; NaN none
  };
  void promote(Leader before, Leader now);  // under the item's shard

  double half_life_ms_;
  std::size_t limit_;
  std::vector<Shard> shards_;
  mutable std::mutex leaders_mutex_;  // after a shard's
  std::vector<Leader> leaders_;
  std::atomic<double> threshold_;     // what a newcomer must exceed
};

/// For each item the ones bought together with it most often. Beyond the limit the least one makes place for the
/// newcomer, who takes over its count (Metwally, Agrawal, El Abbadi, ICDT 2005: Space-Saving), so that a count is too
/// high by at most the least one.
class CoPurchases {
 public:
  struct Partner {
    std::int32_t item;
    float count;
  };
  explicit CoPurchases(std::size_t limit) : limit_(limit), shards_(kItemShards) {}
  /// Both directions; a negative delta takes back.
  void add(std::int32_t a, std::int32_t b, float delta);
  std::size_t top(std::int32_t item, std::span<std::pair<std::int32_t, float>> out) const;
  [[nodiscard]] std::vector<Partner> partners(std::int32_t item) const;
  void set_partners(std::int32_t item, std::vector<Partner> partners);

 private:
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::int32_t, std::vector<Partner>> lists;
  };
  void add_one(std::int32_t from, std::int32_t to, float delta);
  std::size_t limit_;
  std::vector<Shard> shards_;
};

}  // namespace etalage::serving
