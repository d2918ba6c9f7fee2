// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/allocation.hpp"

#include <gtest/gtest.h>

#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/marketing/offer_prices.hpp"
#include "etalage/marketing/pacing.hpp"

namespace etalage::marketing {
namespace {

struct Case {
  std::vector<double> values, costs, budgets;
  std::vector<std::uint8_t> eligible;
  std::vector<std::int64_t> least, most;
  std::vector<std::int32_t> exclusive;
  AllocationProblem problem;
};

Case make(std::size_t shoppers, std::size_t offers, std::size_t budgets, unsigned seed, double share) {
  std::mt19937 rng(seed);
  std::gamma_distribution<double> worth(2, 1);
  std::uniform_real_distribution<double> cost(0.1, 1.1);
  Case c;
  for (std::size_t i = 0; i < shoppers * offers; ++i) c.values.push_back(worth(rng));
  for (std::size_t i = 0; i < shoppers * offers * budgets; ++i) c.costs.push_back(cost(rng));
  c.budgets.assign(budgets, 0.6 * static_cast<double>(shoppers) * share);
  return c;
}

void point(Case& c, std::size_t shoppers, std::size_t offers) {
  c.problem.shoppers = shoppers;
  c.problem.offers = offers;
  c.problem.values = c.values;
  c.problem.costs = c.costs;
  c.problem.budgets = c.budgets;
  c.problem.eligible = c.eligible;
  c.problem.offer_min = c.least;
  c.problem.offer_max = c.most;
  c.problem.exclusive = c.exclusive;
}

TEST(Allocate, EqualsTheBestOfAllChoicesOrIsBoundedByIt) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    const std::size_t shoppers = 5, offers = 3;
    Case c = make(shoppers, offers, 2, seed, 0.4);
    if (seed % 3 == 1) c.most = {2, 1, 5};
    if (seed % 4 == 1) c.eligible = {1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1};
    point(c, shoppers, offers);
    const Allocation a = allocate(c.problem);
    double best = 0;
    for (int code = 0; code < 1024; ++code) {
      double value = 0;
      std::vector<double> spent(2);
      std::vector<std::int64_t> given(3);
      bool allowed = true;
      for (std::size_t s = 0, rest = static_cast<std::size_t>(code); s < shoppers; ++s, rest /= 4) {
        if (rest % 4 == 3) continue;
        const std::size_t cell = s * offers + rest % 4;
        allowed &= c.eligible.empty() || c.eligible[cell] != 0;
        value += c.values[cell];
        ++given[rest % 4];
        for (std::size_t b = 0; b < 2; ++b) spent[b] += c.costs[cell * 2 + b];
      }
      for (std::size_t b = 0; b < 2; ++b) allowed &= spent[b] <= c.budgets[b];
      for (std::size_t o = 0; o < offers; ++o) allowed &= c.most.empty() || given[o] <= c.most[o];
      if (allowed) best = std::max(best, value);
    }
    EXPECT_LE(a.value, best + 1e-12);
    EXPECT_GE(a.bound, best - 1e-12);
    EXPECT_GE(a.value, 0.97 * best);
    for (std::size_t b = 0; b < 2; ++b) EXPECT_LE(a.spent[b], c.budgets[b] * (1 + 1e-12));
  }
}

TEST(Allocate, GivesTheSameBitsOnAnyThreadsAndClosesTheGap) {
  const std::size_t shoppers = 100'000, offers = 4;
  Case c = make(shoppers, offers, 2, 7, 0.3);
  c.exclusive = {0, 0, -1, -1};
  point(c, shoppers, offers);
  c.problem.per_shopper = 2;
  AllocationOptions options;
  options.sample = 5000;
  options.num_threads = 1;
  const Allocation one = allocate(c.problem, options);
  options.num_threads = 3;
  const Allocation three = allocate(c.problem, options);
  EXPECT_EQ(one.value, three.value);
  EXPECT_EQ(one.bound, three.bound);
  EXPECT_EQ(one.offers, three.offers);
  EXPECT_EQ(one.offsets, three.offsets);
  EXPECT_LT(one.gap, 1e-3);
}

TEST(Allocate, NamesWhatIsWrong) {
  const auto message = [](auto&& change) -> std::string {
    Case c = make(4, 2, 1, 1, 0.5);
    change(c);
    point(c, 4, 2);
    try {
      (void)allocate(c.problem);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "taken";
  };
  EXPECT_NE(message([](Case& c) { c.costs[3] = -1; }).find("costs[1, 1, 0] is -1"), std::string::npos);
  EXPECT_NE(message([](Case& c) { c.values.pop_back(); }).find("values has 7 entries"), std::string::npos);
  EXPECT_NE(message([](Case& c) { c.least = {3, 2}; }).find("offer_min adds up to 5"), std::string::npos);
  EXPECT_NE(message([](Case& c) { c.least = {4, 0}; c.budgets = {0.2}; }).find("of budget 0"), std::string::npos);
  EXPECT_NE(message([](Case& c) { c.exclusive = {0, 2}; }).find("exclusive[1] is 2"), std::string::npos);
  EXPECT_EQ(message([](Case&) {}), "taken");
}

TEST(BudgetPacer, SpendsABudgetEvenlyAndNeverBeyondIt) {
  std::mt19937 rng(4);
  std::gamma_distribution<double> worth(2, 1);
  BudgetPacer pacer({.budgets = {500}, .prices = {}, .expected_requests = 5000, .profile = {}, .step = 0});
  double half = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::vector<double> values{worth(rng), worth(rng)}, costs{0.5, 0.7};
    (void)pacer.decide(values, costs);
    if (i == 2499) half = pacer.spent()[0];
  }
  EXPECT_NEAR(half, 250, 50);
  EXPECT_LE(pacer.spent()[0], 500);
  EXPECT_GT(pacer.spent()[0], 490);
}

TEST(OfferPrices, ChooseAsTheAllocationDid) {
  Case c = make(500, 3, 2, 3, 0.3);
  point(c, 500, 3);
  const Allocation a = allocate(c.problem);
  const OfferPrices prices(a);
  std::size_t same = 0;
  for (std::size_t s = 0; s < 500; ++s) {
    const std::int32_t given = a.offsets[s + 1] > a.offsets[s] ? a.offers[static_cast<std::size_t>(a.offsets[s])] : -1;
    same += prices.choose(std::span(c.values).subspan(s * 3, 3), std::span(c.costs).subspan(s * 6, 6)) == given ? 1 : 0;
  }
  EXPECT_GE(same, 480u);
  EXPECT_THROW((void)prices.choose(std::span(c.values).first(2), std::span(c.costs).first(4)), std::invalid_argument);
  EXPECT_THROW(OfferPrices({-1.0}), std::invalid_argument);
}

}  // namespace
}  // namespace etalage::marketing
