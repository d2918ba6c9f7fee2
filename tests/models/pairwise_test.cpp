// SPDX-License-Identifier: Apache-2.0
// BPR and WARP: the step against numeric differences of the loss, rank weights, schedule, repeats, folding in, files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "detail/random_stream.hpp"
#include "etalage/error.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/warp.hpp"
#include "kernels/sgd_kernels.hpp"
#include "models/pairwise/pairwise_sgd.hpp"
#include "support/refused_option.hpp"

namespace etalage {
namespace {

// Users like items of their own group, `share` percent of them; `groups` groups.
Interactions planted(std::int32_t users, std::int32_t items, std::int32_t groups, std::uint32_t share) {
  detail::RandomStream random(7, 1, 1);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u < users; ++u) {
    for (std::int32_t i = u % groups; i < items; i += groups)
      if (random.below(100) < share) columns.push_back(i);
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  const std::vector<float> ones(columns.size(), 1.0f);
  return Interactions({users, items, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(ones)});
}

/// Of five items each for `users` of planted(.., .., 4, ..), how many are of the user's group.
int of_own_group(const Recommender& model, std::int32_t users) {
  Scratch scratch;
  int right = 0;
  std::vector<ItemScore> out(5);
  for (std::int32_t u = 0; u < users; ++u) {
    model.recommend({.user = u}, out, scratch);
    for (const ItemScore& r : out) right += r.item % 4 == u % 4 ? 1 : 0;
  }
  return right;
}

bool same_bits(const Array<float>& a, const Array<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(Pairwise, StepFollowsTheGradientOfTheLoss) {
  constexpr std::size_t n = 16;
  detail::RandomStream random(3, 1, 1);
  Array<float> rows(3 * n);
  float* start = rows.mutable_data();
  for (std::size_t k = 0; k < 3 * n; ++k) start[k] = static_cast<float>(random.below(2000)) / 1000.0f - 1;
  constexpr double ridge = 0.3;
  const std::function<double(double)> losses[] = {[](double x) { return std::log1p(std::exp(-x)); },
                                                  [](double x) { return 2.5 * std::max(0.0, 4.0 - x); }};
  for (const int which : {0, 1}) {
    const auto value = [&](const std::vector<double>& z) {
      double x = 0;
      double norms = 0;
      for (std::size_t k = 0; k < n; ++k) x += z[k] * (z[n + k] - z[2 * n + k]);
      for (const double v : z) norms += v * v;
      return losses[which](x) + ridge / 2 * norms;
    };
    Array<float> moved(rows.view());
    float* m = moved.mutable_data();
    float norms[2];
    const float x = kernels::sgd().pair_score(m, m + n, m + 2 * n, n, norms);
    ASSERT_LT(x, 4.0f);
    const float slope = which == 0 ? detail::logistic_slope(x) : 2.5f;
    constexpr float rate = 1.0f / 1024;
    const float keep = 1 - rate * static_cast<float>(ridge);
    kernels::sgd().pair_update(m, m + n, m + 2 * n, n, {keep, rate * slope, keep, rate * slope, keep, rate * slope});
    const std::vector<double> z(rows.begin(), rows.end());
    for (std::size_t k = 0; k < 3 * n; ++k) {
      std::vector<double> up = z;
      std::vector<double> down = z;
      up[k] += 1e-5;
      down[k] -= 1e-5;
      const double gradient = (value(up) - value(down)) / 2e-5;
      const double step = (static_cast<double>(moved[k]) - static_cast<double>(rows[k])) / static_cast<double>(rate);
      EXPECT_NEAR(step, -gradient, 2e-4) << "loss " << which << " entry " << k;
    }
  }
}

TEST(Pairwise, LogisticSlopeAndLoss) {
  for (double x = -90; x <= 90; x += 0.37) {
    const double expected = 1 / (1 + std::exp(x));
    EXPECT_NEAR(detail::logistic_slope(static_cast<float>(x)), expected, 1e-5 * expected + 1e-30) << x;
    EXPECT_NEAR(detail::logistic_loss(static_cast<float>(x)), -std::log(1 / (1 + std::exp(-x))), 1e-4) << x;
  }
  EXPECT_EQ(detail::logistic_slope(std::numeric_limits<float>::infinity()), 0.0f);
}

TEST(Pairwise, RankWeightsAreRatiosOfHarmonicNumbers) {
  const auto harmonic = [](std::int64_t r) {
    double sum = 0;
    for (std::int64_t s = 1; s <= r; ++s) sum += 1 / static_cast<double>(s);
    return sum;
  };
  for (const std::int64_t items : {2, 10, 66, 1000, 40981})
    for (const int trials : {1, 2, 3, 16, 100, 100000})
      for (const int violators : {1, 2, 16}) {
        if (violators > trials) continue;
        EXPECT_NEAR(pairwise::rank_weight(items, violators, trials),
                    harmonic(std::max<std::int64_t>(1, (items - 1) * violators / trials)) / harmonic(items - 1), 2e-6)
            << items << " " << violators << " " << trials;
      }
}

TEST(Pairwise, ViolationIsTheHighestScoredOfTheFirstViolators) {
  detail::RandomStream random(5, 1, 1);
  for (int round = 0; round < 300; ++round) {
    std::vector<float> scores(200);
    for (float& s : scores) s = static_cast<float>(random.below(40));
    const float level = static_cast<float>(random.below(45)) - 1;
    const int wanted = 1 + static_cast<int>(random.below(40));
    const int most = 1 + static_cast<int>(random.below(150));
    const int last = random.below(2) == 0 ? most : static_cast<int>(random.below(150));  // draws before there is none left
    pairwise::Violation expected;
    for (int t = 0; t < std::min(most, last) && expected.violators < wanted; ++t) {
      expected.trials = t + 1;
      const auto at = static_cast<std::size_t>(t);
      if (!(scores[at] > level)) continue;
      ++expected.violators;
      if (expected.item < 0 || scores[at] > scores[static_cast<std::size_t>(expected.item)]) expected.item = t;
    }
    std::int32_t next = 0;
    const pairwise::Violation found = pairwise::find_violation(
        wanted, most, level, [&] { return next < last ? next++ : -1; },
        [&](std::span<const std::int32_t> items, float* out) {
          for (const std::int32_t i : items) *out++ = scores[static_cast<std::size_t>(i)];
        });
    EXPECT_EQ(found.item, expected.item);
    EXPECT_EQ(found.violators, expected.violators);
    EXPECT_EQ(found.trials, expected.trials);
    EXPECT_LE(next, std::max(2 * expected.trials, wanted)) << "at most as many draws again as were needed";
  }
}

TEST(Warp, EveryNumberOfViolatorsFindsTheGroups) {
  const Interactions data = planted(300, 400, 4, 25);
  for (const int violators : {1, 2, 4}) {
    WarpModel m(WarpOptions{.factors = 8, .learning_rate = 0.1f, .regularization = 0.05f, .epochs = 15, .num_violators = violators});
    m.fit(data);
    EXPECT_GT(of_own_group(m, 300), 1200) << "of 1500, violators " << violators;
  }
}

TEST(Pairwise, ContainsIsBinarySearch) {
  std::vector<std::int32_t> row;
  for (std::int32_t n = 0; n < 40; ++n) {
    for (std::int32_t i = -1; i < 85; ++i)
      EXPECT_EQ(pairwise::contains(row, i), std::binary_search(row.begin(), row.end(), i)) << n << " " << i;
    row.push_back(2 * n + 1);
  }
}

TEST(Pairwise, EveryPairIsASampleOnceAnEpoch) {
  const Interactions data = planted(700, 600, 4, 20);
  pairwise::Settings s{.factors = 4, .epochs = 1};
  s.learning_rate = 1e-30f;  // nothing moves: every sample has the loss of the start
  s.init_scale = 1e-10f;
  const CsrMatrix& m = data.user_items();
  for (const int threads : {1, 2, 5}) {
    s.num_threads = threads;
    pairwise::Trainer trainer(s, CsrView{m.rows, m.cols, m.offsets, m.columns, {}});
    for (const int epoch : {0, 1})
      EXPECT_NEAR(trainer.epoch(epoch), std::log(2.0) * static_cast<double>(m.nnz()), 1e-6 * static_cast<double>(m.nnz()));
  }
}

template <class Model>
class PairwiseModels : public testing::Test {};
using Both = testing::Types<std::pair<BprModel, BprOptions>, std::pair<WarpModel, WarpOptions>>;
TYPED_TEST_SUITE(PairwiseModels, Both);

TYPED_TEST(PairwiseModels, SameBitsForAnyNumberOfThreads) {
  using Model = typename TypeParam::first_type;
  using Options = typename TypeParam::second_type;
  const Interactions data = planted(1300, 1100, 5, 8);
  Options o{.factors = 20, .epochs = 3, .num_threads = 1};
  Model one(o);
  one.fit(data);
  for (const int threads : {2, 3, 8}) {
    o.num_threads = threads;
    Model many(o);
    many.fit(data);
    EXPECT_TRUE(same_bits(one.user_factors(), many.user_factors())) << threads;
    EXPECT_TRUE(same_bits(one.item_factors(), many.item_factors())) << threads;
    EXPECT_EQ(one.report().objective, many.report().objective);
  }
  o.seed = 43;
  Model other(o);
  other.fit(data);
  EXPECT_FALSE(same_bits(one.user_factors(), other.user_factors()));
}

TYPED_TEST(PairwiseModels, LossFallsAndGroupsAreFoundWithEveryOptimizerAndBias) {
  using Model = typename TypeParam::first_type;
  using Options = typename TypeParam::second_type;
  const Interactions data = planted(300, 200, 4, 40);
  for (const bool bias : {false, true})
    for (const SgdOptimizer optimizer : {SgdOptimizer::kAdaGrad, SgdOptimizer::kSgd}) {
      Options o{.factors = 8, .learning_rate = 0.1f, .regularization = 0.01f, .epochs = 30, .optimizer = optimizer, .item_bias = bias};
      if constexpr (std::is_same_v<Options, BprOptions>) o.num_candidates = 8;
      else o.num_violators = 1;
      Model m(o);
      m.fit(data);
      EXPECT_LT(m.report().objective.back(), 0.7 * m.report().objective.front());
      EXPECT_EQ(m.factors(), bias ? 9 : 8);
      Scratch scratch;
      int right = 0;
      std::vector<ItemScore> out(5);
      for (std::int32_t u = 0; u < 300; ++u) {
        ASSERT_EQ(m.recommend({.user = u}, out, scratch), out.size());
        for (const ItemScore& r : out) right += r.item % 4 == u % 4 ? 1 : 0;
      }
      EXPECT_GT(right, 1350) << "of 1500";
      for (std::int32_t u = 0; bias && u < 300; ++u) {
        ASSERT_EQ(m.user_row(u)[8], 1.0f);
      }
      // The level is no part of the likeness.
      ASSERT_EQ(m.similar_items(7, out, scratch), out.size());
      double expected = 0;
      double a = 0;
      double b = 0;
      for (std::size_t f = 0; f < 8; ++f) {
        const double p = static_cast<double>(m.item_row(7)[f]);
        const double q = static_cast<double>(m.item_row(out[0].item)[f]);
        expected += p * q;
        a += p * p;
        b += q * q;
      }
      EXPECT_NEAR(out[0].score, expected / std::sqrt(a * b), 1e-5);
    }
}

TYPED_TEST(PairwiseModels, FoldingInFindsTheGroupAndPartsSumToTheScore) {
  using Model = typename TypeParam::first_type;
  using Options = typename TypeParam::second_type;
  const Interactions data = planted(300, 200, 4, 40);
  Model m(Options{.factors = 8, .regularization = 0.01f, .epochs = 20, .item_bias = false});
  m.fit(data);
  Scratch scratch;
  std::vector<ItemScore> out(10);
  const std::vector<std::int32_t> history{2, 6, 10, 50};
  const std::vector<std::int32_t> shuffled{50, 2, 10, 6, 2};
  ASSERT_EQ(m.recommend({.history = history}, out, scratch), out.size());
  for (const ItemScore& r : out) EXPECT_EQ(r.item % 4, 2);
  std::vector<float> x(8);
  std::vector<float> y(8);
  m.query_factor({.history = history}, x, scratch);
  m.query_factor({.history = shuffled}, y, scratch);
  EXPECT_EQ(x, y);
  for (const std::int32_t item : {2, 3, 14, 199}) {
    const Explanation e = m.explain({.history = history}, item, 10);
    ASSERT_EQ(e.contributions.size(), history.size());
    std::vector<float> score(1);
    m.score({.history = history}, {&item, 1}, score, scratch);
    double sum = 0;
    for (const ItemScore& c : e.contributions) sum += static_cast<double>(c.score);
    EXPECT_NEAR(sum, e.total, 1e-5 * (1 + std::abs(sum)));
    EXPECT_NEAR(e.total, score[0], 1e-4 * (1 + std::abs(score[0])));
    EXPECT_EQ(m.explain({.history = history}, item, 2).contributions.size(), 2u);
  }
  // Disliked items are no taste; somebody without any is nobody's.
  const std::vector<float> values{1, -1, 1, 0};
  const std::vector<std::int32_t> liked{2, 10};
  m.query_factor({.history = history, .history_values = values}, x, scratch);
  m.query_factor({.history = liked}, y, scratch);
  EXPECT_EQ(x, y);
  const std::vector<float> none{-1, -1, -1, -1};
  m.query_factor({.history = history, .history_values = none}, x, scratch);
  // Like somebody of whom nothing is known.
  EXPECT_EQ(x, std::vector<float>(m.cold_start_row().begin(), m.cold_start_row().end()));
}

TYPED_TEST(PairwiseModels, UsersWithoutLikesAndUsersWhoLikeEverything) {
  using Model = typename TypeParam::first_type;
  using Options = typename TypeParam::second_type;
  const std::vector<std::int64_t> offsets{0, 3, 3, 4};
  const std::vector<std::int32_t> columns{0, 1, 2, 1};
  const std::vector<float> values{1, 1, 1, -2};
  Model m(Options{.factors = 4, .regularization = 0.01f, .epochs = 5, .item_bias = false});
  m.fit(Interactions({3, 3, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)}));
  for (const std::int32_t u : {1, 2})
    for (const float v : m.user_row(u)) EXPECT_EQ(v, 0.0f);
  for (const float v : m.item_factors()) EXPECT_TRUE(std::isfinite(v));
}

TYPED_TEST(PairwiseModels, CallbackStopsAndDivergenceIsNamed) {
  using Model = typename TypeParam::first_type;
  using Options = typename TypeParam::second_type;
  const Interactions data = planted(100, 80, 4, 40);
  Model m(Options{.factors = 8, .regularization = 0.01f, .epochs = 9, .item_bias = false});
  const FitReport report = m.fit(data, [](const Progress& p) { return p.step < 3; });
  EXPECT_EQ(report.iterations, 3);
  EXPECT_EQ(report.stop_reason, FitReport::StopReason::kCancelled);
  Model wild(Options{.factors = 8, .learning_rate = 1e30f, .epochs = 9, .optimizer = SgdOptimizer::kSgd});
  EXPECT_THROW(wild.fit(data), NumericalError);
  EXPECT_FALSE(wild.fitted());
  EXPECT_THROW(wild.fit(Interactions(CsrMatrix{0, 0, Array<std::int64_t>(1), {}, {}})), std::invalid_argument);
}

TYPED_TEST(PairwiseModels, OptionsNameWhatIsWrong) {
  using Options = typename TypeParam::second_type;
  const auto expect = test::expect_refused<Options>;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  expect("factors", [](Options& o) { o.factors = 0; });
  expect("factors", [](Options& o) { o.factors = 4097; });
  expect("learning_rate", [](Options& o) { o.learning_rate = 0; });
  expect("regularization", [](Options& o) { o.regularization = -1; });
  expect("epochs", [](Options& o) { o.epochs = -1; });
  expect("optimizer", [](Options& o) { o.optimizer = static_cast<SgdOptimizer>(9); });
  expect("decay", [](Options& o) { o.decay = nan; });
  expect("init_scale", [](Options& o) { o.init_scale = 0; });
  expect("fold_in_epochs", [](Options& o) { o.fold_in_epochs = 0; });
  expect("num_threads", [](Options& o) { o.num_threads = -1; });
  if constexpr (std::is_same_v<Options, BprOptions>) {
    expect("negatives", [](Options& o) { o.negatives = static_cast<NegativeSampling>(9); });
    expect("num_candidates", [](Options& o) { o.num_candidates = 0; });
  } else {
    expect("margin", [](Options& o) { o.margin = 0; });
    expect("max_trials", [](Options& o) { o.max_trials = 0; });
    expect("num_violators", [](Options& o) { o.num_violators = 0; });
    expect("num_violators", [](Options& o) { o.num_violators = 1025; });
  }
}

TEST(Pairwise, SmallCataloguesAreNotSearchedForTheirBest) {
  EXPECT_EQ(pairwise::draws(32, 40000), 32);
  EXPECT_EQ(pairwise::draws(32, 160), 10);
  EXPECT_EQ(pairwise::draws(32, 5), 1);
}

TEST(Bpr, EverySamplingFindsTheGroups) {
  const Interactions data = planted(600, 560, 4, 20);
  for (const NegativeSampling negatives : {NegativeSampling::kUniform, NegativeSampling::kPopularity, NegativeSampling::kDynamic}) {
    BprModel m(BprOptions{.factors = 8, .learning_rate = 0.1f, .regularization = 0.01f, .epochs = 25, .negatives = negatives});
    m.fit(data);
    EXPECT_GT(of_own_group(m, 600), 2700) << "of 3000, sampling " << static_cast<int>(negatives);
  }
}

}  // namespace
}  // namespace etalage
