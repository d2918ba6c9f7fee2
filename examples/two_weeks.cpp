// SPDX-License-Identifier: Apache-2.0
// The serving side of examples/09_two_weeks.py: a week of logged answers that explore, what another policy would have earned, a second
// stage learned from what was shown and published in the snapshot, and a week in which half of the shoppers get it.
//   build/examples/example_two_weeks
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <etalage/etalage.hpp>

using namespace etalage;

namespace {

constexpr std::int64_t kDay = 86'400'000;
constexpr std::size_t kPlaces = 4;

/// What the shop does not know: who clicks on what.
class Shoppers {
 public:
  explicit Shoppers(const Interactions& data) : data_(data) {
    std::gamma_distribution<double> a(1.2), b(8.0);
    for (std::int32_t i = 0; i < data.num_items(); ++i) {
      const double x = a(rng_);
      appeal_[std::string(data.item_ids()->string_at(i))] = x / (x + b(rng_));
    }
  }
  /// Everybody looks twice at four places; what stands further down is looked at less. Clicks by shopper.
  template <class ShopOf>
  std::vector<double> week(const ShopOf& shop_of, std::int64_t& now, std::int64_t day) {
    std::vector<double> clicks(static_cast<std::size_t>(data_.num_users()));
    EngineScratch scratch;
    Answer answer;
    for (int visit = 0; visit < 2; ++visit) {
      now = day + visit * kDay;
      for (std::int32_t u = 0; u < data_.num_users(); ++u) {
        const std::string user(data_.user_ids()->string_at(u));
        Engine& engine = shop_of(user);
        engine.recommend({.user = user, .k = kPlaces, .log = true}, answer, scratch);
        for (std::size_t place = 0; place < answer.items.size(); ++place) {
          const std::string& item = std::get<std::string>(answer.items[place].item);
          if (uniform_(rng_) >= appeal_[item] * std::pow(0.8, static_cast<double>(place))) continue;
          engine.observe({.user = user, .item = item, .type = "view", .time_ms = now}, answer.request_id);
          ++clicks[static_cast<std::size_t>(u)];
        }
      }
    }
    return clicks;
  }

 private:
  const Interactions& data_;
  std::mt19937 rng_{1};
  std::uniform_real_distribution<double> uniform_;
  std::map<std::string, double> appeal_;
};

/// Clicks an answer had the best stood at every place, from the answers that were drawn: SNIPS, places given the ones above.
OffPolicyEstimate always_the_best(const Engine& engine) {
  const WhatIf asked = engine.what_if(Exploration{.policy = PlacePolicy::kGreedy});
  OffPolicyLog views;
  views.rewards = {asked.rewards.data(), asked.rows, asked.places};
  views.propensities = {asked.propensities.data(), asked.rows, asked.places};
  views.targets = {asked.targets.data(), asked.rows, asked.places};
  views.groups = asked.shoppers;
  OffPolicyOptions options;
  options.form = ListForm::kRewardInteraction;
  const OffPolicyEstimator snips = OffPolicyEstimator::kSnips;
  return estimate_off_policy(views, {&snips, 1}, options)[0];
}

/// Learns the order of each shown list from what was clicked in it, a click for 1 / propensity clicks; served as at the first place.
void learn(LearnedRankerModel& ranker, const ImpressionLog& log, const Interactions& data) {
  const std::size_t width = ranker.num_features();
  std::vector<float> rows, gains;
  std::vector<std::int64_t> offsets{0};
  Scratch scratch;
  log.each([&](const Impression& shown) {
    std::vector<std::int32_t> items;
    std::vector<float> own;
    for (const Impression::Place& p : shown.places) {
      items.push_back(data.item_ids()->find(std::get<std::string>(p.item)));
      own.push_back(p.reactions.empty() ? 0.0f : static_cast<float>(1 / p.propensity));
    }
    if (std::ranges::all_of(own, [](float g) { return g == 0; })) return;
    const std::size_t from = rows.size();
    rows.resize(from + items.size() * width);
    const Query query{.user = data.user_ids()->find(std::get<std::string>(*shown.user)), .exclude_seen = false, .now_ms = shown.time_ms};
    ranker.features(query, items, {rows.data() + from, items.size(), width}, scratch);
    for (std::size_t i = 0; i < items.size(); ++i) rows[from + (i + 1) * width - 1] = static_cast<float>(i + 1);  // "position"
    gains.insert(gains.end(), own.begin(), own.end());
    offsets.push_back(static_cast<std::int64_t>(gains.size()));
  });
  ranker.set_scorer(LinearRanker::fit({rows.data(), gains.size(), width}, offsets, gains, {}));
  ranker.set_served_at(std::numeric_limits<float>::quiet_NaN(), 1);
}

double mean(const std::vector<double>& clicks, const std::vector<bool>& in, bool which) {
  double sum = 0, n = 0;
  for (std::size_t u = 0; u < clicks.size(); ++u) {
    if (in[u] != which) continue;
    sum += clicks[u];
    ++n;
  }
  return sum / n;
}

}  // namespace

int main() {
  SyntheticStoreOptions made_up;
  made_up.users = 400;
  made_up.items = 120;
  made_up.seed = 1;
  const SyntheticStore store = make_synthetic_store(made_up);
  const EventLog log = store.log();
  InteractionOptions weights;
  weights.event_weights = {{"view", 1}, {"cart", 3}, {"purchase", 5}};
  weights.return_event = "return";
  const Interactions data = log.interactions(weights);
  auto als = std::make_shared<AlsModel>(AlsOptions{.factors = 16});
  als->fit(data);
  auto popular = std::make_shared<PopularityModel>();
  popular->fit(data);
  SnapshotParts parts;
  parts.models = {{"als", als, RecommenderSource::Ask::kShopper}, {"popularity", popular, RecommenderSource::Ask::kAnyone}};

  // Week one: the first two places are drawn among the ten best, with known probabilities.
  std::int64_t now = 0;
  const std::int64_t start = store.events.times_ms[store.events.times_ms.size() - 1] + 3'600'000;
  EngineOptions options;
  options.events.now_ms = [&now] { return now; };
  now = start;
  Engine engine(options);
  engine.publish(std::make_shared<const Snapshot>(parts));
  engine.explore(Placement::kHome, Exploration{.policy = PlacePolicy::kEpsilon, .epsilon = 0.6, .slots = {0, 1}, .pool = 10});
  Shoppers shoppers(data);
  (void)shoppers.week([&](const std::string&) -> Engine& { return engine; }, now, start);
  const OffPolicyEstimate best = always_the_best(engine);
  std::printf("always the best, from this log: %.3f [%.3f, %.3f] clicks an answer, ess %.0f\n", best.value, best.interval.low, best.interval.high, best.ess);

  // The second stage learns from what was shown, and is published with the models.
  const Sequences histories = log.sequences();
  auto ranker = std::make_shared<LearnedRankerModel>(std::vector<BlendMember>{{"als", als}, {"popularity", popular}}, ItemSignals::of(histories), histories);
  learn(*ranker, engine.impressions(), data);
  parts.ranker = ranker;
  Engine second(options);
  second.publish(std::make_shared<const Snapshot>(parts));

  // Week two: half of the shoppers get it; who is in which half is a hash of their key.
  engine.explore(Placement::kHome, {});
  const std::vector<GroupShare> shares{{"models", 0.5}, {"learned", 0.5}};
  const Allocation arms("second-stage", shares);
  std::vector<bool> learned;
  for (std::int32_t u = 0; u < data.num_users(); ++u) learned.push_back(arms.assign(data.user_ids()->string_at(u)) == 1);
  const std::vector<double> clicks =
      shoppers.week([&](const std::string& user) -> Engine& { return arms.assign(user) == 1 ? second : engine; }, now, start + 7 * kDay);
  std::printf("clicks a shopper in week two: learned %.3f, models %.3f\n", mean(clicks, learned, true), mean(clicks, learned, false));
  return best.ess >= 50 && engine.impressions().size() > 0 ? 0 : 1;
}
