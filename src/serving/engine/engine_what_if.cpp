// SPDX-License-Identifier: Apache-2.0
// What other policies and snapshots would have shown where answers on record were drawn.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "etalage/serving/impression_credit.hpp"
#include "serving/engine/engine_impl.hpp"
#include "serving/ranking/ranker_impl.hpp"

namespace etalage {

using serving::Publication;

namespace {

constexpr int kWalks = 1000;

std::string named(const Impression& shown) { return "request " + std::to_string(shown.request); }

double reward_of(const Impression::Place& place, const std::map<std::string, double>& worth) {
  double sum = 0;
  for (const auto& [event, times] : credited(place, worth))
    if (const auto at = worth.find(event); times > 0 && at != worth.end()) sum += at->second;
  return sum;
}

/// The answer as it would be on record had this policy drawn the same products.
Impression drawn_by(Impression shown, const Exploration& policy) {
  shown.how = policy;
  std::vector<double> p;
  for (Impression::Place& place : shown.places) {
    if (!place.explored) continue;
    p.resize(place.values.size());
    exploration_probabilities(policy, place.values, place.counts, p, place.opinions);
    place.propensity = p[place.chosen];
  }
  return shown;
}

/// The probabilities of the places, given the ones above or over all that could stand there.
std::vector<double> probabilities_of(const Impression& shown, bool marginals) {
  std::vector<double> out;
  if (!marginals) {
    for (const Impression::Place& place : shown.places) out.push_back(place.propensity);
    return out;
  }
  for (const Impression::Marginal& m : shown.marginals(kWalks)) {
    if (!(m.probability >= 0))
      throw std::invalid_argument("form is 'independent', which needs marginals, and that of place " + std::to_string(out.size() + 1) + " of " + named(shown) +
                                  " is not known: variety, a cap or a share changes what is left; ask for 'reward_interaction'");
    out.push_back(m.probability);
  }
  return out;
}

/// Collects rows of different lengths.
class Rows {
 public:
  explicit Rows(const EventStoreOptions& events, const WhatIfOptions& options) : options_(options) {
    out_.worth = options.worth;
    if (out_.worth.empty())
      for (const EventType& t : events.event_types)
        if (!t.returns) out_.worth[t.name] = 1;
  }

  /// Whether this answer is asked about, and was drawn.
  bool takes(const Impression& shown) {
    if (options_.placement && shown.placement != *options_.placement) return false;
    if (std::ranges::any_of(shown.places, [](const Impression::Place& p) { return p.explored; })) return true;
    ++out_.not_drawn;
    return false;
  }

  void add(const Impression& shown, std::vector<double> targets) {
    std::vector<double> logged = probabilities_of(shown, options_.marginals);
    std::vector<double> rewards;
    for (const Impression::Place& p : shown.places) rewards.push_back(reward_of(p, out_.worth));
    out_.places = std::max(out_.places, rewards.size());
    rows_.push_back({std::move(rewards), std::move(logged), std::move(targets)});
    const auto fresh = static_cast<std::int32_t>(next_);
    const auto number = shown.user ? numbers_.try_emplace(*shown.user, fresh).first->second : fresh;
    next_ += number == fresh ? 1 : 0;
    out_.shoppers.push_back(number);
  }

  WhatIf& out() noexcept { return out_; }

  WhatIf finish() {
    out_.rows = rows_.size();
    const std::size_t all = out_.rows * out_.places;
    out_.rewards.assign(all, 0);
    out_.propensities.assign(all, 1);
    out_.targets.assign(all, 1);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto at = static_cast<std::ptrdiff_t>(i * out_.places);
      std::ranges::copy(rows_[i].rewards, out_.rewards.begin() + at);
      std::ranges::copy(rows_[i].logged, out_.propensities.begin() + at);
      std::ranges::copy(rows_[i].targets, out_.targets.begin() + at);
    }
    return std::move(out_);
  }

 private:
  struct Row {
    std::vector<double> rewards, logged, targets;
  };
  const WhatIfOptions& options_;
  WhatIf out_;
  std::vector<Row> rows_;
  std::map<Key, std::int32_t> numbers_;
  std::size_t next_ = 0;
};

}  // namespace

WhatIf Engine::what_if(const Exploration& policy, const WhatIfOptions& options) const {
  policy.validate();
  if (options.exploration) throw std::invalid_argument("exploration is given, must come with a snapshot; a policy is one itself");
  Rows rows(impl_->store.options(), options);
  impl_->impressions->each([&](const Impression& shown) {
    if (!rows.takes(shown)) return;
    const bool asked = std::ranges::all_of(shown.places, [](const Impression::Place& p) { return !p.explored || !p.opinions.empty(); });
    if (policy.policy == PlacePolicy::kBootstrap && !asked)
      throw std::invalid_argument("policy is 'bootstrap', and " + named(shown) + " was drawn by '" + std::string(exploration_name(shown.how.policy)) +
                                  "': its record does not say what bootstrapped models would have done");
    rows.add(shown, probabilities_of(drawn_by(shown, policy), options.marginals));
  });
  return rows.finish();
}

WhatIf Engine::what_if(std::shared_ptr<const Snapshot> snapshot, const WhatIfOptions& options) const {
  if (!snapshot) throw std::invalid_argument("snapshot is null, must be a snapshot");
  impl_->require_kinds(*snapshot);
  if (options.exploration) {
    options.exploration->validate();
    if (options.exploration->policy == PlacePolicy::kThompson)
      throw std::invalid_argument("exploration is 'thompson', must be another policy: how often products had been shown by then is not on record");
    if (options.marginals)
      throw std::invalid_argument("exploration is given with form 'independent', must come with another form: what a snapshot would draw is followed down one list");
    Impl::require_models_of(*options.exploration, options.placement.value_or(Placement::kHome), *snapshot);
  }
  const Publication p(std::move(snapshot), impl_->store, impl_->options);
  Rows rows(impl_->store.options(), options);
  const std::int64_t trained = p.snapshot->parts().trained_ms;
  std::vector<std::uint64_t> requests;
  impl_->impressions->each([&](const Impression& shown) {
    if (!rows.takes(shown)) return;
    if (!shown.question) ++rows.out().without_question;
    else if (trained != 0 && shown.time_ms <= trained) ++rows.out().before_training;
    else requests.push_back(shown.request);
  });
  EngineScratch scratch;
  std::vector<double> targets;
  for (const std::uint64_t request : requests) {
    const auto shown = impl_->impressions->find(request);
    if (!shown) continue;  // erased since
    if (impl_->ask_again(*shown, p, options, scratch.impl(), targets)) rows.add(*shown, targets);
    else ++rows.out().shopper_changed;
  }
  return rows.finish();
}

bool Engine::Impl::ask_again(const Impression& shown, const Publication& p, const WhatIfOptions& what, EngineScratch::Impl& s, std::vector<double>& targets) {
  const serving::ForkGate::Section section;
  const Impression::Question& q = *shown.question;
  targets.assign(shown.places.size(), 0.0);
  std::optional<Predicate> filter;
  Request request;
  request.placement = shown.placement;
  request.k = q.k;
  request.segment = q.segment;
  request.place = q.place;
  request.query_vector = q.query_vector;
  request.exclude_seen = q.exclude_seen;
  request.fill = q.fill;
  request.anchors = BoundKeys(q.anchors);
  request.session = BoundKeys(q.session);
  request.given = BoundScores(q.given);
  if (shown.user) request.user = BoundKey(view_of(*shown.user));
  s.replayed = shown.request;
  s.user = {};
  if (shown.user && !store.read_user_then(view_of(*shown.user), q.events, q.mark, shown.time_ms, s.user)) return false;
  RequestContext ctx = context_of(request, shown.time_ms);
  ctx.explore = what.exploration ? &*what.exploration : nullptr;
  Answer answer;
  read_shopper(request, p, ctx, answer, s);
  read_tired(request, p, shown.time_ms, s);
  ctx.tired = s.tired;
  SharedFilter compiled;
  if (!q.filter.empty()) {
    filter = Predicate::from_json(q.filter);
    compiled = p.ranker.catalog().filter(*filter, request.place);
    ctx.filter = &compiled;
  }
  std::vector<std::int32_t> follow;
  for (const Impression::Place& place : shown.places) follow.push_back(p.rows.row_of_key(view_of(place.item)));
  const std::size_t most = std::min(q.k, static_cast<std::size_t>(p.ranker.catalog().size()));
  s.ranked.resize(std::max(s.ranked.size(), most));
  serving::ExploredPlaces& x = s.rank.impl().explored;
  x.follow = {};
  if (!what.marginals) x.follow = follow;
  const std::size_t n = p.ranker.rank(ctx, std::span(s.ranked).first(most), s.rank);
  x.follow = {};
  if (what.marginals) {  // what is shown is certain, whatever else the log showed
    for (std::size_t i = 0; i < std::min(n, follow.size()); ++i) targets[i] = s.ranked[i].item == follow[i] ? 1 : 0;
    return true;
  }
  std::ranges::copy(x.followed, targets.begin());
  // What fills up behind what was chosen is not drawn.
  for (std::size_t i = x.followed.size(); i < std::min(n, follow.size()) && s.ranked[i].item == follow[i]; ++i) targets[i] = 1;
  return true;
}

}  // namespace etalage
