// SPDX-License-Identifier: Apache-2.0
// What an engine shows, on record, and events that are tied to it.
#include <algorithm>
#include <cmath>

#include "serving/engine/engine_impl.hpp"
#include "serving/events/event_codec.hpp"
#include "serving/events/impression_codec.hpp"
#include "serving/ranking/ranker_impl.hpp"

namespace etalage {

using serving::Publication;

std::shared_ptr<const Exploration> Engine::Impl::exploration_of(Placement placement) const {
  const std::lock_guard guard(exploring);
  return explorations[static_cast<std::size_t>(placement)];
}

void Engine::Impl::log_answer(const Request& request, const Exploration* how, std::uint64_t seed, std::int64_t now_ms, Answer& answer, EngineScratch::Impl& s) {
  constexpr std::uint64_t kForgetEvery = 256;
  thread_local serving::ByteWriter w;
  w.clear();
  serving::ShownHead head;
  head.time_ms = now_ms;
  head.user = request.user;
  head.placement = request.placement;
  head.snapshot = answer.snapshot;
  if (how != nullptr) {
    head.policy = how->policy;
    head.parameter = serving::parameter_of(*how);
    head.seed = seed;
  }
  const auto events = request.user && s.user.index >= 0 ? static_cast<std::uint32_t>(s.user.history.size()) : 0u;
  const serving::AskedFor asked{request, excludes_seen(request), fills(request), events, events == 0 ? 0 : s.user.mark()};
  head.asked = options.impressions.keep_requests && serving::asked_bytes(asked) <= Impression::Question::kMostBytes;
  serving::put_head(w, head);
  w.put(static_cast<std::uint32_t>(answer.items.size()));
  const serving::ExploredPlaces& x = s.rank.impl().explored;
  std::size_t next = 0;
  for (std::size_t i = 0; i < answer.items.size(); ++i) {
    const Recommended& r = answer.items[i];
    serving::put_place(w, {view_of(r.item), r.source, r.score});
    if (how == nullptr || next == x.places.size() || x.places[next].place != i) {
      serving::put_not_drawn(w);
      continue;
    }
    const auto& p = x.places[next++];
    const auto counts = x.counts.empty() ? std::span<const ShownCounts>() : std::span(x.counts).subspan(p.first, p.size);
    const std::size_t end = next < x.places.size() ? x.places[next].first_opinion : x.opinions.size();
    serving::put_drawn(w, p.probability, p.chosen, std::span(x.values).subspan(p.first, p.size), counts,
                       std::span(x.opinions).subspan(p.first_opinion, end - p.first_opinion));
  }
  if (head.asked) serving::put_asked(w, asked);
  answer.request_id = impressions->show(w.bytes());
  if (answer.request_id % kForgetEvery == 0) impressions->forget(now_ms);
}

ImpressionLog::Told Engine::Impl::told(const Event& event) const {
  ImpressionLog::Told out{.user = event.user, .item = event.item, .event = event.type, .time_ms = event.time_ms.value_or(store.now_ms()), .value = event.value};
  const auto& types = store.options().event_types;
  const auto type = std::find_if(types.begin(), types.end(), [&](const EventType& t) { return t.name == event.type; });
  if (type != types.end()) {
    out.purchase = serving::buys(*type, event.value);
    out.returns = serving::gives_back(*type, event.value);
  }
  return out;
}

std::uint64_t Engine::observe(const Event& event) {
  const std::uint64_t sequence = impl_->store.observe(event);
  if (impl_->impressions->any()) (void)impl_->impressions->attribute(impl_->told(event));
  return sequence;
}

std::uint64_t Engine::observe(const Event& event, std::uint64_t request) {
  const ImpressionLog::Told told = impl_->told(event);
  impl_->impressions->check(request, told);
  const std::uint64_t sequence = impl_->store.observe(event);
  impl_->impressions->react(request, told);
  return sequence;
}

std::uint64_t Engine::merge_users(KeyView from, KeyView to) {
  const std::uint64_t sequence = impl_->store.merge_users(from, to);
  impl_->impressions->merge(from, to);
  return sequence;
}

/// Who asks bootstrapped models needs a second stage that has them.
void Engine::Impl::require_models_of(const Exploration& how, Placement placement, const Snapshot& snapshot) {
  if (how.policy != PlacePolicy::kBootstrap) return;
  const auto& ranker = snapshot.parts().ranker;
  if (ranker == nullptr || ranker->bag().empty())
    throw std::invalid_argument("policy of placement '" + std::string(placement_name(placement)) + "' is 'bootstrap', which needs a snapshot whose ranker has " +
                                "bootstrapped models; its ranker has none");
}

void Engine::Impl::require_models(const Snapshot& snapshot) const {
  const std::lock_guard guard(exploring);
  for (std::size_t p = 0; p < kPlacements; ++p)
    if (explorations[p]) require_models_of(*explorations[p], static_cast<Placement>(p), snapshot);
}

void Engine::explore(Placement placement, std::optional<Exploration> how) {
  std::shared_ptr<const Exploration> next;
  if (how) {
    how->validate();
    next = std::make_shared<const Exploration>(*std::move(how));
  }
  const serving::ForkGate::Section section;
  const std::lock_guard publishing(impl_->publishing);
  if (next && impl_->current) Impl::require_models_of(*next, placement, *impl_->current->snapshot);
  const std::lock_guard guard(impl_->exploring);
  impl_->explorations[static_cast<std::size_t>(placement)].swap(next);
}

void Engine::fatigue(Placement placement, std::optional<Fatigue> how) {
  if (how) how->validate();
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->exploring);
  impl_->fatigues[static_cast<std::size_t>(placement)] = how;
  impl_->any_fatigue.store(std::ranges::any_of(impl_->fatigues, [](const auto& f) { return f.has_value(); }), std::memory_order_relaxed);
}

void Engine::Impl::read_tired(const Request& request, const Publication& p, std::int64_t now_ms, EngineScratch::Impl& s) {
  s.tired.clear();
  if (!request.user || !any_fatigue.load(std::memory_order_relaxed) || !impressions->any()) return;
  std::optional<Fatigue> how;
  {
    const std::lock_guard guard(exploring);
    how = fatigues[static_cast<std::size_t>(request.placement)];
  }
  if (!how) return;
  s.shown.clear();
  struct Reader {  // one pointer, which a std::function holds without memory of its own
    EngineScratch::Impl& s;
    const Publication& p;
  } reader{s, p};
  impressions->each_shown_to(*request.user, now_ms - std::int64_t{how->days} * 86'400'000, how->answers, [r = &reader](KeyView item, bool reacted) {
    const std::int32_t row = r->p.rows.row_of_key(item);
    if (row >= 0) r->s.shown.push_back({row, static_cast<std::int32_t>(r->s.shown.size()), reacted});
  }, s.replayed);
  std::sort(s.shown.begin(), s.shown.end(), [](const auto& a, const auto& b) { return a.row != b.row ? a.row < b.row : a.age < b.age; });
  for (std::size_t i = 0; i < s.shown.size();) {
    const std::int32_t row = s.shown[i].row;
    int passed = 0;
    bool reacted = false;  // what was shown before the last reaction does not count
    for (; i < s.shown.size() && s.shown[i].row == row; ++i) {
      reacted = reacted || s.shown[i].reacted;
      passed += reacted ? 0 : 1;
    }
    if (passed >= how->after) s.tired.push_back({row, static_cast<float>(std::pow(how->factor, passed - how->after + 1))});
  }
}

ImpressionLog& Engine::impressions() noexcept { return *impl_->impressions; }
const ImpressionLog& Engine::impressions() const noexcept { return *impl_->impressions; }

}  // namespace etalage
