// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "etalage/serving/engine.hpp"
#include "serving/engine_counters.hpp"
#include "serving/epochs.hpp"
#include "serving/fork_gate.hpp"
#include "serving/fork_guard.hpp"
#include "serving/live_sources.hpp"
#include "serving/shopper_profiles.hpp"

namespace etalage {
namespace serving {

/// A snapshot as one engine serves it: joined with the engine's live sources.
struct Publication {
  Publication(std::shared_ptr<const Snapshot> given, const EventStore& store);

  std::shared_ptr<const Snapshot> snapshot;
  LiveRows rows;
  ShopperProfiles profiles;
  Ranker ranker;
  std::array<bool, kPlacements> wants_profile{};  ///< a source or the calibration of this placement reads it
  std::uint64_t number = 0;
  std::vector<std::size_t> counters;  ///< place of each source in EngineCounters
  mutable Coverage coverage;
};

/// What was worked out for shoppers (folded-in factor rows, profiles), each good for one version of the shopper and one
/// publication.
template <class Value>
class ShopperCache {
 public:
  explicit ShopperCache(std::size_t capacity) : limit_((capacity + kShards - 1) / kShards), shards_(kShards) {}

  bool find(std::int32_t user, std::uint64_t version, std::uint64_t publication, Value& out) const {
    if (user < 0 || limit_ == 0) return false;
    const Shard& shard = shards_[static_cast<std::size_t>(user) % kShards];
    const std::lock_guard guard(shard.mutex);
    const auto found = shard.entries.find(user);
    if (found == shard.entries.end() || found->second.version != version || found->second.publication != publication) return false;
    out = found->second.value;
    return true;
  }

  void put(std::int32_t user, std::uint64_t version, std::uint64_t publication, const Value& value) {
    if (user < 0 || limit_ == 0) return;
    Shard& shard = shards_[static_cast<std::size_t>(user) % kShards];
    const std::lock_guard guard(shard.mutex);
    auto found = shard.entries.find(user);
    if (found == shard.entries.end()) {
      // The table's own order is as good as any, and costs nothing to keep.
      if (shard.entries.size() >= limit_) shard.entries.erase(shard.entries.begin());
      found = shard.entries.emplace(user, Entry{}).first;
    }
    found->second.version = version;
    found->second.publication = publication;
    found->second.value = value;
  }

  void erase(std::int32_t user) {
    if (user < 0) return;
    Shard& shard = shards_[static_cast<std::size_t>(user) % kShards];
    const std::lock_guard guard(shard.mutex);
    shard.entries.erase(user);
  }

 private:
  static constexpr std::size_t kShards = 64;
  struct Entry {
    std::uint64_t version = 0;
    std::uint64_t publication = 0;
    Value value{};
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::int32_t, Entry> entries;
  };
  std::size_t limit_;
  std::vector<Shard> shards_;
};

}  // namespace serving

struct EngineScratch::Impl {
  RankScratch rank;
  Scratch scratch;
  UserView user;
  std::vector<std::int32_t> history, session, anchors, seen;
  std::vector<Purchase> purchases;
  std::vector<ItemScore> given;
  std::vector<std::int32_t> fold_items;
  std::vector<float> fold_values;
  std::vector<float> factor;
  UserProfile profile;
  std::vector<float> target;
  std::vector<RankedItem> ranked;
  std::vector<std::pair<std::int32_t, float>> trending;
  Key key;
};

struct Engine::Impl {
  explicit Impl(EngineOptions given);
  Impl(const std::filesystem::path& directory, EngineOptions given);
  ~Impl();

  using Gone = serving::Published<serving::Publication>::Gone;
  /// Under `publishing`; what is replaced for good goes into `gone`.
  std::uint64_t install(std::shared_ptr<const serving::Publication> next, Gone& gone);
  void sweep_later();
  void sweep();
  void recommend(const Request& request, Answer& answer, EngineScratch::Impl& s);
  /// Everything about the shopper that the Ranker is told.
  void read_shopper(const Request& request, const serving::Publication& p, RequestContext& ctx, Answer& answer, EngineScratch::Impl& s);
  /// live_from: where in the history the models' knowledge ends; told: how many last items of the session the request brought.
  void fold_in(const serving::Publication& p, std::size_t live_from, std::size_t told, RequestContext& ctx, EngineScratch::Impl& s);
  /// A newcomer by his segment's factors, the more so the less he has done.
  void lean_on_segment(const serving::Publication& p, RequestContext& ctx, EngineScratch::Impl& s);
  /// s.profile, of the shopper in s.user; row of the models, -1 unknown.
  void make_profile(const serving::Publication& p, std::int32_t row, EngineScratch::Impl& s);
  /// The publication in use, for what is no request; std::logic_error when there is none.
  std::shared_ptr<const serving::Publication> in_use() const;
  ShopperState state_of(const serving::Publication& p, KeyView user, EngineScratch::Impl& s);
  void answer_from(const Request& request, const serving::Publication& p, RequestContext& ctx, Answer& answer, EngineScratch::Impl& s);
  void explain(const serving::Publication& p, const RequestContext& ctx, const Trace& trace, Answer& answer, const EngineScratch::Impl& s) const;
  void answer_without_snapshot(const Request& request, Answer& answer, EngineScratch::Impl& s);

  EngineOptions options;
  EventStore store;  // outlives what is published
  serving::ShopperCache<std::vector<float>> factors;
  serving::ShopperCache<UserProfile> profiles;
  serving::EngineCounters counters;
  std::atomic<std::uint64_t> next_audit;
  serving::ForkGuard process;

  mutable std::mutex publishing;  // guards what follows up to the next one
  std::vector<std::string> source_names;
  std::shared_ptr<const serving::Publication> current;
  std::shared_ptr<const serving::Publication> previous;
  std::uint64_t last_number = 0;

  serving::Published<serving::Publication> published;
  std::atomic<bool> stop{false};
  std::mutex sweeping;  // guards what follows
  bool sweeper_runs = false;
  std::thread sweeper;
};

}  // namespace etalage
