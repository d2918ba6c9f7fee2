// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/ranker.hpp"

#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "serving/rules/json.hpp"
#include "serving/ranking/ranker_impl.hpp"

namespace etalage {

using serving::RulePlan;
using serving::Tracer;

namespace {

constexpr float kLowest = 0.1f;      // relevance of the last candidate that a source of the placement names
constexpr std::size_t kChoice = 3;   // candidates for each product of the answer, before fallback sources are asked

// Tells the listener how long each stage took; reads no clock without one.
class StageClock {
 public:
  explicit StageClock(StageListener* listener) : listener_(listener) {
    if (listener_ != nullptr) last_ = std::chrono::steady_clock::now();
  }
  void done(Stage stage) noexcept {
    if (listener_ == nullptr) return;
    const auto now = std::chrono::steady_clock::now();
    listener_->on_stage(stage, now - last_);
    last_ = now;
  }

 private:
  StageListener* listener_;
  std::chrono::steady_clock::time_point last_{};
};

void check_vectors(const RankerParts& p) {
  if (p.dim < 0 || (p.dim == 0 && !p.vectors.empty()) || (p.dim > 0 && p.vectors.size() % static_cast<std::size_t>(p.dim) != 0))
    throw std::invalid_argument("vectors has " + std::to_string(p.vectors.size()) + " numbers, must be rows of dim = " + std::to_string(p.dim));
  for (std::size_t i = 0; i < p.vectors.size(); ++i)
    if (!std::isfinite(p.vectors[i]))
      throw std::invalid_argument("vectors holds " + std::to_string(p.vectors[i]) + " in row " +
                                  std::to_string(i / static_cast<std::size_t>(p.dim)) + ", must be finite");
  const bool compares = p.rerank.method == RerankMethod::kMmr || p.rerank.method == RerankMethod::kDpp;
  if (compares && p.rerank.likeness == Likeness::kVectors && p.vectors.empty())
    throw std::invalid_argument("vectors is empty, must hold the products' vectors for a re-ranking by them");
}

RankerParts checked(RankerParts p) {
  if (!p.catalog) throw std::invalid_argument("catalog is null, must be a catalogue");
  p.rerank.validate();
  check_vectors(p);
  return p;
}

}  // namespace

RankScratch::RankScratch() : impl_(std::make_unique<Impl>()) {}
RankScratch::~RankScratch() = default;
RankScratch::RankScratch(RankScratch&&) noexcept = default;
RankScratch& RankScratch::operator=(RankScratch&&) noexcept = default;
RankStats RankScratch::stats() const noexcept { return impl_->stats; }

Ranker::Impl::Impl(RankerParts p)
    : parts(checked(std::move(p))), mixer(parts.sources, parts.mix, parts.skip_failing_sources), plans(serving::compile_rules(parts.rules, *parts.catalog)) {
  if (parts.rerank.method == RerankMethod::kCalibrated) calibrate = parts.catalog->groups(parts.calibrate_by);
}

Ranker::Ranker(RankerParts parts) : impl_(std::make_unique<const Impl>(std::move(parts))) {}
Ranker::~Ranker() = default;

const CatalogIndex& Ranker::catalog() const noexcept { return *impl_->parts.catalog; }
const std::shared_ptr<const CatalogIndex>& Ranker::shared_catalog() const noexcept { return impl_->parts.catalog; }
std::span<const SharedSource> Ranker::sources() const noexcept { return impl_->parts.sources; }
const Rules& Ranker::rules() const noexcept { return impl_->parts.rules; }

void Ranker::Impl::deny(const RequestContext& r, const RulePlan& plan, RankScratch::Impl& s) const {
  const auto sort_unique = [](std::vector<std::int32_t>& v) {
    std::sort(v.begin(), v.end());
    v.erase(std::unique(v.begin(), v.end()), v.end());
  };
  s.history.assign(r.history.begin(), r.history.end());
  s.history.insert(s.history.end(), r.session.begin(), r.session.end());
  sort_unique(s.history);
  s.denied.assign(r.anchors.begin(), r.anchors.end());
  if (r.exclude_seen) {
    s.denied.insert(s.denied.end(), s.history.begin(), s.history.end());
    s.denied.insert(s.denied.end(), r.seen.begin(), r.seen.end());
  }
  for (const RulePlan::NotAgain& rule : plan.not_again) {
    for (const Purchase& p : r.purchases) {
      // A purchase from the future, of a clock that runs ahead, counts as one of now.
      if (r.now_ms - p.time_ms >= rule.ms || (rule.set && !rule.set->bits.contains(p.item))) continue;
      s.denied.push_back(p.item);
      const std::int32_t group = rule.groups ? rule.groups->code(p.item) : -1;
      if (group < 0) continue;
      for (const std::int32_t other : rule.groups->members_of(group))
        if (!rule.set || rule.set->bits.contains(other)) s.denied.push_back(other);
    }
  }
  sort_unique(s.denied);
}

SourceQuery Ranker::Impl::query(const RequestContext& r, const CompiledFilter* eligible, const RankScratch::Impl& s) const noexcept {
  SourceQuery q{.request = &r, .eligible = eligible, .denied = s.denied, .num_items = parts.catalog->size()};
  q.denied_beyond_history = 0;
  for (const std::int32_t item : s.denied)
    q.denied_beyond_history += std::binary_search(s.history.begin(), s.history.end(), item) ? 0u : 1u;
  return q;
}

// The union of the sources, with what pins and shares need besides.
void Ranker::Impl::gather(const SourceQuery& query, const SharedFilter& eligible, const RulePlan& plan, std::size_t k, RankScratch::Impl& s) const {
  CandidateSet& c = s.candidates;
  mixer.mix(query, kChoice * k, c, s.scratch);
  for (const RulePlan::Share& share : plan.shares) {
    std::size_t there = 0;
    for (const std::int32_t item : c.items) there += share.set->bits.contains(item) ? 1u : 0u;
    const std::size_t needed = share.of(k);
    if (there >= needed) continue;
    const SharedFilter within = parts.catalog->both(eligible, share.set);
    SourceQuery narrow = query;
    narrow.eligible = within.get();
    const std::size_t before = c.size();
    mixer.refill(narrow, needed - there, 0, true, c, s.scratch);
    std::size_t missing = needed - there - std::min(needed - there, c.size() - before);
    const auto take = [&](std::int32_t i) {
      if (missing == 0 || !narrow.allows(i) || c.find(i) >= 0) return;
      c.from_fallback[static_cast<std::size_t>(c.insert(i))] = 1;
      --missing;
    };
    if (query.only != nullptr) {
      for (const std::int32_t i : s.given) take(i);
      continue;
    }
    for (std::int32_t i = within->bits.next(0); missing > 0 && i < within->bits.size(); i = within->bits.next(i + 1)) take(i);
  }
  for (const RulePlan::Pin& pin : plan.pins)
    if (query.allows(pin.item) && c.find(pin.item) < 0) c.from_fallback[static_cast<std::size_t>(c.insert(pin.item))] = 1;
}

namespace {

// Scores of the candidates mapped to (0, 1].
void map_to_relevance(const CandidateSet& c, std::span<const float> scores, std::span<float> relevance) {
  const std::size_t n = c.size();
  float min = std::numeric_limits<float>::infinity();
  float max = -min;
  std::size_t fallbacks = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (c.from_fallback[i] != 0) {
      ++fallbacks;
      continue;
    }
    min = std::min(min, scores[i]);
    max = std::max(max, scores[i]);
  }
  std::size_t place = 0;
  const float highest = fallbacks == n ? 1.0f : kLowest;
  for (std::size_t i = 0; i < n; ++i) {
    if (c.from_fallback[i] != 0) {
      relevance[i] = highest * static_cast<float>(fallbacks - place) / static_cast<float>(fallbacks + 1);
      ++place;
    } else {
      relevance[i] = max > min ? kLowest + (1 - kLowest) * ((scores[i] - min) / (max - min)) : 1.0f;
    }
  }
}

}  // namespace

// What the candidates are worth by each bootstrapped model, with the boosts that they have: in the place of its scores.
void Ranker::Impl::value_by_models(RankScratch::Impl& s) const {
  const std::size_t n = s.candidates.size();
  s.relevance_by_model.resize(n);
  for (std::size_t m = 0; m < s.second.models; ++m) {
    const auto own = std::span(s.second.by_models).subspan(m * n, n);
    map_to_relevance(s.candidates, own, s.relevance_by_model);
    for (std::size_t i = 0; i < n; ++i) own[i] = s.relevance_by_model[i] * (s.boosted[i] / s.relevance[i]);
  }
}

// Relevance, boosts, and the order they make.
void Ranker::Impl::value(const RequestContext& request, const RulePlan& plan, RankScratch::Impl& s, const Tracer& tracer) const {
  const CandidateSet& c = s.candidates;
  const std::size_t n = c.size();
  s.relevance.resize(n);
  map_to_relevance(c, c.scores, s.relevance);
  s.boosted.assign(s.relevance.begin(), s.relevance.end());
  for (const RulePlan::Boost& b : plan.boosts) {
    for (std::size_t i = 0; i < n; ++i) {
      if (!b.set->bits.contains(c.items[i])) continue;
      s.boosted[i] *= b.factor;
      tracer.effect(b.rule, c.items[i], [&] {
        return std::string(b.factor >= 1 ? "boosted by " : "buried by ") + serving::number_text(parts.rules.rules()[b.rule].factor);
      });
    }
  }
  if (!request.tired.empty())
    for (std::size_t i = 0; i < n; ++i) {
      const auto at = std::lower_bound(request.tired.begin(), request.tired.end(), c.items[i], [](const ItemScore& t, std::int32_t item) { return t.item < item; });
      if (at != request.tired.end() && at->item == c.items[i]) s.boosted[i] *= at->score;
    }
  s.order.resize(n);
  std::iota(s.order.begin(), s.order.end(), 0);
  std::sort(s.order.begin(), s.order.end(), [&](std::int32_t a, std::int32_t b) {
    const auto x = static_cast<std::size_t>(a), y = static_cast<std::size_t>(b);
    return s.boosted[x] != s.boosted[y] ? s.boosted[x] > s.boosted[y] : c.items[x] < c.items[y];
  });
}

RerankInput Ranker::Impl::window(const RequestContext& request, RankScratch::Impl& s) const {
  const std::size_t n = std::min(s.order.size(), static_cast<std::size_t>(parts.rerank.window));
  const auto dim = static_cast<std::size_t>(parts.dim);
  s.window_relevance.clear();
  s.window_vectors.clear();
  s.window_items.clear();
  s.window_groups.clear();
  for (std::size_t e = 0; e < n; ++e) {
    const auto c = static_cast<std::size_t>(s.order[e]);
    const std::int32_t item = s.candidates.items[c];
    s.window_relevance.push_back(s.boosted[c]);
    s.window_items.push_back(item);
    const std::size_t row = static_cast<std::size_t>(item) * dim;
    s.window_vectors.push_back(row + dim <= parts.vectors.size() && dim > 0 ? parts.vectors.data() + row : nullptr);
    if (calibrate) s.window_groups.push_back(calibrate->code(item));
  }
  RerankInput input{.relevance = s.window_relevance, .vectors = s.window_vectors, .dim = dim, .items = s.window_items, .catalog = parts.catalog.get()};
  if (!calibrate) return input;
  input.groups = s.window_groups;
  if (!request.target.empty()) {
    if (request.target.size() != calibrate->names.size())
      throw std::invalid_argument("target has " + std::to_string(request.target.size()) + " entries, must have one for each of the " +
                                  std::to_string(calibrate->names.size()) + " groups of '" + calibrate->by + "'");
    input.target = request.target;
    return input;
  }
  // What the shopper has looked at and bought so far; nothing to aim at without.
  s.target.assign(calibrate->names.size(), 0.0f);
  float sum = 0;
  for (const auto& items : {request.history, request.session}) {
    for (const std::int32_t item : items) {
      const std::int32_t g = calibrate->code(item);
      if (g < 0) continue;
      s.target[static_cast<std::size_t>(g)] += 1;
      sum += 1;
    }
  }
  for (float& p : s.target) p /= std::max(sum, 1.0f);
  input.target = s.target;
  return input;
}

// What is eligible and what no source named, in the catalogue's order.
void Ranker::Impl::fill_up(const SourceQuery& query, const RulePlan& plan, std::size_t k, RankScratch::Impl& s) const {
  if (query.only != nullptr) {
    for (const std::int32_t i : s.given) {
      if (s.answer.size() == k || s.candidates.find(i) >= 0 || !serving::caps_allow(plan, i, s)) continue;
      s.candidates.insert(i);  // it may have been given twice
      s.answer.push_back(-1 - i);
    }
    return;
  }
  const std::int32_t n = parts.catalog->size();
  const auto next = [&](std::int32_t i) { return query.eligible == nullptr ? i : query.eligible->bits.next(i); };
  for (std::int32_t i = next(0); i < n && s.answer.size() < k; i = next(i + 1))
    if (query.allows(i) && s.candidates.find(i) < 0 && serving::caps_allow(plan, i, s)) s.answer.push_back(-1 - i);
}

std::size_t Ranker::rank(const RequestContext& request, std::span<RankedItem> out, RankScratch& scratch, Trace* trace) const {
  const Impl& m = *impl_;
  RankScratch::Impl& s = scratch.impl();
  const CatalogIndex& catalog = *m.parts.catalog;
  const RulePlan* rules = &m.plans[static_cast<std::size_t>(request.placement)];
  if (catalog.is_live() && rules->live) {
    s.plan = *rules;
    serving::refresh(s.plan, catalog, request.place);
    rules = &s.plan;
  }
  const RulePlan& plan = *rules;
  if (trace != nullptr) *trace = {};
  const Tracer tracer(trace);
  StageClock clock(request.listener);

  SharedFilter eligible = request.filter == nullptr ? plan.eligible : catalog.both(plan.eligible, *request.filter);
  if (SharedFilter offered = catalog.offered(request.place)) eligible = catalog.both(eligible, offered);
  m.deny(request, plan, s);
  SourceQuery query = m.query(request, eligible.get(), s);
  const std::int64_t allowed = eligible ? eligible->count : m.parts.catalog->size();
  s.given.clear();
  if (request.only_given) {
    for (const ItemScore& g : request.given)
      if (query.allows(g.item)) s.given.push_back(g.item);
    s.only = ItemFilter::allow(std::span<const std::int32_t>(s.given));
    query.only = &s.only;
  }
  const std::size_t possible = query.only != nullptr ? query.only->num_allowed_ids() : static_cast<std::size_t>(allowed);
  const std::size_t k = std::min(out.size(), possible);
  clock.done(Stage::kFilter);

  m.gather(query, eligible, plan, k, s);
  clock.done(Stage::kSources);
  s.second.models = 0;
  const bool ask_bag = request.explore != nullptr && request.explore->policy == PlacePolicy::kBootstrap;
  if (m.parts.learned) serving::score_anew(*m.parts.learned, query, ask_bag, s.candidates, s.second);
  m.value(request, plan, s, tracer);
  m.value_by_models(s);
  const RerankInput window = m.window(request, s);
  clock.done(Stage::kRules);
  serving::select(request, plan, m.parts.rerank, window, k, s, tracer);
  clock.done(Stage::kRerank);

  s.stats = {.eligible = allowed,
             .denied = s.denied.size(),
             .candidates = s.candidates.size(),
             .produced = s.candidates.produced,
             .failed = s.candidates.failed};
  for (const std::uint8_t f : s.candidates.from_fallback) s.stats.from_fallback += f;
  const std::size_t named = s.answer.size();
  if (named < k) {
    // Caps have taken what there was: more from the fallback sources, valued behind it, and the catalogue at last.
    if (query.only == nullptr) m.mixer.refill(query, std::max<std::size_t>(1000, 4 * k), 0, true, s.candidates, s.scratch);
    for (std::size_t c = s.order.size(); c < s.candidates.size() && s.answer.size() < k; ++c) {
      if (!serving::caps_allow(plan, s.candidates.items[c], s)) continue;
      s.answer.push_back(-1 - s.candidates.items[c]);
    }
    m.fill_up(query, plan, k, s);
  }
  s.stats.filled = s.answer.size() - named;
  clock.done(Stage::kFallback);

  for (std::size_t pos = 0; pos < s.answer.size(); ++pos) {
    const std::int32_t item = serving::item_of(s.answer[pos], s);
    const std::int32_t c = s.candidates.find(item);
    RankedItem& r = out[pos];
    r = {item, 0, -1};
    if (c < 0) continue;
    const auto at = static_cast<std::size_t>(c);
    if (at < s.boosted.size()) r.score = s.boosted[at];
    float most = -1;
    for (std::int32_t i = s.candidates.first_mention[at]; i >= 0; i = s.candidates.mentions[static_cast<std::size_t>(i)].next) {
      const CandidateSet::Mention& mention = s.candidates.mentions[static_cast<std::size_t>(i)];
      if (mention.part <= most && r.source >= 0) continue;
      most = mention.part;
      r.source = mention.source;
    }
  }
  if (trace != nullptr) serving::fill_trace(*trace, request, *m.parts.catalog, m.parts.sources, out.first(s.answer.size()), s);
  return s.answer.size();
}

Explanation Ranker::explain(const RequestContext& request, std::int32_t source, std::int32_t item, std::size_t k) const {
  if (source < 0 || static_cast<std::size_t>(source) >= impl_->parts.sources.size()) return {};
  SourceQuery query{.request = &request, .num_items = impl_->parts.catalog->size()};
  return impl_->parts.sources[static_cast<std::size_t>(source)]->explain(query, item, k);
}

}  // namespace etalage
