// SPDX-License-Identifier: Apache-2.0
// The way of one request.
#include <algorithm>
#include <chrono>
#include <span>
#include <stdexcept>
#include <utility>

#include "detail/random_stream.hpp"
#include "serving/engine/customer_life.hpp"
#include "serving/engine/engine_impl.hpp"

namespace etalage {

using serving::EngineCounters;
using serving::Publication;

namespace {

constexpr std::size_t kSessionItems = 64;  // newest ones that sources are told of

using Clock = std::chrono::steady_clock;

void set_key(const IdMap& ids, std::int32_t row, Key& out) {
  if (ids.kind() == IdMap::Kind::kInteger) {
    out = ids.integer_at(row);
  } else if (auto* text = std::get_if<std::string>(&out)) {
    *text = ids.string_at(row);  // reuses the string's memory
  } else {
    out = std::string(ids.string_at(row));
  }
}

/// What the impression log says of a catalogue row.
class RatesOfRows final : public ShownCounter {
 public:
  RatesOfRows(const ImpressionLog& log, const IdMap& ids) : log_(log), ids_(ids) {}
  [[nodiscard]] ShownCounts counts_of(std::int32_t item) const override { return log_.counts_of(key_at(ids_, item)); }

 private:
  const ImpressionLog& log_;
  const IdMap& ids_;
};

/// The shopper's row in the models, -1 for one they do not know or must not be asked about.
std::int32_t model_row(const Snapshot& snapshot, const EventStore& store, KeyView user) {
  std::int32_t row = -1;
  if (const SharedIdMap& ids = snapshot.user_ids()) {
    row = std::visit([&](const auto& key) { return ids->find(key); }, user);
  } else if (const auto* index = std::get_if<std::int64_t>(&user)) {
    for (const SnapshotModel& m : snapshot.parts().models)
      if (*index >= 0 && *index < m.model->num_users()) row = static_cast<std::int32_t>(*index);
    if (const auto& profiles = snapshot.parts().profiles; profiles && *index >= 0 && *index < profiles->size()) row = static_cast<std::int32_t>(*index);
  }
  if (row < 0) return -1;
  const std::int64_t erased = store.erased_ms(user);
  return erased != 0 && erased >= snapshot.parts().trained_ms ? -1 : row;
}

}  // namespace

bool Engine::Impl::excludes_seen(const Request& request) noexcept {
  if (request.exclude_seen) return *request.exclude_seen;
  return request.placement == Placement::kHome || request.placement == Placement::kCategoryPage || request.placement == Placement::kEmail;
}

bool Engine::Impl::fills(const Request& request) noexcept { return request.fill.value_or(request.placement != Placement::kSearch || request.given.empty()); }

RequestContext Engine::Impl::context_of(const Request& request, std::int64_t now_ms) {
  RequestContext ctx;
  ctx.placement = request.placement;
  ctx.segment = request.segment;
  ctx.query_vector = request.query_vector;
  ctx.place = request.place;
  ctx.exclude_seen = excludes_seen(request);
  ctx.only_given = !fills(request);
  ctx.now_ms = now_ms;
  return ctx;
}

void Engine::Impl::read_shopper(const Request& request, const Publication& p, RequestContext& ctx, Answer& answer, EngineScratch::Impl& s) {
  const Snapshot& snapshot = *p.snapshot;
  s.history.clear();
  s.session.clear();
  s.history_times.clear();
  s.session_times.clear();
  s.seen.clear();
  s.purchases.clear();
  s.kept.clear();
  if (s.replayed == 0) s.user.index = -1;
  std::size_t live_from = 0;
  if (request.user) {
    const bool live = s.replayed != 0 ? s.user.index >= 0 : store.read_user(*request.user, s.user);
    const std::int32_t row = model_row(snapshot, store, *request.user);
    answer.known_user = live || row >= 0;
    if (row >= 0) {
      ctx.user = row;
      // The models know them up to here; what came later is told to them as their session.
      const auto later = std::upper_bound(s.user.history.begin(), s.user.history.end(), snapshot.parts().trained_ms,
                                          [](std::int64_t t, const UserView::Past& e) { return t < e.time_ms; });
      live_from = live ? static_cast<std::size_t>(later - s.user.history.begin()) : 0;
      if (const Recommender* model = snapshot.history_model(); model != nullptr && row < model->history().rows) {
        const auto kept = model->history().view().row_columns(row);
        s.seen.assign(kept.begin(), kept.end());
        // Where nobody knows up to when the rows are, an event of a product that the row has is taken to be in it, unless it
        // is of the visit that is going on.
        if (snapshot.parts().trained_ms == 0) s.kept.assign(kept.begin(), kept.end());
        std::sort(s.kept.begin(), s.kept.end());
      }
    }
    if (live) {
      const std::size_t visit = s.user.history.size() - std::min(s.user.history.size(), s.user.session.size());
      const std::size_t session_from = row >= 0 ? live_from : visit;
      for (std::size_t i = live_from; i < s.user.history.size(); ++i) {
        const std::int32_t item = p.rows.row_of(s.user.history[i].item);
        if (item < 0 || (i < visit && s.has_kept(item))) continue;
        (i < session_from ? s.history : s.session).push_back(item);
        (i < session_from ? s.history_times : s.session_times).push_back(s.user.history[i].time_ms);
      }
      for (const UserView::Seen& seen : s.user.seen) {
        const std::int32_t item = p.rows.row_of(seen.item);
        if (item < 0) continue;
        s.seen.push_back(item);
        if (seen.last_purchase_ms != 0) s.purchases.push_back({item, seen.last_purchase_ms});
      }
    }
  }
  std::size_t told = 0;  // items that came with the request alone
  for (const KeyView key : request.session) {
    const std::int32_t row = p.rows.row_of_key(key);
    if (row < 0) continue;
    s.session.push_back(row);
    s.session_times.push_back(ctx.now_ms);
    ++told;
  }
  if (s.session.size() > kSessionItems) {
    const auto gone = static_cast<std::ptrdiff_t>(s.session.size() - kSessionItems);
    s.session.erase(s.session.begin(), s.session.begin() + gone);
    s.session_times.erase(s.session_times.begin(), s.session_times.begin() + gone);
  }
  s.anchors.clear();
  for (const KeyView key : request.anchors)
    if (const std::int32_t row = p.rows.row_of_key(key); row >= 0) s.anchors.push_back(row);
  s.given.clear();
  for (const auto& [key, score] : request.given)
    if (const std::int32_t row = p.rows.row_of_key(key); row >= 0) s.given.push_back({row, score});

  ctx.history = s.history;
  ctx.session = s.session;
  ctx.history_times = s.history_times;
  ctx.session_times = s.session_times;
  ctx.seen = s.seen;
  ctx.purchases = s.purchases;
  ctx.anchors = s.anchors;
  ctx.given = s.given;
  fold_in(p, live_from, std::min(told, s.session.size()), ctx, s);
  add_segment_prior(p, ctx, s);
  if (!p.wants_profile[static_cast<std::size_t>(request.placement)] || !answer.known_user) return;
  make_profile(p, ctx.user.value_or(-1), s);
  ctx.profile = &s.profile;
  s.target.resize(p.profiles.num_groups());
  if (!s.target.empty() && p.profiles.target(s.profile, s.target)) ctx.target = s.target;
}

void Engine::Impl::make_profile(const Publication& p, std::int32_t row, EngineScratch::Impl& s) {
  if (s.replayed == 0 && profiles.find(s.user.index, s.user.version, p.profile_source, s.profile)) {
    if (options.metrics) EngineCounters::add(counters.profiles_from_cache);
    return;
  }
  p.profiles.make(row, s.user, s.profile);
  if (s.replayed != 0) return;
  if (options.metrics) EngineCounters::add(counters.profiles_made);
  profiles.put(s.user.index, s.user.version, p.profile_source, s.profile);
}

ShopperState Engine::Impl::state_of(const Publication& p, KeyView user, EngineScratch::Impl& s) {
  const serving::ForkGate::Section section;
  ShopperState out;
  out.snapshot = p.snapshot;
  out.now_ms = store.now_ms();
  const bool live = store.read_user(user, s.user);
  const std::int32_t row = model_row(*p.snapshot, store, user);
  out.known = live || row >= 0;
  make_profile(p, row, s);
  out.profile = s.profile;
  out.alive = serving::alive(out.profile, out.now_ms, p.snapshot->parts());
  return out;
}

void Engine::Impl::add_segment_prior(const Publication& p, RequestContext& ctx, EngineScratch::Impl& s) {
  const FactorModel* model = p.snapshot->factors();
  const auto& segments = p.snapshot->parts().segment_factors;
  if (segments.empty() || model == nullptr || (ctx.user && *ctx.user < model->num_users())) return;
  const auto segment = segments.find(ctx.segment);
  if (segment == segments.end()) return;
  float done = 0;  // their own events that the model has a row for
  for (const auto* items : {&s.history, &s.session})
    for (const std::int32_t item : *items) done += !ctx.user_vector.empty() && item < model->num_items() ? 1.0f : 0.0f;
  const float strength = p.snapshot->parts().segment_strength;
  s.factor.resize(segment->second.size(), 0.0f);
  for (std::size_t f = 0; f < s.factor.size(); ++f) s.factor[f] = ((done > 0 ? done * s.factor[f] : 0.0f) + strength * segment->second[f]) / (done + strength);
  ctx.user_vector = s.factor;
}

void Engine::Impl::fold_in(const Publication& p, std::size_t live_from, std::size_t told, RequestContext& ctx, EngineScratch::Impl& s) {
  const FactorModel* model = p.snapshot->factors();
  if (model == nullptr || !model->fitted()) return;
  const bool fitted = ctx.user && *ctx.user < model->num_users();
  const bool news = s.user.index >= 0 && live_from < s.user.history.size();
  if (!p.snapshot->folds_in() || (!news && told == 0)) {
    if (fitted) ctx.user_vector = model->user_row(*ctx.user);
    return;
  }
  s.factor.resize(static_cast<std::size_t>(model->factors()));
  ctx.user_vector = s.factor;
  const bool cachable = told == 0 && s.replayed == 0;  // the shopper's version says nothing of what came with the request
  if (cachable && factors.find(s.user.index, s.user.version, p.factor_source, s.factor)) {
    if (options.metrics) EngineCounters::add(counters.folded_from_cache);
    return;
  }
  s.fold_items.clear();
  s.fold_values.clear();
  const auto add = [&](std::int32_t item, float value) {
    if (item < 0 || item >= model->num_items()) return;
    s.fold_items.push_back(item);
    s.fold_values.push_back(value);
  };
  if (fitted && model->has_history() && *ctx.user < model->history().rows) {
    const CsrView rows = model->history().view();
    for (std::size_t i = 0; i < rows.row_size(*ctx.user); ++i) add(rows.row_columns(*ctx.user)[i], rows.row_values(*ctx.user)[i]);
  }
  const std::size_t fitted_items = s.fold_items.size();
  const std::size_t visit = s.user.history.size() - std::min(s.user.history.size(), s.user.session.size());
  for (std::size_t i = live_from; news && i < s.user.history.size(); ++i)
    if (const std::int32_t item = p.rows.row_of(s.user.history[i].item); i >= visit || !s.has_kept(item)) add(item, s.user.history[i].taste);
  if (fitted && told == 0 && s.fold_items.size() == fitted_items) {  // no news after all
    ctx.user_vector = model->user_row(*ctx.user);
    return;
  }
  for (const std::int32_t item : std::span(s.session).last(told)) add(item, 1.0f);
  Query query;
  query.history = s.fold_items;
  query.history_values = s.fold_values;
  query.history_given = true;
  query.recalculate_user = true;
  const bool counted = options.metrics && s.replayed == 0;
  const Clock::time_point begun = counted ? Clock::now() : Clock::time_point{};
  model->query_factor(query, s.factor, s.scratch);
  if (counted) {
    counters.steps[serving::kFoldInStep].add(Clock::now() - begun);
    EngineCounters::add(counters.folded_in);
  }
  if (cachable) factors.put(s.user.index, s.user.version, p.factor_source, s.factor);
}

void Engine::Impl::answer_from(const Request& request, const Publication& p, RequestContext& ctx, Answer& answer, EngineScratch::Impl& s) {
  SharedFilter filter;
  if (request.filter != nullptr) {
    filter = p.ranker.catalog().filter(*request.filter, request.place);
    ctx.filter = &filter;
  }
  const std::size_t most = std::min(request.k, static_cast<std::size_t>(p.ranker.catalog().size()));
  if (s.ranked.size() < most) s.ranked.resize(most);
  std::optional<Trace> trace;
  if (request.explain || request.trace) trace.emplace();
  const std::size_t n = p.ranker.rank(ctx, std::span(s.ranked).first(most), s.rank, trace ? &*trace : nullptr);
  const RankStats stats = s.rank.stats();

  const IdMap& ids = p.snapshot->item_ids();
  answer.snapshot = p.number;
  answer.eligible = stats.eligible;
  answer.from_fallback = stats.from_fallback;
  answer.filled = stats.filled;
  answer.items.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const RankedItem& r = s.ranked[i];
    set_key(ids, r.item, answer.items[i].item);
    answer.items[i].score = r.score;
    answer.items[i].source = r.source >= 0 ? p.ranker.sources()[static_cast<std::size_t>(r.source)]->name() : std::string_view("catalogue");
  }
  if (request.explain) explain(p, ctx, *trace, answer, s);
  if (request.trace) answer.trace = std::move(trace);

  if (!options.metrics) return;
  EngineCounters::add(counters.fallback_candidates, stats.from_fallback);
  EngineCounters::add(counters.filled, stats.filled);
  EngineCounters::add(counters.denied, stats.denied);
  EngineCounters::add(counters.filtered, static_cast<std::uint64_t>(std::max<std::int64_t>(0, p.ranker.catalog().size() - stats.eligible)));
  EngineCounters::add(counters.short_answers, n < request.k ? 1 : 0);
  for (std::size_t i = 0; i < stats.produced.size() && i < p.counters.size(); ++i)
    EngineCounters::add(counters.candidates[p.counters[i]], static_cast<std::uint64_t>(std::max(0, stats.produced[i])));
  for (std::size_t i = 0; i < stats.failed.size() && i < p.counters.size(); ++i)
    EngineCounters::add(counters.failures[p.counters[i]], static_cast<std::uint64_t>(stats.failed[i]));
  for (std::size_t i = 0; i < n; ++i) {
    if (s.ranked[i].source >= 0) EngineCounters::add(counters.shown[p.counters[static_cast<std::size_t>(s.ranked[i].source)]]);
    p.coverage.show(s.ranked[i].item);
  }
}

void Engine::Impl::explain(const Publication& p, const RequestContext& ctx, const Trace& trace, Answer& answer, const EngineScratch::Impl& s) const {
  const IdMap& ids = p.snapshot->item_ids();
  answer.why.resize(answer.items.size());
  for (std::size_t i = 0; i < answer.items.size(); ++i) {
    Why& why = answer.why[i];
    why = {};
    if (i < trace.items.size()) {
      for (const TracedItem::Part& part : trace.items[i].parts) why.sources.emplace_back(part.source, part.part);
      for (const std::size_t effect : trace.items[i].effects) why.rules.push_back(trace.effects[effect].what);
    }
    if (s.ranked[i].source < 0) continue;
    const Explanation e = p.ranker.explain(ctx, s.ranked[i].source, s.ranked[i].item, static_cast<std::size_t>(options.explain_items));
    // What speaks against a product makes the total less than what speaks for it.
    float whole = 0;
    for (const ItemScore& c : e.contributions) whole += std::max(0.0f, c.score);
    whole = std::max(whole, e.total);
    for (const ItemScore& c : e.contributions) {
      if (!(c.score > 0)) continue;
      Key key;
      set_key(ids, c.item, key);
      why.because.emplace_back(std::move(key), c.score / whole);
    }
  }
}

void Engine::Impl::answer_without_snapshot(const Request& request, Answer& answer, EngineScratch::Impl& s) {
  if (request.filter != nullptr) throw std::invalid_argument("filter is given, must come with a published snapshot whose catalogue it is about");
  s.user.index = -1;
  s.user.seen.clear();
  if (request.user) answer.known_user = store.read_user(*request.user, s.user);
  s.anchors.clear();
  for (const KeyView key : request.anchors) s.anchors.push_back(store.find_item(key));
  s.trending.resize(static_cast<std::size_t>(options.events.trending_size));
  const std::size_t n = store.trending(s.trending);
  answer.items.clear();
  for (std::size_t i = 0; i < n && answer.items.size() < request.k; ++i) {
    const std::int32_t item = s.trending[i].first;
    if (std::find(s.anchors.begin(), s.anchors.end(), item) != s.anchors.end()) continue;
    if (!store.item_key(item, s.key)) continue;
    if (store.offer(view_of(s.key), request.place).available == false) continue;
    if (excludes_seen(request) && std::binary_search(s.user.seen.begin(), s.user.seen.end(), UserView::Seen{item, 0, 0, 0},
                                                   [](const UserView::Seen& a, const UserView::Seen& b) { return a.item < b.item; }))
      continue;
    Recommended& r = answer.items.emplace_back();
    r.item = s.key;
    r.score = s.trending[i].second / s.trending[0].second;
    r.source = "trending";
  }
  answer.eligible = static_cast<std::int64_t>(n);
  if (request.explain) {
    answer.why.assign(answer.items.size(), {});
    for (std::size_t i = 0; i < answer.items.size(); ++i) answer.why[i].sources.emplace_back("trending", answer.items[i].score);
  }
}

void Engine::Impl::recommend(const Request& request, Answer& answer, EngineScratch::Impl& s) {
  const bool timed = options.metrics;
  const Clock::time_point begun = timed ? Clock::now() : Clock::time_point{};
  answer.snapshot = 0;
  answer.audit_id = next_audit.fetch_add(1, std::memory_order_relaxed);
  answer.request_id = 0;
  answer.known_user = false;
  answer.eligible = 0;
  answer.from_fallback = 0;
  answer.filled = 0;
  answer.why.clear();
  answer.trace.reset();
  {
    const serving::ForkGate::Section section;
    const auto p = published.read();
    if (p.get() == nullptr) {
      answer_without_snapshot(request, answer, s);
      if (request.log) log_answer(request, nullptr, 0, store.now_ms(), answer, s);
    } else {
      serving::StageRecorder recorder(timed ? &counters : nullptr, options.listener);
      RequestContext ctx = context_of(request, store.now_ms());
      ctx.audit_id = answer.audit_id;
      ctx.listener = timed || options.listener != nullptr ? &recorder : nullptr;
      const std::shared_ptr<const Exploration> how = request.log ? exploration_of(request.placement) : nullptr;
      const RatesOfRows rates(*impressions, p->snapshot->item_ids());
      if (how) {
        ctx.explore = how.get();
        ctx.explore_seed = detail::split_mix(detail::split_mix(how->seed) + answer.audit_id);
        ctx.shown = &rates;
      }
      read_shopper(request, *p, ctx, answer, s);
      read_tired(request, *p, ctx.now_ms, s);
      ctx.tired = s.tired;
      if (timed) counters.steps[serving::kUserStep].add(Clock::now() - begun);
      answer_from(request, *p, ctx, answer, s);
      if (request.log) log_answer(request, how.get(), ctx.explore_seed, ctx.now_ms, answer, s);
    }
  }
  if (timed) {
    counters.steps[serving::kTotalStep].add(Clock::now() - begun);
    EngineCounters::add(counters.requests);
    EngineCounters::add(counters.unknown_users, request.user && !answer.known_user ? 1 : 0);
    EngineCounters::add(counters.empty_answers, answer.items.empty() && request.k > 0 ? 1 : 0);
  }
  if (options.on_answer) options.on_answer(request, answer);
}

}  // namespace etalage
