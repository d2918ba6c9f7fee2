// SPDX-License-Identifier: Apache-2.0
// Probabilities of exploration against their formulas, and drawn answers against the probabilities that are logged of them.
#include "etalage/serving/exploration.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "serving/explored_shop.hpp"

namespace etalage {
namespace {

std::vector<double> probabilities(const Exploration& e, const std::vector<double>& values, const std::vector<ShownCounts>& counts = {}) {
  std::vector<double> out(values.size());
  exploration_probabilities(e, values, counts, out);
  EXPECT_NEAR(std::accumulate(out.begin(), out.end(), 0.0), 1.0, 1e-12);
  return out;
}

TEST(Exploration, ProbabilitiesAreTheFormulas) {
  const std::vector<double> v = {0.2, 0.9, 0.5};
  EXPECT_EQ(probabilities({.policy = PlacePolicy::kGreedy}, v), (std::vector<double>{0, 1, 0}));
  const auto epsilon = probabilities({.policy = PlacePolicy::kEpsilon, .epsilon = 0.3}, v);
  EXPECT_DOUBLE_EQ(epsilon[0], 0.1);
  EXPECT_DOUBLE_EQ(epsilon[1], 0.8);
  const auto softmax = probabilities({.policy = PlacePolicy::kSoftmax, .temperature = 0.5}, v);
  const double sum = std::exp(0.2 / 0.5) + std::exp(0.9 / 0.5) + std::exp(0.5 / 0.5);
  for (std::size_t i = 0; i < v.size(); ++i) EXPECT_NEAR(softmax[i], std::exp(v[i] / 0.5) / sum, 1e-12);
  const auto square = probabilities({.policy = PlacePolicy::kSquareCb, .gamma = 10}, v);
  EXPECT_NEAR(square[0], 1 / (3 + 10 * 0.7), 1e-12);
  EXPECT_NEAR(square[2], 1 / (3 + 10 * 0.4), 1e-12);
  EXPECT_NEAR(square[1], 1 - square[0] - square[2], 1e-12);
}

TEST(Exploration, ThompsonIsTheShareOfSimulatedDraws) {
  const std::vector<ShownCounts> counts = {{100, 5}, {1000, 60}, {20, 2}, {0, 0}, {300, 9}};
  const std::vector<double> v(counts.size(), 0.5);
  const auto exact = probabilities({.policy = PlacePolicy::kThompson}, v, counts);
  std::mt19937_64 rng(3);
  std::vector<double> share(counts.size());
  constexpr int kDraws = 200'000;
  for (int d = 0; d < kDraws; ++d) {
    std::size_t best = 0;
    double most = -1;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      std::gamma_distribution<double> a(1.0 + counts[i].reacted), b(1.0 + counts[i].shown - counts[i].reacted);
      const double x = a(rng);
      const double rate = x / (x + b(rng));
      if (rate > most) {
        most = rate;
        best = i;
      }
    }
    share[best] += 1.0 / kDraws;
  }
  for (std::size_t i = 0; i < counts.size(); ++i) EXPECT_NEAR(exact[i], share[i], 0.03) << i;
  // Nothing is known of anybody: all alike.
  for (const double p : probabilities({.policy = PlacePolicy::kThompson}, v)) EXPECT_DOUBLE_EQ(p, 0.2);
  // Much is known: the best one is almost always shown.
  EXPECT_GT(probabilities({.policy = PlacePolicy::kThompson}, {1, 1}, {{100'000, 6'000}, {100'000, 5'000}})[0], 0.999);
}

TEST(Exploration, BootstrapIsTheShareOfModels) {
  const std::vector<double> v = {0.9, 0.5, 0.2};
  const std::vector<float> opinions = {0.1f, 0.3f, 0.2f,   // the second one
                                       0.9f, 0.3f, 0.2f,   // the first one
                                       0.5f, 0.5f, 0.2f,   // equals: the first of them
                                       0.1f, 0.9f, 0.2f};
  std::vector<double> out(3);
  exploration_probabilities({.policy = PlacePolicy::kBootstrap, .epsilon = 0}, v, {}, out, opinions);
  EXPECT_EQ(out, (std::vector<double>{0.5, 0.5, 0}));
  exploration_probabilities({.policy = PlacePolicy::kBootstrap, .epsilon = 0.3}, v, {}, out, opinions);
  EXPECT_NEAR(out[0], 0.7 * 0.5 + 0.1, 1e-15);
  EXPECT_NEAR(out[2], 0.1, 1e-15);
  EXPECT_THROW(exploration_probabilities({.policy = PlacePolicy::kBootstrap}, v, {}, out), std::invalid_argument);
  EXPECT_THROW(exploration_probabilities({.policy = PlacePolicy::kBootstrap}, v, {}, out, std::span(opinions).first(4)), std::invalid_argument);
}

TEST(Exploration, BadOptionsAreNamed) {
  const auto refused = [](Exploration e, const std::string& name) {
    try {
      e.validate();
      ADD_FAILURE() << name << " passed";
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
    }
  };
  refused({.epsilon = 1.5}, "epsilon");
  refused({.epsilon = std::nan("")}, "epsilon");
  refused({.temperature = 0}, "temperature");
  refused({.gamma = -1}, "gamma");
  refused({.max_share = 2}, "max_share");
  refused({.pool = 1}, "pool");
  std::vector<double> out(1);
  EXPECT_THROW(exploration_probabilities({}, std::vector<double>{1, 2}, {}, out), std::invalid_argument);
}

// Drawn answers.

class ExploredAnswers : public ::testing::TestWithParam<testing::Drawn> {};

TEST_P(ExploredAnswers, AreDrawnWithTheLoggedProbabilities) {
  Engine engine;
  testing::publish_ruled_shop(engine, GetParam().method, GetParam().how.policy == PlacePolicy::kBootstrap ? 8 : 0);
  Exploration how = GetParam().how;
  how.pool = 6;
  engine.explore(Placement::kHome, how);
  // Thompson sampling has no cells to count: what it draws from moves with every answer.
  const int kRequests = how.policy == PlacePolicy::kThompson ? 500 : 20'000;
  const Predicate stocked = Predicate::from_json(R"({"in_stock": true})");
  // What stands at the first drawn place is drawn from one distribution; below, from one for each way the places above came out.
  std::map<std::string, int> shown;
  std::map<std::string, double> propensity;
  std::map<std::pair<std::string, std::string>, int> pairs;
  std::map<std::pair<std::string, std::string>, double> conditional;
  EngineScratch scratch;
  Answer answer;
  for (int r = 0; r < kRequests; ++r) {
    engine.recommend({.user = "u5", .k = 8, .filter = &stocked, .log = true}, answer, scratch);
    ASSERT_EQ(answer.items.size(), 8u);
    ASSERT_EQ(testing::number_of(answer.items[1].item), 40) << "a pin is not drawn away";
    std::map<int, int> brands;
    for (const Recommended& i : answer.items) {
      const int item = testing::number_of(i.item);
      ASSERT_NE(item, 2);
      ASSERT_EQ(item % 2, 0) << "not in stock";
      ASSERT_LE(++brands[item % 5], 2);
    }
    const Impression seen = *engine.impressions().find(answer.request_id);
    ASSERT_EQ(seen.places.size(), 8u);
    ASSERT_TRUE(seen.replays());
    ASSERT_TRUE(seen.places[0].explored);
    ASSERT_FALSE(seen.places[1].explored);
    const std::string first = std::get<std::string>(seen.places[0].item);
    const std::string second = std::get<std::string>(seen.places[2].item);
    ASSERT_EQ(first, std::get<std::string>(answer.items[0].item));
    ++shown[first];
    ++pairs[{first, second}];
    const auto [at, fresh] = propensity.emplace(first, seen.places[0].propensity);
    if (how.policy != PlacePolicy::kThompson) {  // whose counts change with every answer
      ASSERT_EQ(at->second, seen.places[0].propensity);
      const auto [below, new_below] = conditional.emplace(std::pair(first, second), seen.places[2].propensity);
      ASSERT_EQ(below->second, seen.places[2].propensity);
      ASSERT_EQ(seen.places[2].explored, true);
    }
  }
  if (how.policy == PlacePolicy::kThompson) {
    EXPECT_EQ(shown.size(), 6u);
    return;
  }
  // Pearson's statistic over cells that are expected at least five times; bounds are far out on the chi-square's tail (p below 1e-4).
  const auto check = [](const auto& counts, const auto& expected, const char* what) {
    double statistic = 0;
    int cells = 0;
    for (const auto& [cell, n] : counts) {
      const double e = expected(cell);
      if (e < 5) continue;
      statistic += (n - e) * (n - e) / e;
      ++cells;
    }
    ASSERT_GT(cells, 1) << what;
    const double d = cells;
    EXPECT_LT(statistic, d * std::pow(1 - 2 / (9 * d) + 3.9 * std::sqrt(2 / (9 * d)), 3)) << what << " over " << cells << " cells";
  };
  check(shown, [&](const std::string& item) { return kRequests * propensity.at(item); }, "first place");
  check(pairs, [&](const auto& pair) { return kRequests * propensity.at(pair.first) * conditional.at(pair); }, "first and third place");
}

INSTANTIATE_TEST_SUITE_P(Policies, ExploredAnswers, ::testing::ValuesIn(testing::every_policy()));

TEST(ExploredAnswers, SlotsAndSharesLimitWhatIsDrawn) {
  Engine engine;
  engine.publish(testing::shop_snapshot());
  const auto drawn = [&](Exploration how) {
    engine.explore(Placement::kHome, how);
    const Answer a = engine.recommend({.user = "u5", .k = 10, .log = true});
    std::vector<std::size_t> out;
    const Impression seen = *engine.impressions().find(a.request_id);
    for (std::size_t i = 0; i < seen.places.size(); ++i)
      if (seen.places[i].explored) out.push_back(i);
    return out;
  };
  EXPECT_EQ(drawn({.slots = {2, 5}}), (std::vector<std::size_t>{2, 5}));
  EXPECT_EQ(drawn({.max_share = 0.3}), (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_EQ(drawn({.slots = {1, 3, 5, 7}, .max_share = 0.2}), (std::vector<std::size_t>{1, 3}));
  EXPECT_EQ(drawn({.policy = PlacePolicy::kGreedy}), (std::vector<std::size_t>{}));
  EXPECT_EQ(drawn({.max_share = 0}), (std::vector<std::size_t>{}));
}

TEST(ExploredAnswers, BootstrappedModelsAreAskedWhereTheSnapshotHasThem) {
  const Exploration how{.policy = PlacePolicy::kBootstrap, .epsilon = 0, .pool = 5};
  const auto refused = [](const auto& f) {
    try {
      f();
      ADD_FAILURE() << "passed";
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find("policy of placement 'home' is 'bootstrap'"), std::string::npos) << e.what();
    }
  };
  Engine engine;
  engine.publish(testing::shop_snapshot());
  refused([&] { engine.explore(Placement::kHome, how); });
  testing::publish_ruled_shop(engine, RerankMethod::kNone, 3);
  engine.explore(Placement::kHome, how);
  refused([&] { engine.publish(testing::shop_snapshot()); });
  const Impression seen = *engine.impressions().find(engine.recommend({.user = "u5", .k = 4, .log = true}).request_id);
  ASSERT_TRUE(seen.places[0].explored);
  EXPECT_EQ(seen.how.policy, PlacePolicy::kBootstrap);
  EXPECT_EQ(seen.places[0].values.size(), 5u);
  EXPECT_EQ(seen.places[0].opinions.size(), 15u);
  EXPECT_TRUE(seen.replays());
  Impression other = seen;
  std::reverse(other.places[0].opinions.begin(), other.places[0].opinions.end());
  other.places[0].opinions[0] += 100;
  EXPECT_FALSE(other.replays());
  // To a snapshot without models one may still go back: nothing is drawn there.
  engine.rollback();
  EXPECT_FALSE(engine.impressions().find(engine.recommend({.user = "u5", .k = 4, .log = true}).request_id)->places[0].explored);
}

TEST(ExploredAnswers, OnlyLoggedOnesExplore) {
  Engine engine;
  engine.publish(testing::shop_snapshot());
  const Answer plain = engine.recommend({.user = "u5", .k = 10});
  engine.explore(Placement::kHome, Exploration{.epsilon = 1});
  const auto items = [](const Answer& a) {
    std::vector<Key> out;
    for (const Recommended& r : a.items) out.push_back(r.item);
    return out;
  };
  EXPECT_EQ(items(engine.recommend({.user = "u5", .k = 10})), items(plain));
  EXPECT_EQ(engine.impressions().size(), 0u);
  EXPECT_NE(items(engine.recommend({.user = "u5", .k = 10, .log = true})), items(plain));
  EXPECT_NE(items(engine.recommend({.user = "u5", .placement = Placement::kEmail, .k = 10, .log = true})), std::vector<Key>{});
  // Epsilon 0 is the best list, drawn with probability 1.
  engine.explore(Placement::kHome, Exploration{.epsilon = 0});
  const Answer best = engine.recommend({.user = "u5", .k = 10, .log = true});
  EXPECT_EQ(items(best), items(plain));
  const Impression seen = *engine.impressions().find(best.request_id);
  for (const auto& place : seen.places) EXPECT_EQ(place.propensity, 1);
  engine.explore(Placement::kHome, std::nullopt);
  EXPECT_FALSE(engine.impressions().find(engine.recommend({.user = "u5", .k = 10, .log = true}).request_id)->places[0].explored);
}

}  // namespace
}  // namespace etalage
