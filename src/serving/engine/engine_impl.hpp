// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "etalage/serving/engine.hpp"
#include "serving/engine/engine_counters.hpp"
#include "serving/engine/epochs.hpp"
#include "serving/events/fork_gate.hpp"
#include "serving/events/fork_guard.hpp"
#include "serving/ranking/live_sources.hpp"
#include "serving/events/shopper_cache.hpp"
#include "serving/events/shopper_profiles.hpp"

namespace etalage {
namespace serving {

/// A snapshot as one engine serves it: joined with the engine's live sources.
struct Publication {
  Publication(std::shared_ptr<const Snapshot> given, const EventStore& store, const EngineOptions& options);

  std::shared_ptr<const Snapshot> snapshot;
  LiveRows rows;
  ShopperProfiles profiles;
  Ranker ranker;
  std::array<bool, kPlacements> wants_profile{};  ///< a source or the calibration of this placement reads it
  std::uint64_t number = 0;
  // What cached factor rows and profiles were worked out from: the number of the first publication with the same parts.
  std::uint64_t factor_source = 0;
  std::uint64_t profile_source = 0;
  std::vector<std::size_t> counters;  ///< place of each source in EngineCounters
  mutable Coverage coverage;
};

}  // namespace serving

struct EngineScratch::Impl {
  RankScratch rank;
  Scratch scratch;
  UserView user;
  std::vector<std::int32_t> history, session, anchors, seen;
  std::vector<std::int64_t> history_times, session_times;
  std::vector<std::int32_t> kept;  ///< sorted: the shopper's kept row where trained_ms is not known
  [[nodiscard]] bool has_kept(std::int32_t item) const noexcept { return std::binary_search(kept.begin(), kept.end(), item); }
  std::vector<Purchase> purchases;
  std::vector<ItemScore> given;
  std::vector<std::int32_t> fold_items;
  std::vector<float> fold_values;
  std::vector<float> factor;
  UserProfile profile;
  std::vector<float> target;
  std::uint64_t replayed = 0;   ///< number of a request of the past that is asked again: `user` is read, caches say nothing of then
  std::vector<RankedItem> ranked;
  /// A product where it was shown to the shopper: `age` 0 is the newest place.
  struct Shown {
    std::int32_t row;
    std::int32_t age;
    bool reacted;
  };
  std::vector<Shown> shown;
  std::vector<ItemScore> tired;
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
  /// What a request says of itself, at that moment.
  static RequestContext context_of(const Request& request, std::int64_t now_ms);
  [[nodiscard]] static bool excludes_seen(const Request& request) noexcept;
  [[nodiscard]] static bool fills(const Request& request) noexcept;
  /// A logged answer asked of another publication: targets of its places. False where the shopper of then cannot be told.
  bool ask_again(const Impression& shown, const serving::Publication& p, const WhatIfOptions& what, EngineScratch::Impl& s, std::vector<double>& targets);
  /// Everything about the shopper that the Ranker is told.
  void read_shopper(const Request& request, const serving::Publication& p, RequestContext& ctx, Answer& answer, EngineScratch::Impl& s);
  /// live_from: where in the history the models' knowledge ends; told: how many last items of the session the request brought.
  void fold_in(const serving::Publication& p, std::size_t live_from, std::size_t told, RequestContext& ctx, EngineScratch::Impl& s);
  /// A newcomer by their segment's factors, the more so the less they have done.
  void add_segment_prior(const serving::Publication& p, RequestContext& ctx, EngineScratch::Impl& s);
  /// s.profile, of the shopper in s.user; row of the models, -1 unknown.
  void make_profile(const serving::Publication& p, std::int32_t row, EngineScratch::Impl& s);
  /// The publication in use, for what is no request; std::logic_error when there is none.
  std::shared_ptr<const serving::Publication> in_use() const;
  ShopperState state_of(const serving::Publication& p, KeyView user, EngineScratch::Impl& s);
  void answer_from(const Request& request, const serving::Publication& p, RequestContext& ctx, Answer& answer, EngineScratch::Impl& s);
  void explain(const serving::Publication& p, const RequestContext& ctx, const Trace& trace, Answer& answer, const EngineScratch::Impl& s) const;
  /// Numbers of a publication's parts, those of an older one where they are the same objects.
  void name_sources(serving::Publication& next) const;
  void answer_without_snapshot(const Request& request, Answer& answer, EngineScratch::Impl& s);

  /// What logged answers of this placement explore by; null for nothing.
  std::shared_ptr<const Exploration> exploration_of(Placement placement) const;
  /// std::invalid_argument where a placement asks bootstrapped models that the snapshot has not.
  void require_models(const Snapshot& snapshot) const;
  static void require_models_of(const Exploration& how, Placement placement, const Snapshot& snapshot);
  /// std::invalid_argument for keys of another kind than the events have.
  void require_kinds(const Snapshot& snapshot) const;
  /// Fills s.tired with what the shopper passed over too often; ascending rows.
  void read_tired(const Request& request, const serving::Publication& p, std::int64_t now_ms, EngineScratch::Impl& s);
  /// Puts an answer on record; `how` is what it was ranked with, null where nothing was drawn.
  void log_answer(const Request& request, const Exploration* how, std::uint64_t seed, std::int64_t now_ms, Answer& answer, EngineScratch::Impl& s);
  /// The event as the impression log is told of it.
  ImpressionLog::Told told(const Event& event) const;

  EngineOptions options;
  EventStore store;  // outlives what is published
  serving::ShopperCache<std::vector<float>> factors;
  serving::ShopperCache<UserProfile> profiles;
  serving::EngineCounters counters;
  std::atomic<std::uint64_t> next_audit;
  std::unique_ptr<ImpressionLog> impressions;
  mutable std::mutex exploring;  // guards what follows up to the next one
  std::array<std::shared_ptr<const Exploration>, kPlacements> explorations;
  std::array<std::optional<Fatigue>, kPlacements> fatigues;
  std::atomic<bool> any_fatigue{false};  // engines without one take no lock
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
