// SPDX-License-Identifier: Apache-2.0
// Pins, caps and shares around the greedy choice of a re-ranker.
#include <algorithm>
#include <bit>
#include <functional>
#include <optional>
#include <string>

#include "core/scratch.hpp"
#include "serving/ranking/ranker_impl.hpp"
#include "serving/rules/json.hpp"

namespace etalage::serving {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);
constexpr std::size_t kMostOpinions = std::size_t{1} << 21;  // of an answer: its record has to fit the journal; places beyond show the best

std::size_t shown_of(const RulePlan::Cap& cap, std::int32_t group, const RankScratch::Impl& s) noexcept {
  std::size_t n = 0;
  for (const std::int32_t entry : s.answer) n += cap.groups->code(item_of(entry, s)) == group ? 1u : 0u;
  // Pins further down count from the beginning.
  for (std::size_t pos = s.answer.size(); pos < s.pin_at.size(); ++pos)
    if (s.pin_at[pos] >= 0) n += cap.groups->code(item_of(s.pin_at[pos], s)) == group ? 1u : 0u;
  return n;
}

template <class Policy>
class Selection {
 public:
  Selection(const RequestContext& request, const RulePlan& plan, Policy& policy, std::size_t window, std::size_t k, RankScratch::Impl& s, const Tracer& tracer)
      : request_(request), plan_(plan), policy_(policy), window_(window), k_(k), s_(s), tracer_(tracer) {}

  void run() {
    const std::size_t n = s_.order.size();
    s_.answer.clear();
    s_.explored.clear();
    s_.taken.assign(n, 0);
    s_.blocked.assign(n, 0);
    s_.shares.assign(n, 0);
    s_.owed.clear();
    s_.shown.assign(plan_.shares.size(), 0);
    for (std::size_t r = 0; r < plan_.shares.size(); ++r) {
      s_.owed.push_back(plan_.shares[r].of(std::min(k_, n)));
      for (std::size_t e = 0; e < n; ++e)
        if (plan_.shares[r].set->bits.contains(item(e))) s_.shares[e] |= std::uint32_t{1} << r;
    }
    place_pins();
    std::size_t open = k_;
    for (const std::int32_t e : s_.pin_at) open -= e >= 0 ? 1u : 0u;
    for (std::size_t pos = 0; pos < k_; ++pos) {
      std::size_t chosen = kNone;
      drawn_.reset();
      if (s_.pin_at[pos] >= 0) {
        chosen = static_cast<std::size_t>(s_.pin_at[pos]);
      } else {
        chosen = pick(open);
        if (chosen == kNone) continue;  // pins further down move up
        --open;
        s_.taken[chosen] = 1;
        pay(chosen);
      }
      if (follows()) note_followed(chosen);
      s_.answer.push_back(static_cast<std::int32_t>(chosen));
      s_.pin_at[pos] = -1;
      count_shown(chosen);
      if (chosen < window_) policy_.choose(chosen);
      block(item(chosen));
    }
    tell_kept_out();
  }

 private:
  /// Whether the next place is to show a certain item, as all above did.
  [[nodiscard]] bool follows() const noexcept {
    const ExploredPlaces& x = s_.explored;
    return s_.answer.size() < x.follow.size() && s_.answer.size() == x.followed.size();
  }
  void note_followed(std::size_t chosen) {
    const double p = drawn_ ? *drawn_ : item(chosen) == s_.explored.follow[s_.answer.size()] ? 1.0 : 0.0;
    if (p > 0) s_.explored.followed.push_back(p);
  }
  [[nodiscard]] std::int32_t item(std::size_t e) const noexcept {
    return s_.candidates.items[static_cast<std::size_t>(s_.order[e])];
  }

  void place_pins() {
    s_.pin_at.assign(k_, -1);
    for (const RulePlan::Pin& pin : plan_.pins) {
      const std::int32_t c = s_.candidates.find(pin.item);
      if (c < 0) {
        tracer_.effect(pin.rule, pin.item, [] { return std::string("not pinned: not eligible"); });
        continue;
      }
      const auto e = static_cast<std::size_t>(std::find(s_.order.begin(), s_.order.end(), c) - s_.order.begin());
      if (s_.taken[e] != 0) continue;  // an earlier rule has pinned it
      std::size_t at = pin.position;
      while (at < k_ && s_.pin_at[at] >= 0) ++at;
      if (at >= k_) {
        tracer_.effect(pin.rule, pin.item, [] { return std::string("not pinned: behind the end of this answer"); });
        continue;
      }
      s_.pin_at[at] = static_cast<std::int32_t>(e);
      s_.taken[e] = 1;
      pay(e);
      tracer_.effect(pin.rule, pin.item, [&] { return "pinned to " + std::to_string(at + 1); });
    }
    for (const std::int32_t e : s_.pin_at)
      if (e >= 0) block(item(static_cast<std::size_t>(e)));
  }

  void pay(std::size_t e) noexcept {
    for (std::size_t r = 0; r < s_.owed.size(); ++r)
      if ((s_.shares[e] >> r & 1) != 0 && s_.owed[r] > 0) --s_.owed[r];
  }
  void count_shown(std::size_t e) noexcept {
    for (std::size_t r = 0; r < s_.shown.size(); ++r) s_.shown[r] += s_.shares[e] >> r & 1;
  }

  // Candidates whose group is full after this item.
  void block(std::int32_t shown_item) noexcept {
    for (const RulePlan::Cap& cap : plan_.caps) {
      const std::int32_t group = cap.groups->code(shown_item);
      if (group < 0 || shown_of(cap, group, s_) < static_cast<std::size_t>(cap.max)) continue;
      for (std::size_t e = 0; e < s_.order.size(); ++e)
        if (cap.groups->code(item(e)) == group) s_.blocked[e] = 1;
    }
  }

  // Shares that cannot wait, a bit each: the open places are as many as what is owed, or the first so many are short.
  [[nodiscard]] std::uint32_t pressing(std::size_t open) const noexcept {
    std::size_t all = 0;
    for (const std::size_t o : s_.owed) all += o;
    std::uint32_t bits = 0;
    for (std::size_t r = 0; r < s_.owed.size(); ++r) {
      const bool short_now = plan_.shares[r].spread && s_.shown[r] < plan_.shares[r].of_first(s_.answer.size() + 1);
      if ((s_.owed[r] > 0 && all >= open) || short_now) bits |= std::uint32_t{1} << r;
    }
    return bits;
  }

  [[nodiscard]] std::size_t pick(std::size_t open) {
    policy_.before();
    if (const std::uint32_t bits = pressing(open); bits != 0) {
      const std::size_t e = chosen_among(bits);
      if (e != kNone) {
        for (std::size_t r = 0; r < s_.owed.size(); ++r)
          if ((bits & s_.shares[e] & std::uint32_t{1} << r) != 0)
            tracer_.effect(plan_.shares[r].rule, item(e), [&] { return "chosen for its share at " + std::to_string(s_.answer.size() + 1); });
        return e;
      }
    }
    return chosen_among(0);
  }

  // The best, or where this place is explored one of the best that the policy draws: what may stand there is settled before.
  [[nodiscard]] std::size_t chosen_among(std::uint32_t bits) {
    const std::size_t place = s_.answer.size();
    if (request_.explore == nullptr || !request_.explore->explores(place, k_, s_.explored.places.size())) return best(bits);
    const Exploration& how = *request_.explore;
    // An engine sees to it that there are models to ask.
    if (how.policy == PlacePolicy::kBootstrap && s_.second.models == 0) return best(bits);
    ExploredPlaces& x = s_.explored;
    x.entries.clear();
    x.gains.clear();
    int most = 0;
    for (std::size_t e = 0; e < std::min(window_, s_.order.size()); ++e) {
      if (s_.taken[e] != 0 || s_.blocked[e] != 0) continue;
      const int serves = std::popcount(bits & s_.shares[e]);
      if ((bits != 0 && serves == 0) || serves < most) continue;
      if (serves > most) {
        x.entries.clear();
        x.gains.clear();
        most = serves;
      }
      // The best `pool` ones, best first; ties by the order, as best() has them.
      const double gain = policy_.gain(e);
      if (x.gains.size() == how.pool && !(gain > x.gains.back())) continue;
      const auto at = std::upper_bound(x.gains.begin(), x.gains.end(), gain, std::greater<>()) - x.gains.begin();
      x.gains.insert(x.gains.begin() + at, gain);
      x.entries.insert(x.entries.begin() + at, e);
      if (x.gains.size() > how.pool) {
        x.gains.pop_back();
        x.entries.pop_back();
      }
    }
    // Whoever serves more of what cannot wait goes first, even from behind the window, where only the first is looked at.
    bool elsewhere = x.entries.empty();
    for (std::size_t e = window_; bits != 0 && !elsewhere && e < s_.order.size(); ++e)
      elsewhere = s_.taken[e] == 0 && s_.blocked[e] == 0 && std::popcount(bits & s_.shares[e]) > most;
    if (elsewhere) return best(bits);
    const std::size_t n = x.entries.size();
    if (s_.second.models * n > kMostOpinions - std::min(kMostOpinions, x.opinions.size())) return best(bits);
    const std::size_t first = x.values.size();
    x.values.insert(x.values.end(), x.gains.begin(), x.gains.end());
    std::span<const ShownCounts> counts;
    if (how.policy == PlacePolicy::kThompson && request_.shown != nullptr) {
      for (const std::size_t e : x.entries) x.counts.push_back(request_.shown->counts_of(item(e)));
      counts = std::span(x.counts).last(n);
    }
    const std::size_t first_opinion = x.opinions.size();
    const std::size_t candidates = s_.candidates.size();
    for (std::size_t m = 0; m < s_.second.models; ++m)
      for (const std::size_t e : x.entries)
        x.opinions.push_back(static_cast<float>(policy_.gain_with(e, s_.second.by_models[m * candidates + static_cast<std::size_t>(s_.order[e])])));
    x.probabilities.resize(n);
    exploration_probabilities(how, x.gains, counts, x.probabilities, std::span(x.opinions).subspan(first_opinion));
    std::size_t chosen = draw_candidate(x.probabilities, exploration_uniform(request_.explore_seed, place));
    if (follows()) {
      const auto wanted = std::find_if(x.entries.begin(), x.entries.end(), [&](std::size_t e) { return item(e) == x.follow[place]; });
      drawn_ = wanted == x.entries.end() ? 0.0 : x.probabilities[static_cast<std::size_t>(wanted - x.entries.begin())];
      if (*drawn_ > 0) chosen = static_cast<std::size_t>(wanted - x.entries.begin());
    }
    x.places.push_back({place, first, n, chosen, x.probabilities[chosen], first_opinion});
    return x.entries[chosen];
  }

  // Among the candidates that serve most of the shares in `bits` (at least one, if there are any) the largest gain;
  // behind the window the first.
  [[nodiscard]] std::size_t best(std::uint32_t bits) noexcept {
    std::size_t found = kNone;
    int most = 0;
    double most_gain = 0;
    for (std::size_t e = 0; e < s_.order.size(); ++e) {
      if (s_.taken[e] != 0 || s_.blocked[e] != 0) continue;
      const int serves = bits == 0 ? 0 : std::popcount(bits & s_.shares[e]);
      if (bits != 0 && serves == 0) continue;
      if (e >= window_) {
        if (found == kNone || serves > most) {
          found = e;
          most = serves;
          most_gain = -std::numeric_limits<double>::infinity();
        }
        if (bits == 0) break;
        continue;
      }
      if (found != kNone && serves <= most) {
        // The order falls by relevance: nobody behind can do better either.
        if (bits == 0 && policy_.ceiling(e) <= most_gain) break;
        if (serves < most || policy_.bound(e) <= most_gain) continue;
      }
      const bool first = found == kNone || serves > most;
      const double gain = policy_.gain(e, first ? kNoLeast : most_gain);
      if (first || gain > most_gain) {
        found = e;
        most = serves;
        most_gain = gain;
      }
    }
    return found;
  }

  // Candidates that are worth more than the answer's last and that a cap kept out.
  void tell_kept_out() const {
    if (!tracer_.on() || s_.answer.empty()) return;
    std::size_t last = 0;
    for (const std::int32_t e : s_.answer) last = std::max(last, static_cast<std::size_t>(e));
    for (std::size_t e = 0; e < last; ++e) {
      if (s_.taken[e] != 0 || s_.blocked[e] == 0) continue;
      for (const RulePlan::Cap& cap : plan_.caps) {
        const std::int32_t group = cap.groups->code(item(e));
        if (group < 0 || shown_of(cap, group, s_) < static_cast<std::size_t>(cap.max)) continue;
        tracer_.effect(cap.rule, item(e), [&] {
          return "kept out: " + std::to_string(cap.max) + " of " + cap.groups->by + " " + cap.groups->names[static_cast<std::size_t>(group)] +
                 " are there";
        });
      }
    }
  }

  const RequestContext& request_;
  const RulePlan& plan_;
  Policy& policy_;
  std::size_t window_;
  std::size_t k_;
  RankScratch::Impl& s_;
  const Tracer& tracer_;
  std::optional<double> drawn_;  // probability of the item that this place follows, where the place is drawn
};

}  // namespace

void select(const RequestContext& request, const RulePlan& plan, const RerankOptions& options, const RerankInput& window, std::size_t k,
            RankScratch::Impl& s, const Tracer& tracer) {
  RerankOptions used = options;
  // Nothing is known of this shopper: there is nothing to calibrate to.
  if (used.method == RerankMethod::kCalibrated && std::all_of(window.target.begin(), window.target.end(), [](float p) { return !(p > 0); }))
    used.method = RerankMethod::kNone;
  with_policy(used, window, s.scratch.impl().part<RerankMemory>(), [&](auto& policy) {
    Selection(request, plan, policy, window.relevance.size(), k, s, tracer).run();
  });
}

bool caps_allow(const RulePlan& plan, std::int32_t item, const RankScratch::Impl& s) noexcept {
  for (const RulePlan::Cap& cap : plan.caps) {
    const std::int32_t group = cap.groups->code(item);
    if (group >= 0 && shown_of(cap, group, s) >= static_cast<std::size_t>(cap.max)) return false;
  }
  return true;
}

}  // namespace etalage::serving
