// SPDX-License-Identifier: Apache-2.0
// A million drawn answers of each policy against the probabilities that are logged of them. Runs with slow tests:
//   ctest -R ExplorationMillion --output-on-failure
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include "etalage/serving/exploration.hpp"
#include "serving/explored_shop.hpp"

namespace etalage {
namespace {

constexpr int kAnswers = 1'000'000;
constexpr std::size_t kPool = 6;

/// Drawn and expected answers of a cell: expected is the sum of the probabilities that stood in the log when each answer was drawn, so it is
/// right where these move with every answer as well (Thompson sampling).
struct Cell {
  double drawn = 0;
  double expected = 0;
};

/// Pearson's statistic below its 1 - 1e-4 quantile (Wilson and Hilferty). One cell is given by the others, which the bound does not use.
template <class Cells>
void expect_as_logged(const Cells& cells, const char* what) {
  double statistic = 0;
  double n = 0;
  for (const auto& [name, cell] : cells) {
    if (cell.expected < 5) continue;
    statistic += (cell.drawn - cell.expected) * (cell.drawn - cell.expected) / cell.expected;
    n += 1;
  }
  ASSERT_GT(n, 1) << what;
  n -= 1;
  EXPECT_LT(statistic, n * std::pow(1 - 2 / (9 * n) + 3.719 * std::sqrt(2 / (9 * n)), 3)) << what << " over " << n << " degrees of freedom";
}

class ExplorationMillion : public ::testing::TestWithParam<testing::Drawn> {};

TEST_P(ExplorationMillion, AnswersComeAsOftenAsTheirProbabilitiesSay) {
  Engine engine;
  testing::publish_ruled_shop(engine, GetParam().method, GetParam().how.policy == PlacePolicy::kBootstrap ? 8 : 0);
  Exploration how = GetParam().how;
  how.pool = kPool;
  how.slots = {0, 2};
  engine.explore(Placement::kHome, how);
  // By the place among the candidates: at the first place these are the same products in every answer, at the third in every answer with
  // the same first one.
  std::map<std::size_t, Cell> first;
  std::map<std::pair<std::size_t, std::size_t>, Cell> both;
  EngineScratch scratch;
  Answer answer;
  std::vector<double> p(kPool);
  const auto expect = [&](const Impression::Place& place, const Exploration& logged, const auto& cell) {
    p.resize(place.values.size());
    exploration_probabilities(logged, place.values, place.counts, p, place.opinions);
    for (std::size_t i = 0; i < p.size(); ++i) cell(i).expected += p[i];
    cell(place.chosen).drawn += 1;
    return p[place.chosen] == place.propensity;
  };
  for (int r = 0; r < kAnswers; ++r) {
    engine.recommend({.user = "u5", .k = 4, .log = true}, answer, scratch);
    const Impression seen = *engine.impressions().find(answer.request_id);
    ASSERT_TRUE(seen.places[0].explored && !seen.places[1].explored && seen.places[2].explored);
    ASSERT_TRUE(expect(seen.places[0], seen.how, [&](std::size_t i) -> Cell& { return first[i]; }));
    const std::size_t above = seen.places[0].chosen;
    ASSERT_TRUE(expect(seen.places[2], seen.how, [&](std::size_t i) -> Cell& { return both[{above, i}]; }));
    if (r % 100 == 0) {
      ASSERT_TRUE(seen.replays());
    }
  }
  expect_as_logged(first, "first place");
  expect_as_logged(both, "first and third place");
}

INSTANTIATE_TEST_SUITE_P(Policies, ExplorationMillion, ::testing::ValuesIn(testing::every_policy()));

}  // namespace
}  // namespace etalage
