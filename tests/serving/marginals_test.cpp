// SPDX-License-Identifier: Apache-2.0
// Marginal probabilities of a logged answer against all answers that could have been drawn.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <vector>

#include "serving/engine_fixture.hpp"

namespace etalage {
namespace {

const std::vector<double> kValues = {1.0, 0.9, 0.72, 0.5, 0.45, 0.3, 0.2};
constexpr std::size_t kPool = 4;
/// What three bootstrapped models say of each of them.
const std::vector<std::vector<float>> kOpinions = {{0.9f, 1.0f, 0.3f, 0.8f, 0.2f, 0.95f, 0.1f}, {0.5f, 0.2f, 0.7f, 0.6f, 0.65f, 0.1f, 0.9f}, {1.0f, 0.9f, 0.8f, 0.7f, 0.6f, 0.5f, 0.4f}};

std::vector<float> opinions_on(const std::vector<std::size_t>& candidates) {
  std::vector<float> out;
  for (const auto& model : kOpinions)
    for (const std::size_t i : candidates) out.push_back(model[i]);
  return out;
}

/// What stands at the places of one walk: candidates by number, `drawn` says where one is drawn.
struct Walked {
  std::vector<std::size_t> stood;
  double probability = 1;
};

/// Every answer that can be drawn, with its probability.
std::vector<Walked> all_answers(const Exploration& how, const std::vector<bool>& drawn) {
  std::vector<Walked> out;
  const std::function<void(Walked)> go = [&](const Walked& w) {
    const std::size_t at = w.stood.size();
    if (at == drawn.size()) {
      out.push_back(w);
      return;
    }
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < kValues.size() && left.size() < kPool; ++i)
      if (std::find(w.stood.begin(), w.stood.end(), i) == w.stood.end()) left.push_back(i);
    std::vector<double> values, p(left.size());
    for (const std::size_t i : left) values.push_back(kValues[i]);
    if (drawn[at]) exploration_probabilities(how, values, {}, p, opinions_on(left));
    else p[0] = 1;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (p[i] == 0) continue;
      Walked next = w;
      next.stood.push_back(left[i]);
      next.probability *= p[i];
      go(next);
    }
  };
  go({});
  return out;
}

/// The record of one of them.
Impression record_of(const Exploration& how, const std::vector<bool>& drawn, const std::vector<std::size_t>& stood) {
  Impression out;
  out.how = how;
  std::vector<std::size_t> above;
  for (std::size_t at = 0; at < drawn.size(); ++at) {
    Impression::Place p;
    p.item = Key(static_cast<std::int64_t>(stood[at]));
    p.source = "model";
    p.score = static_cast<float>(kValues[stood[at]]);
    if (drawn[at]) {
      p.explored = true;
      std::vector<std::size_t> left;
      for (std::size_t i = 0; i < kValues.size() && p.values.size() < kPool; ++i) {
        if (std::find(above.begin(), above.end(), i) != above.end()) continue;
        if (i == stood[at]) p.chosen = p.values.size();
        p.values.push_back(kValues[i]);
        left.push_back(i);
      }
      if (how.policy == PlacePolicy::kBootstrap) p.opinions = opinions_on(left);
      std::vector<double> probabilities(p.values.size());
      exploration_probabilities(how, p.values, {}, probabilities, p.opinions);
      p.propensity = probabilities[p.chosen];
    }
    above.push_back(stood[at]);
    out.places.push_back(std::move(p));
  }
  return out;
}

TEST(Marginals, AreThoseOfAllAnswers) {
  for (const Exploration& how : {Exploration{.policy = PlacePolicy::kSoftmax, .temperature = 0.3}, Exploration{.policy = PlacePolicy::kEpsilon, .epsilon = 0.5},
                                 Exploration{.policy = PlacePolicy::kSquareCb, .gamma = 5}, Exploration{.policy = PlacePolicy::kBootstrap, .epsilon = 0},
                                 Exploration{.policy = PlacePolicy::kBootstrap, .epsilon = 0.4}}) {
    for (const std::vector<bool>& drawn : {std::vector<bool>{true, true, true, true}, {false, true, false, true}, {true, false, true, false}}) {
      const std::vector<Walked> all = all_answers(how, drawn);
      for (const Walked& w : {all[0], all[all.size() / 2], all.back()}) {
        const auto got = record_of(how, drawn, w.stood).marginals(20'000, 5);
        ASSERT_EQ(got.size(), drawn.size());
        std::size_t above = 0;
        for (std::size_t at = 0; at < drawn.size(); ++at) {
          double expected = 0;
          for (const Walked& other : all) expected += other.stood[at] == w.stood[at] ? other.probability : 0;
          if (above <= 1) {
            EXPECT_EQ(got[at].error, 0) << at;
            EXPECT_NEAR(got[at].probability, expected, 1e-12) << at;
          } else {
            EXPECT_LT(got[at].error, 0.01) << at;
            EXPECT_NEAR(got[at].probability, expected, 5 * got[at].error + 1e-9) << at;
          }
          above += drawn[at] ? 1 : 0;
        }
      }
    }
  }
}

TEST(Marginals, AreUnknownWhereTheRecordDoesNotExplainAPlace) {
  const Exploration how{.policy = PlacePolicy::kSoftmax, .temperature = 0.3};
  const std::vector<bool> drawn{true, true, true};
  Impression shown = record_of(how, drawn, {1, 0, 2});
  shown.places[1].values[2] -= 0.05;  // variety
  const auto got = shown.marginals();
  EXPECT_DOUBLE_EQ(got[0].probability, shown.places[0].propensity);
  EXPECT_TRUE(std::isnan(got[1].probability) && std::isnan(got[1].error));
  EXPECT_TRUE(std::isnan(got[2].probability));
  EXPECT_THROW((void)shown.marginals(0), std::invalid_argument);
}

TEST(Marginals, OfAnEnginesAnswersAreTheSharesOfPlaces) {
  Engine engine;
  engine.publish(testing::shop_snapshot());
  engine.explore(Placement::kHome, Exploration{.policy = PlacePolicy::kSoftmax, .temperature = 0.2, .pool = 6});
  constexpr int kAnswers = 4000;
  Answer last;
  std::vector<std::vector<Key>> shown(3);
  for (int n = 0; n < kAnswers; ++n) {
    last = engine.recommend({.user = "u4", .k = 3, .log = true});
    for (std::size_t at = 0; at < 3; ++at) shown[at].push_back(last.items[at].item);
  }
  const auto marginals = engine.impressions().find(last.request_id)->marginals(4000);
  for (std::size_t at = 0; at < 3; ++at) {
    const double share = static_cast<double>(std::count(shown[at].begin(), shown[at].end(), last.items[at].item)) / kAnswers;
    const double p = marginals[at].probability;
    EXPECT_NEAR(share, p, 4.5 * (std::sqrt(p * (1 - p) / kAnswers) + marginals[at].error)) << at;
  }
  EXPECT_EQ(marginals[1].error, 0);
  EXPECT_GT(marginals[2].error, 0);
}

}  // namespace
}  // namespace etalage
