// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/off_policy.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "detail/random_stream.hpp"
#include "etalage/evaluation/reward_model.hpp"

namespace etalage {
namespace {

using E = OffPolicyEstimator;

/// One place, or several; views into vectors that it owns.
struct Log {
  std::size_t places = 1;
  std::vector<double> rewards, propensities, targets, q_logged, q_target;
  std::vector<std::int32_t> groups;
  [[nodiscard]] MatrixView<const double> view(const std::vector<double>& v) const { return {v.data(), v.size() / places, v.empty() ? 0 : places}; }
  [[nodiscard]] OffPolicyLog get() const {
    OffPolicyLog log;
    log.rewards = view(rewards);
    log.propensities = view(propensities);
    log.targets = view(targets);
    log.q_logged = view(q_logged);
    log.q_target = view(q_target);
    log.groups = groups;
    return log;
  }
};

OffPolicyOptions small() {
  OffPolicyOptions o;
  o.allow_small = true;
  o.resampling.samples = 200;
  o.resampling.num_threads = 1;
  return o;
}

OffPolicyEstimate one(const Log& log, E estimator, const OffPolicyOptions& o = small()) {
  return estimate_off_policy(log.get(), std::vector<E>{estimator}, o).front();
}

Log hand_made() {
  Log log;
  log.rewards = {1, 0, 2, 1};
  log.propensities = {0.5, 0.25, 0.5, 0.8};
  log.targets = {0.25, 0.5, 1, 0.4};  // weights .5, 2, 2, .5
  log.q_logged = {0.5, 0.5, 1, 1};
  log.q_target = {0.6, 0.7, 0.8, 0.9};
  return log;
}

TEST(OffPolicy, EqualsTheDefinitionsByHand) {
  const Log log = hand_made();
  EXPECT_DOUBLE_EQ(one(log, E::kIps).value, (0.5 + 0 + 4 + 0.5) / 4);
  EXPECT_DOUBLE_EQ(one(log, E::kSnips).value, 5.0 / 5.0);
  EXPECT_DOUBLE_EQ(one(log, E::kDm).value, 3.0 / 4);
  const double correction = 0.5 * 0.5 + 2 * -0.5 + 2 * 1.0 + 0;
  EXPECT_DOUBLE_EQ(one(log, E::kDr).value, (3.0 + correction) / 4);
  EXPECT_DOUBLE_EQ(one(log, E::kSndr).value, 3.0 / 4 + correction / 5);
  OffPolicyOptions o = small();
  o.switch_threshold = 1;
  EXPECT_DOUBLE_EQ(one(log, E::kSwitchDr, o).value, (3.0 + 0.25) / 4);
  o.shrinkage = 4;
  const double shrunk = 2.0 * 4 / (4 + 4), light = 0.5 * 4 / (0.25 + 4);
  EXPECT_DOUBLE_EQ(one(log, E::kDros, o).value, (3.0 + light * 0.5 + shrunk * -0.5 + shrunk * 1.0) / 4);
  const OffPolicyEstimate e = one(log, E::kIps);
  EXPECT_DOUBLE_EQ(e.ess, 25 / 8.5);
  EXPECT_DOUBLE_EQ(e.largest_weight, 2);
  EXPECT_DOUBLE_EQ(e.mean_weight, 1.25);
}

TEST(OffPolicy, AnInfiniteThresholdOrShrinkageIsDoublyRobustAndNoneIsTheModel) {
  const Log log = hand_made();
  OffPolicyOptions o = small();
  o.switch_threshold = o.shrinkage = std::numeric_limits<double>::infinity();
  const double dr = one(log, E::kDr).value;
  EXPECT_DOUBLE_EQ(one(log, E::kSwitchDr, o).value, dr);
  EXPECT_DOUBLE_EQ(one(log, E::kDros, o).value, dr);
  o.switch_threshold = o.shrinkage = 0;
  const double dm = one(log, E::kDm).value;
  EXPECT_DOUBLE_EQ(one(log, E::kSwitchDr, o).value, dm);
  EXPECT_DOUBLE_EQ(one(log, E::kDros, o).value, dm);
}

TEST(OffPolicy, ReplayIsTheMeanOfTheRowsThatMatch) {
  Log log = hand_made();
  log.targets = {1, 0, 1, 0};
  const OffPolicyEstimate e = one(log, E::kReplay);
  EXPECT_DOUBLE_EQ(e.value, 1.5);
  EXPECT_DOUBLE_EQ(e.ess, 2);
  log.targets = {1, 0, 0.5, 0};
  EXPECT_THROW(static_cast<void>(one(log, E::kReplay)), std::invalid_argument);
}

Log two_places() {
  Log log;
  log.places = 2;
  log.rewards = {1, 0, 0, 1};
  log.propensities = {0.5, 0.5, 0.5, 0.25};
  log.targets = {1, 0.25, 0.25, 0.5};  // weights 2 .5 | .5 2
  log.q_logged = {0.5, 0.25, 0.5, 0.25};
  log.q_target = {0.4, 0.2, 0.4, 0.2};
  return log;
}

TEST(OffPolicy, ListsByEachForm) {
  const Log log = two_places();
  OffPolicyOptions o = small();
  EXPECT_DOUBLE_EQ(one(log, E::kIps, o).value, (2 + 2) / 2.0);
  EXPECT_DOUBLE_EQ(one(log, E::kSnips, o).value, 2 / 2.5 + 2 / 2.5);
  EXPECT_DOUBLE_EQ(one(log, E::kDm, o).value, 0.6);
  for (const ListForm form : {ListForm::kRewardInteraction, ListForm::kCascade}) {
    o.form = form;  // weights 2 1 | .5 1
    EXPECT_DOUBLE_EQ(one(log, E::kIps, o).value, (2 + 1) / 2.0);
    const double first = 0.4 + 2 * 0.5 + 2 * 0.2 + 1 * -0.25;
    const double second = 0.4 + 0.5 * -0.5 + 0.5 * 0.2 + 1 * 0.75;
    EXPECT_DOUBLE_EQ(one(log, E::kDr, o).value, (first + second) / 2);
    EXPECT_THROW(static_cast<void>(one(log, E::kDros, o)), std::invalid_argument);
  }
  EXPECT_DOUBLE_EQ(one(log, E::kDm, o).value, 0.4);  // of a cascade: what the first place and all below are worth
  o.form = ListForm::kRewardInteraction;
  EXPECT_THROW(static_cast<void>(one(log, E::kDm, o)), std::invalid_argument);
  o.form = ListForm::kWhole;  // weights 1 | 1
  EXPECT_DOUBLE_EQ(one(log, E::kIps, o).value, 1);
  EXPECT_THROW(static_cast<void>(one(log, E::kMips, o)), std::invalid_argument);
}

TEST(OffPolicy, FormsAgreeWhereTheTargetIsTheLog) {
  Log log = two_places();
  log.targets = log.propensities;
  OffPolicyOptions o = small();
  for (const ListForm form : {ListForm::kIndependent, ListForm::kRewardInteraction, ListForm::kCascade, ListForm::kWhole}) {
    o.form = form;
    EXPECT_DOUBLE_EQ(one(log, E::kIps, o).value, 1);
    EXPECT_DOUBLE_EQ(one(log, E::kSnips, o).value, 1);
  }
}

TEST(OffPolicy, RefusesUnderTheLeastEffectiveSampleSizeUnlessTold) {
  OffPolicyOptions o = small();
  o.allow_small = false;
  EXPECT_THROW(static_cast<void>(one(hand_made(), E::kIps, o)), TooFewError);
  o.min_ess = 2.9;
  EXPECT_NO_THROW(static_cast<void>(one(hand_made(), E::kIps, o)));
  Log never = hand_made();
  never.targets = {0, 0, 0, 0};
  for (const E e : {E::kIps, E::kSnips, E::kReplay}) EXPECT_THROW(static_cast<void>(one(never, e)), TooFewError);
  EXPECT_DOUBLE_EQ(one(never, E::kSndr).value, 0.75);  // the model's part is left
}

TEST(OffPolicy, SaysWhatIsWrongWithALog) {
  const auto refused = [](const auto& change) {
    Log log = hand_made();
    change(log);
    EXPECT_THROW(static_cast<void>(one(log, E::kDr)), std::invalid_argument);
  };
  refused([](Log& l) { l.propensities[1] = 0; });
  refused([](Log& l) { l.propensities[1] = 1.5; });
  refused([](Log& l) { l.propensities[1] = NAN; });
  refused([](Log& l) { l.targets[2] = -0.1; });
  refused([](Log& l) { l.targets[2] = 1.0001; });
  refused([](Log& l) { l.rewards[0] = INFINITY; });
  refused([](Log& l) { l.targets.pop_back(); });
  refused([](Log& l) { l.q_logged.clear(); });
  refused([](Log& l) { l.q_target[0] = NAN; });
  refused([](Log& l) { l.groups = {0, 0, 1}; });
  refused([](Log& l) { l.groups = {0, 0, 3, 3}; });
  refused([](Log& l) { l.groups = {0, 0, -1, 1}; });
  refused([](Log& l) { l.propensities = {1, 1, 1, 1}; });
  Log empty;
  EXPECT_THROW(static_cast<void>(one(empty, E::kIps)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(one(hand_made(), E::kMips)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(off_policy_estimator("ipw")), std::invalid_argument);
  EXPECT_EQ(off_policy_estimator("switch-dr"), E::kSwitchDr);
  EXPECT_EQ(list_form("reward-interaction"), ListForm::kRewardInteraction);
}

Log random_log(std::size_t n, std::uint64_t seed) {
  detail::RandomStream random(seed, 0, 0);
  Log log;
  for (std::size_t i = 0; i < n; ++i) {
    const bool rare = random.chance(250);
    log.propensities.push_back(rare ? 0.25 : 0.75);
    log.targets.push_back(rare ? 0.75 : 0.25);
    log.rewards.push_back(random.chance(rare ? 300 : 100) ? 1 : 0);
    log.q_logged.push_back(rare ? 0.25 : 0.15);
    log.q_target.push_back(0.75 * 0.25 + 0.25 * 0.15);
    log.groups.push_back(static_cast<std::int32_t>(i / 4));
  }
  return log;
}

TEST(OffPolicy, IntervalsHoldTheTruthAndAreTheSameForAnyThreadCount) {
  const double truth = 0.75 * 0.3 + 0.25 * 0.1;
  const std::vector<E> all = {E::kIps, E::kSnips, E::kDr, E::kSndr, E::kSwitchDr, E::kDros};
  std::vector<int> held(all.size(), 0);
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Log log = random_log(800, seed);
    log.groups.clear();
    OffPolicyOptions o = small();
    const auto found = estimate_off_policy(log.get(), all, o);
    for (std::size_t e = 0; e < all.size(); ++e) {
      held[e] += found[e].interval.low <= truth && truth <= found[e].interval.high;
      if (all[e] == E::kIps) {
        EXPECT_TRUE(found[e].bernstein.low <= truth && truth <= found[e].bernstein.high);
      }
    }
    if (seed < 3) {
      o.resampling.num_threads = 3;
      const auto again = estimate_off_policy(log.get(), all, o);
      for (std::size_t e = 0; e < all.size(); ++e) EXPECT_EQ(again[e].interval.low, found[e].interval.low);
    }
  }
  for (std::size_t e = 0; e < all.size(); ++e) EXPECT_GE(held[e], 90) << name_of(all[e]);
}

TEST(OffPolicy, ShoppersAreResampledWhole) {
  Log log = random_log(2000, 5);
  // Every row of a shopper is the same: 500 answers, not 2,000.
  for (std::size_t i = 0; i < 2000; ++i)
    for (auto* v : {&log.rewards, &log.propensities, &log.targets}) (*v)[i] = (*v)[i / 4 * 4];
  const OffPolicyEstimate together = one(log, E::kIps);
  log.groups.clear();
  const OffPolicyEstimate apart = one(log, E::kIps);
  EXPECT_NEAR(together.value, apart.value, 1e-12);
  EXPECT_EQ(together.groups, 500);
  EXPECT_NEAR(together.standard_error / apart.standard_error, 2, 0.01);
  EXPECT_NEAR((together.interval.high - together.interval.low) / (apart.interval.high - apart.interval.low), 2, 0.4);
}

TEST(OffPolicy, WithoutAPositiveTheIntervalIsThatOfClopperAndPearson) {
  Log log = random_log(1000, 2);
  for (double& r : log.rewards) r = 0;
  const OffPolicyEstimate e = one(log, E::kSnips);
  EXPECT_EQ(e.value, 0);
  EXPECT_FALSE(e.varied);
  EXPECT_EQ(e.interval.low, 0);
  // As many answers as there are shoppers, or fewer where weights say so.
  EXPECT_NEAR(e.interval.high, 1 - std::pow(0.025, 1 / std::min(e.ess, static_cast<double>(e.groups))), 1e-12);
}

/// Sixty actions in three embeddings; rewards depend on the embedding alone.
TEST(OffPolicy, MipsIsExactWithAllProbabilitiesAndSteadierThanIps) {
  const std::size_t actions = 60, n = 400;
  std::vector<std::int32_t> cell_of(actions);
  std::vector<double> log_p(actions), target_p(actions);
  for (std::size_t a = 0; a < actions; ++a) {
    cell_of[a] = static_cast<std::int32_t>(a % 3);
    log_p[a] = static_cast<double>(a + 1) / 1830;
    target_p[a] = static_cast<double>(actions - a) / 1830;
  }
  const double rates[3] = {0.2, 0.4, 0.6};
  double truth = 0;
  for (std::size_t a = 0; a < actions; ++a) truth += target_p[a] * rates[cell_of[a]];
  double ips_error = 0, mips_error = 0, seen_error = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    detail::RandomStream random(seed, 1, 0);
    Log log;
    std::vector<std::int32_t> chosen, cells;
    std::vector<double> all_p, all_t;
    for (std::size_t i = 0; i < n; ++i) {
      std::size_t a = 0;
      for (std::uint32_t left = random.below(1830); left >= a + 1; ++a) left -= static_cast<std::uint32_t>(a + 1);
      chosen.push_back(static_cast<std::int32_t>(a));
      cells.push_back(cell_of[a]);
      log.rewards.push_back(random.chance(static_cast<std::uint32_t>(rates[cell_of[a]] * 1000)) ? 1 : 0);
      log.propensities.push_back(log_p[a]);
      log.targets.push_back(target_p[a]);
      all_p.insert(all_p.end(), log_p.begin(), log_p.end());
      all_t.insert(all_t.end(), target_p.begin(), target_p.end());
    }
    OffPolicyLog view = log.get();
    view.actions = chosen;
    view.cells = cells;
    view.action_cells = cell_of;
    const auto seen = estimate_off_policy(view, std::vector<E>{E::kMips}, small());
    view.all_propensities = {all_p.data(), n, actions};
    view.all_targets = {all_t.data(), n, actions};
    const auto exact = estimate_off_policy(view, std::vector<E>{E::kIps, E::kMips}, small());
    double above = 0, below = 0;
    for (std::size_t a = 0; a < actions; ++a)
      if (cell_of[a] == 2) above += target_p[a], below += log_p[a];
    if (seed == 0) {
      EXPECT_GE(exact[1].largest_weight, above / below - 1e-12);
    }
    ips_error += std::pow(exact[0].value - truth, 2);
    mips_error += std::pow(exact[1].value - truth, 2);
    seen_error += std::pow(seen[0].value - truth, 2);
  }
  EXPECT_LT(mips_error, 0.5 * ips_error);
  EXPECT_LT(seen_error, 0.5 * ips_error);
}

TEST(ConfidenceSequence, HoldsTheTruthAtEveryRowAndNarrows) {
  const double truth = 0.75 * 0.3 + 0.25 * 0.1;
  int held = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Log log = random_log(2000, 1000 + seed);
    const ConfidenceSequence s = confidence_sequence(log.rewards, log.propensities, log.targets);
    bool inside = true;
    for (std::size_t i = 0; i < s.low.size(); ++i) {
      inside = inside && s.low[i] <= truth && truth <= s.high[i];
      ASSERT_TRUE(i == 0 || (s.low[i] >= s.low[i - 1] && s.high[i] <= s.high[i - 1]));
    }
    held += inside;
    EXPECT_LT(s.high.back() - s.low.back(), 0.4);
  }
  EXPECT_GE(held, 190);
}

TEST(ConfidenceSequence, RefusesWhatItCannotBound) {
  const std::vector<double> one = {1}, half = {0.5}, two = {2}, none;
  EXPECT_THROW(static_cast<void>(confidence_sequence(none, none, none)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(confidence_sequence(two, half, half)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(confidence_sequence(one, two, half)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(confidence_sequence(one, half, half, 1.0)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(confidence_sequence(one, half, half, 0.9, 1, 1)), std::invalid_argument);
  EXPECT_NO_THROW(static_cast<void>(confidence_sequence(two, half, half, 0.9, 0, 2)));
}

TEST(RewardModel, FindsALinearRewardAndNeverLooksAtTheRowItself) {
  const std::size_t n = 900, actions = 3;
  detail::RandomStream random(3, 3, 3);
  std::vector<double> x(n), r(n), targets(n * actions, 1.0 / 3);
  std::vector<std::int32_t> a(n);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = random.below(1000) / 500.0 - 1;
    a[i] = static_cast<std::int32_t>(random.below(3));
    r[i] = 0.5 + 0.3 * a[i] + (0.2 - 0.2 * a[i]) * x[i];
  }
  RewardModelOptions o;
  o.l2 = 1e-6;
  const MatrixView<const double> contexts(x.data(), n, 1), all(targets.data(), n, actions);
  RewardPredictions q = cross_fitted_rewards(contexts, a, r, all, {}, o);
  for (std::size_t i = 0; i < n; ++i) {
    ASSERT_NEAR(q.logged[i], r[i], 1e-5);
    ASSERT_NEAR(q.target[i], 0.8 + 0.0 * x[i], 1e-5);
  }
  std::vector<double> changed = r;
  changed[17] += 1e6;
  EXPECT_EQ(cross_fitted_rewards(contexts, a, changed, all, {}, o).logged[17], q.logged[17]);
  o.logistic = true;
  EXPECT_THROW(static_cast<void>(cross_fitted_rewards(contexts, a, r, all, {}, o)), std::invalid_argument);
  for (double& v : r) v = v > 0.6 ? 1 : 0;
  q = cross_fitted_rewards(contexts, a, r, all, {}, o);
  for (const double v : q.logged) ASSERT_TRUE(v >= 0 && v <= 1);
  a[0] = 3;
  EXPECT_THROW(static_cast<void>(cross_fitted_rewards(contexts, a, r, all, {}, o)), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
