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
/// What is stored is the counter times 2^(now / half_life), which does not change while time passes, as mantissa and
/// exponent: counters are compared as they stand, events of any age may come and be taken back in any order, and nothing
/// ever overflows. Each shard keeps a tree of winners over its counters, so that the leading ones are found again after
/// some were taken back without a pass over all.
///
/// Cost      add() and subtract() logarithmic at worst, mostly constant; top() a copy; 20 bytes an item
/// Rounding  a counter that loses events is right to 2^-52 of the largest value that it had; below 2^-46 of it it is nothing
class TrendingCounters {
 public:
  TrendingCounters(double half_life_ms, std::size_t leaders);

  struct Counter {
    double mantissa = 0;        ///< in [0.5, 1); 0 for nothing
    std::int32_t exponent = 0;
    std::uint32_t events = 0;   ///< that are in; kUnknownEvents where that is beyond counting
    [[nodiscard]] bool operator==(const Counter&) const noexcept = default;
  };
  static constexpr std::uint32_t kUnknownEvents = UINT32_MAX;
  static constexpr double kMostExponent = 1e9;  ///< in size; beyond what any date and half-life give

  void add(std::int32_t item, float weight, std::int64_t time_ms);
  /// Takes events back that were added with the same weight and time.
  struct Taken {
    std::int32_t item;
    float weight;
    std::int64_t time_ms;
  };
  void subtract(std::span<const Taken> events);
  std::size_t top(std::int64_t now_ms, std::span<std::pair<std::int32_t, float>> out) const;

  [[nodiscard]] Counter counter(std::int32_t item) const;
  /// While loading, before rebuild(): a counter as counter() gave it, `shift` half-lives later.
  void set_counter(std::int32_t item, Counter counter, double shift = 0);
  void rebuild();

 private:
  struct Leader {
    Counter counter;
    std::int32_t item;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::vector<Counter> counters;     // of item shard + kItemShards * place
    std::vector<std::int32_t> winners;  // [places, a power of 2]: node n has 2n and 2n + 1 below it; -1 for none
  };
  [[nodiscard]] static bool better(const Leader& a, const Leader& b) noexcept;
  [[nodiscard]] Counter term(float weight, std::int64_t time_ms) const noexcept;
  [[nodiscard]] static Leader leader_at(const Shard& shard, std::size_t number, std::int32_t place) noexcept;
  [[nodiscard]] static std::int32_t below(const Shard& shard, std::size_t node) noexcept;
  [[nodiscard]] static std::int32_t winner_of(const Shard& shard, std::int32_t a, std::int32_t b) noexcept;
  static void make_room(Shard& shard, std::size_t place);
  static void build_tree(Shard& shard);
  static void risen(Shard& shard, std::int32_t place);
  static void fallen(Shard& shard, std::int32_t place);
  void promote(const Leader& before, const Leader& now);  // under the item's shard
  bool demote(const Leader& before, const Leader& now);   // likewise; true when too few leaders are left
  void refill(bool always);
  static Leader take_best(const Shard& shard, std::size_t number, std::size_t quota, std::vector<Leader>& found);

  double half_life_ms_;
  std::size_t limit_;
  std::vector<Shard> shards_;
  mutable std::mutex leaders_mutex_;  // after a shard's
  std::vector<Leader> leaders_;       // every counter that is better than cut_, the best first
  Leader cut_{};                      // nothing: all counters are leaders
  std::atomic<double> threshold_;     // of cut_, for a first look without the lock
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
