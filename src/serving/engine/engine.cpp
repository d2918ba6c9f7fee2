// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/engine.hpp"

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "core/option_check.hpp"
#include "serving/engine/engine_impl.hpp"
#include "serving/rules/live_catalog.hpp"

namespace etalage {

using serving::EngineCounters;
using serving::Publication;

namespace serving {
namespace {

/// The snapshot's catalogue as this engine sees it.
std::shared_ptr<const CatalogIndex> live_catalog(const Snapshot& snapshot, const EventStore& store, const LiveRows& rows, std::size_t cache_bytes) {
  auto live = std::make_unique<LiveCatalog>(store.offers(), rows, snapshot.catalog()->ordered_prices());
  return std::make_shared<const CatalogIndex>(*snapshot.catalog(), std::move(live), CatalogIndexOptions{cache_bytes});
}

RankerParts parts_of(const Snapshot& snapshot, std::shared_ptr<const CatalogIndex> catalog, const EventStore& store, const LiveRows& rows,
                     bool skip_failing) {
  const SnapshotParts& p = snapshot.parts();
  RankerParts out;
  out.catalog = std::move(catalog);
  out.sources = make_sources(snapshot, store, rows);
  out.mix = p.mix;
  out.rules = p.rules;
  out.rerank = p.rerank;
  out.learned = p.ranker;
  out.calibrate_by = p.calibrate_by;
  out.skip_failing_sources = skip_failing;
  if (p.rerank.method == RerankMethod::kNone) return out;
  const Catalog::Columns& c = p.catalog->columns();
  if (c.dim > 0) {
    out.vectors = c.vectors;
    out.dim = c.dim;
  } else if (snapshot.factors() != nullptr) {
    out.vectors = snapshot.factors()->item_factors();
    out.dim = snapshot.factors()->factors();
  }
  return out;
}

}  // namespace

Publication::Publication(std::shared_ptr<const Snapshot> given, const EventStore& store, const EngineOptions& options)
    : snapshot(std::move(given)), rows(store, snapshot->catalog()->catalog()), profiles(*snapshot, store.options(), rows),
      ranker(parts_of(*snapshot, live_catalog(*snapshot, store, rows, options.filter_cache_bytes), store, rows, options.skip_failing_sources)),
      coverage(static_cast<std::size_t>(snapshot->catalog()->size())) {
  const MixOptions& mix = snapshot->parts().mix;
  for (std::size_t i = 0; i < kPlacements; ++i) {
    const auto own = mix.placements.find(static_cast<Placement>(i));
    const PlacementMix& m = own == mix.placements.end() ? mix.standard : own->second;
    wants_profile[i] = profiles.num_groups() > 0 || std::ranges::any_of(m.sources, [](const SourceSlot& s) { return s.source == "buy_again"; }) ||
                       std::ranges::any_of(m.fallback, [](const std::string& name) { return name == "buy_again"; });
  }
}

}  // namespace serving

void EngineOptions::validate() const {
  require_options(*this);
  events.validate();
}

EngineScratch::EngineScratch() : impl_(std::make_unique<Impl>()) {}
EngineScratch::~EngineScratch() = default;
EngineScratch::EngineScratch(EngineScratch&&) noexcept = default;
EngineScratch& EngineScratch::operator=(EngineScratch&&) noexcept = default;

Engine::Impl::Impl(EngineOptions given)
    : options((given.validate(), std::move(given))), store(options.events), factors(options.factor_cache), profiles(options.profile_cache),
      next_audit(static_cast<std::uint64_t>(store.now_ms()) << 20), impressions(std::make_unique<ImpressionLog>(options.impressions)) {}

Engine::Impl::Impl(const std::filesystem::path& directory, EngineOptions given)
    : options((given.validate(), std::move(given))), store(directory, options.events), factors(options.factor_cache), profiles(options.profile_cache),
      next_audit(static_cast<std::uint64_t>(store.now_ms()) << 20),
      impressions(std::make_unique<ImpressionLog>(directory / "impressions", options.impressions, options.events.journal)) {
  impressions->forget(store.now_ms());
}

Engine::Impl::~Impl() {
  stop.store(true, std::memory_order_relaxed);
  if (!sweeper.joinable()) return;
  if (process.in_child()) sweeper.detach();  // it was left behind in the parent
  else sweeper.join();
}

std::uint64_t Engine::Impl::install(std::shared_ptr<const Publication> next, Gone& gone) {
  const std::uint64_t number = next->number;
  gone = published.replace(next);
  if (previous) gone.push_back(std::move(previous));
  previous = std::exchange(current, std::move(next));
  return number;
}

/// Frees what was replaced as soon as its last reader has left, away from requests, and ends then.
void Engine::Impl::sweep_later() {
  if (process.in_child()) return;  // the next publication frees it
  Gone gone;
  std::thread ended;
  {
    const serving::ForkGate::Section section;
    const std::lock_guard guard(sweeping);
    if (sweeper_runs || published.reclaim(gone) == 0) return;
    ended = std::move(sweeper);
    try {
      sweeper = std::thread([this] { sweep(); });
      sweeper_runs = true;
    } catch (const std::system_error&) {  // no thread to be had: the next publication frees it
    }
  }
  if (ended.joinable()) ended.join();
}

void Engine::Impl::sweep() {
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    Gone gone;  // freed at the end of the round, without a lock
    const serving::ForkGate::Section section;
    const std::lock_guard guard(sweeping);
    // Whoever retires another one asks for a sweep under the same lock: it is either seen here or finds no sweeper.
    if (!stop.load(std::memory_order_relaxed) && published.reclaim(gone) != 0) continue;
    sweeper_runs = false;
    return;
  }
}

Engine::Engine(EngineOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Engine::Engine(const std::filesystem::path& directory, EngineOptions options) : impl_(std::make_unique<Impl>(directory, std::move(options))) {}
Engine::~Engine() = default;

EventStore& Engine::events() noexcept { return impl_->store; }
const EventStore& Engine::events() const noexcept { return impl_->store; }
std::uint64_t Engine::durable_through() const noexcept { return impl_->store.durable_through(); }

std::uint64_t Engine::erase_user(KeyView user) {
  UserView view;
  impl_->store.read_user(user, view);
  const std::uint64_t sequence = impl_->store.erase_user(user);
  impl_->factors.erase(view.index);
  impl_->profiles.erase(view.index);
  impl_->impressions->erase(user);
  return sequence;
}

namespace {

/// Keys of one kind name the same things: a shop whose events have numbers cannot serve models of names.
void require_kind(const IdMap& ids, const Key& observed, const char* what) {
  if (ids.size() == 0) return;
  const bool numbers = ids.kind() == IdMap::Kind::kInteger;
  if (numbers == std::holds_alternative<std::int64_t>(observed)) return;
  throw std::invalid_argument(std::string("snapshot has ") + (numbers ? "integer" : "string") + " keys of " + what + ", must have " +
                              (numbers ? "string" : "integer") + " keys as the engine's events do (" + text_of(view_of(observed)) + ")");
}

/// The price columns of the publication in use, on the thread of whoever set a price and not of the next request.
void catch_up(const serving::Published<Publication>& published) {
  const auto p = published.read();
  if (p.get() != nullptr) p->ranker.catalog().catch_up();
}

}  // namespace

std::uint64_t Engine::set_available(KeyView item, std::optional<bool> available, std::string_view place) {
  return impl_->store.set_available(item, available, place);
}

std::uint64_t Engine::set_price(KeyView item, std::optional<float> price, std::string_view place) {
  const std::uint64_t sequence = impl_->store.set_price(item, price, place);
  catch_up(impl_->published);
  return sequence;
}

std::uint64_t Engine::set_attribute(KeyView item, std::string_view name, std::optional<std::vector<std::string>> values, std::string_view place) {
  return impl_->store.set_attribute(item, name, std::move(values), place);
}

void Engine::Impl::require_kinds(const Snapshot& snapshot) const {
  Key observed;
  if (store.item_key(0, observed)) require_kind(snapshot.item_ids(), observed, "products");
  if (snapshot.user_ids() && store.user_key(0, observed)) require_kind(*snapshot.user_ids(), observed, "shoppers");
}

std::uint64_t Engine::publish(std::shared_ptr<const Snapshot> snapshot) {
  if (!snapshot) throw std::invalid_argument("snapshot is null, must be a snapshot");
  impl_->require_kinds(*snapshot);
  const auto kind_of = [](const IdMap& ids) { return ids.size() == 0 ? -1 : static_cast<int>(ids.kind()); };
  impl_->store.expect_kinds(snapshot->user_ids() ? kind_of(*snapshot->user_ids()) : -1, kind_of(snapshot->item_ids()));
  auto next = std::make_shared<Publication>(std::move(snapshot), impl_->store, impl_->options);
  Impl::Gone gone;  // freed last: that may take long, and call back into the host
  std::uint64_t number = 0;
  {
    const serving::ForkGate::Section section;
    const std::lock_guard guard(impl_->publishing);
    impl_->require_models(*next->snapshot);
    next->number = ++impl_->last_number;
    impl_->name_sources(*next);
    auto& names = impl_->source_names;
    for (const SharedSource& source : next->ranker.sources()) {
      auto at = std::find(names.begin(), names.end(), source->name());
      if (at == names.end() && names.size() < EngineCounters::kSources) at = names.emplace(names.end(), source->name());
      next->counters.push_back(at == names.end() ? names.size() - 1 : static_cast<std::size_t>(at - names.begin()));
    }
    EngineCounters::add(impl_->counters.publications);
    number = impl_->install(std::move(next), gone);
  }
  impl_->sweep_later();
  return number;
}

void Engine::Impl::name_sources(Publication& next) const {
  // Who is known decides which events a shopper's rows hold already.
  const auto num_users = [](const Snapshot& s) { return s.user_ids() ? s.user_ids()->size() : -1; };
  next.factor_source = next.profile_source = next.number;
  const Snapshot& mine = *next.snapshot;
  for (const auto& older : {previous, current}) {
    if (!older) continue;
    const Snapshot& other = *older->snapshot;
    if (other.parts().trained_ms != mine.parts().trained_ms || num_users(other) != num_users(mine)) continue;
    // A row of factors is of the model and of the events after trained_ms, a profile of the facts besides.
    if (other.factors() == mine.factors()) next.factor_source = older->factor_source;
    if (other.parts().profiles == mine.parts().profiles && other.parts().catalog == mine.parts().catalog &&
        other.profile_options() == mine.profile_options())
      next.profile_source = older->profile_source;
  }
}

std::uint64_t Engine::rollback() {
  Impl::Gone gone;
  std::uint64_t number = 0;
  {
    const serving::ForkGate::Section section;
    const std::lock_guard guard(impl_->publishing);
    if (!impl_->previous) throw std::logic_error("there is no publication to roll back to");
    EngineCounters::add(impl_->counters.rollbacks);
    number = impl_->install(impl_->previous, gone);
  }
  impl_->sweep_later();
  return number;
}

void Engine::forget_previous() {
  std::shared_ptr<const Publication> gone;
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->publishing);
  gone = std::move(impl_->previous);
}

std::shared_ptr<const Snapshot> Engine::snapshot() const {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->publishing);
  return impl_->current ? impl_->current->snapshot : nullptr;
}

std::size_t Engine::unreclaimed() const {
  const serving::ForkGate::Section section;
  return impl_->published.waiting();
}

void Engine::recommend(const Request& request, Answer& answer, EngineScratch& scratch) const { impl_->recommend(request, answer, scratch.impl()); }

namespace {

EngineScratch& own_scratch() {
  thread_local EngineScratch scratch;
  return scratch;
}

}  // namespace

std::shared_ptr<const Publication> Engine::Impl::in_use() const {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(publishing);
  if (!current) throw std::logic_error("there is no snapshot, publish one first");
  return current;
}

ShopperState Engine::profile(KeyView user) const {
  const auto p = impl_->in_use();
  return impl_->state_of(*p, user, own_scratch().impl());
}

std::vector<DueAgain> Engine::buy_again(KeyView user, std::size_t k, double horizon_days) const {
  const auto p = impl_->in_use();
  const ShopperState shopper = impl_->state_of(*p, user, own_scratch().impl());
  static const RepurchaseStatistics nothing;
  const std::shared_ptr<const Profiles>& profiles = p->snapshot->parts().profiles;
  const std::vector<BuyAgain> likeliest =
      (profiles ? profiles->repurchases() : nothing).likeliest(shopper.profile, shopper.now_ms, shopper.profile.bought_unsorted().size(), horizon_days);
  std::vector<DueAgain> out;
  for (BuyAgain b : likeliest) {
    if (out.size() >= k || b.item >= p->snapshot->catalog()->size()) continue;
    b.probability *= shopper.alive.value_or(1.0);
    out.push_back({key_of(key_at(p->snapshot->item_ids(), b.item)), b});
  }
  return out;
}

double Engine::intent(KeyView user) const {
  const auto p = impl_->in_use();
  if (!p->snapshot->parts().intent) throw std::logic_error("the snapshot has no intent, publish one with a PurchaseIntent");
  const ShopperState shopper = impl_->state_of(*p, user, own_scratch().impl());
  return p->snapshot->parts().intent->predict(shopper.profile, shopper.now_ms);
}

Answer Engine::recommend(const Request& request) const {
  Answer answer;
  impl_->recommend(request, answer, own_scratch().impl());
  return answer;
}

EngineMetrics Engine::metrics() const {
  EngineMetrics m;
  const Impl& e = *impl_;
  if (!e.options.metrics) return m;
  const serving::ForkGate::Section section;
  const EngineCounters& c = e.counters;
  const auto step = [&](std::string_view name, std::size_t i) { m.stages.push_back({std::string(name), c.steps[i].read()}); };
  step("user", serving::kUserStep);
  step("fold_in", serving::kFoldInStep);
  for (std::size_t i = 0; i < kStages; ++i) step(stage_name(static_cast<Stage>(i)), i);
  step("total", serving::kTotalStep);
  m.requests = c.requests;
  m.unknown_users = c.unknown_users;
  m.empty_answers = c.empty_answers;
  m.short_answers = c.short_answers;
  m.fallback_candidates = c.fallback_candidates;
  m.filled = c.filled;
  m.denied = c.denied;
  m.filtered = c.filtered;
  m.folded_in = c.folded_in;
  m.folded_from_cache = c.folded_from_cache;
  m.profiles_made = c.profiles_made;
  m.profiles_from_cache = c.profiles_from_cache;
  m.publications = c.publications;
  m.rollbacks = c.rollbacks;
  {
    const std::lock_guard guard(e.publishing);
    for (std::size_t i = 0; i < e.source_names.size(); ++i)
      m.sources.push_back({e.source_names[i], c.candidates[i], c.shown[i], c.failures[i]});
    if (e.current) {
      m.snapshot = e.current->number;
      m.filters = e.current->ranker.catalog().cache_stats();
      m.distinct_shown = e.current->coverage.distinct;
      const std::int32_t products = e.current->snapshot->catalog()->size();
      m.coverage = products == 0 ? 0 : static_cast<double>(m.distinct_shown) / products;
      const std::int64_t trained = e.current->snapshot->parts().trained_ms;
      m.snapshot_age_seconds = trained == 0 ? 0 : static_cast<double>(e.store.now_ms() - trained) / 1000;
    }
  }
  const EventStore::Counts counts = e.store.counts();
  m.events = counts.observed;
  m.duplicate_events = counts.duplicates;
  m.late_events = counts.late;
  if (e.store.recovery() != nullptr) m.events_not_durable = e.store.last_sequence() - e.store.durable_through();
  m.journal_failure = e.store.failure();
  return m;
}

}  // namespace etalage
