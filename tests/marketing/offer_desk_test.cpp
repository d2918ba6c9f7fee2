// SPDX-License-Identifier: Apache-2.0
// Prices and lifetimes inside a snapshot, and what the engine and the desk make of them.
#include "etalage/serving/offer_desk.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/engine_files.hpp"
#include "etalage/marketing/lifetime.hpp"
#include "etalage/marketing/offer_prices.hpp"
#include "serving/engine_fixture.hpp"
#include "serving/journal_fixture.hpp"

namespace etalage {
namespace {

using testing::TempDir;

std::shared_ptr<const Snapshot> with_prices(std::vector<double> budget, std::vector<double> offer = {}) {
  SnapshotParts parts;
  parts.catalog = testing::shop_catalog(testing::shop_interactions());
  parts.offer_prices["coupons"] = std::make_shared<const marketing::OfferPrices>(std::move(budget), std::move(offer));
  return std::make_shared<const Snapshot>(std::move(parts));
}

SpendLedger ledger(const TempDir& dir, std::vector<std::int64_t> budgets) { return SpendLedger(dir.path(), {.budgets = std::move(budgets), .block = 10, .files = nullptr}); }

TEST(OfferDesk, ChoosesAtThePublishedPricesAndPays) {
  const TempDir dir;
  Engine engine;
  OfferDesk desk(engine, "coupons", ledger(dir, {100}));
  const std::vector<double> values{5, 9, 2};
  const std::vector<std::int64_t> costs{10, 40, 0};
  EXPECT_THROW((void)desk.decide(values, costs), std::logic_error);  // no snapshot
  engine.publish(with_prices({0.1}));  // 4, 5, 2
  EXPECT_EQ(desk.decide(values, costs), 1);
  EXPECT_EQ(desk.ledger().spent()[0], 40);
  engine.publish(with_prices({0.2}));  // 3, 1, 2
  EXPECT_EQ(desk.decide(values, costs), 0);
  EXPECT_EQ(desk.ledger().spent()[0], 50);
  engine.rollback();
  EXPECT_EQ(desk.decide(values, costs), 1);
  // 10 are left: the best offer cannot be paid for, the second can, then only what costs nothing.
  EXPECT_EQ(desk.decide(values, costs), 0);
  EXPECT_EQ(desk.decide(values, costs), 2);
  EXPECT_EQ(desk.ledger().spent()[0], 100);
  engine.publish(with_prices({1}, {0, 0, 3}));
  EXPECT_EQ(desk.decide(values, costs), -1);
}

TEST(OfferDesk, EqualOffersAreTriedInOrderAndEachOnce) {
  const TempDir dir;
  Engine engine;
  engine.publish(with_prices({0, 0}));
  OfferDesk desk(engine, "coupons", ledger(dir, {5, 5}));
  const std::vector<double> values{3, 3, 3, std::numeric_limits<double>::quiet_NaN()};
  const std::vector<std::int64_t> costs{9, 0, 0, 9, 1, 5, 0, 0};
  EXPECT_EQ(desk.decide(values, costs), 2);
  EXPECT_EQ(desk.decide(values, costs), -1);
}

TEST(OfferDesk, RefusesWhatMeansNothing) {
  const TempDir dir;
  Engine engine;
  engine.publish(with_prices({0.1}, {0, 0}));
  OfferDesk desk(engine, "coupons", ledger(dir, {100}));
  const std::vector<double> values{1, 2};
  const std::vector<std::int64_t> negative{1, -1}, few{1};
  EXPECT_THROW((void)desk.decide(values, negative), std::invalid_argument);
  EXPECT_THROW((void)desk.decide(values, few), std::invalid_argument);
  EXPECT_THROW((void)desk.decide(std::span(values).first(1), few), std::invalid_argument);
  const TempDir other;
  OfferDesk mails(engine, "mails", ledger(other, {100}));
  EXPECT_THROW((void)mails.decide(values, negative), std::logic_error);
}

TEST(OfferDesk, ThirtyTwoThreadsNeverOverdraw) {
  const TempDir dir;
  Engine engine;
  engine.publish(with_prices({0.01}));
  OfferDesk desk(engine, "coupons", ledger(dir, {3000}));
  std::atomic<std::int64_t> paid{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 32; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 rng(t);
      for (int i = 0; i < 60; ++i) {
        const std::vector<double> values{2, 1};
        const std::vector<std::int64_t> costs{static_cast<std::int64_t>(rng() % 9), 1};
        const std::int32_t given = desk.decide(values, costs);
        if (given >= 0) paid += costs[static_cast<std::size_t>(given)];
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_LE(paid.load(), 3000);
  EXPECT_EQ(paid.load(), desk.ledger().spent()[0]);
}

std::shared_ptr<LifetimeModel> lifetime() {
  auto out = std::make_shared<LifetimeModel>(LifetimeKind::kMbgNbd);
  const std::vector<double> cdnow{0.52484, 6.18299, 0.89136, 1.61400};
  out->set_parameters(cdnow);
  return out;
}

TEST(SnapshotMarketing, TravelsInItsFile) {
  const TempDir dir;
  SnapshotParts parts;
  parts.catalog = testing::shop_catalog(testing::shop_interactions());
  parts.offer_prices["coupons"] = std::make_shared<const marketing::OfferPrices>(std::vector<double>{0.5, 0.25}, std::vector<double>{0, -1});
  parts.offer_prices["mails"] = std::make_shared<const marketing::OfferPrices>(std::vector<double>{2});
  parts.lifetime = lifetime();
  parts.lifetime_unit_days = 1;
  save(Snapshot(parts), dir.path() / "s.etl");
  const auto back = load_snapshot(dir.path() / "s.etl");
  ASSERT_EQ(back->parts().offer_prices.size(), 2U);
  const auto& coupons = *back->parts().offer_prices.at("coupons");
  EXPECT_EQ(std::vector<double>(coupons.budget().begin(), coupons.budget().end()), (std::vector<double>{0.5, 0.25}));
  EXPECT_EQ(std::vector<double>(coupons.offer().begin(), coupons.offer().end()), (std::vector<double>{0, -1}));
  EXPECT_EQ(back->parts().lifetime->parameters().values, lifetime()->parameters().values);
  EXPECT_EQ(back->parts().lifetime_unit_days, 1.0);
  parts.offer_prices["none"] = nullptr;
  EXPECT_THROW(Snapshot{parts}, std::invalid_argument);
  parts.offer_prices.erase("none");
  parts.lifetime_unit_days = 0;
  EXPECT_THROW(Snapshot{parts}, std::invalid_argument);
  parts.lifetime_unit_days = 7;
  parts.lifetime = std::make_shared<LifetimeModel>(LifetimeKind::kBgNbd);
  EXPECT_THROW(Snapshot{parts}, NotFittedError);
}

TEST(SnapshotMarketing, LifetimesDecideWhoIsStillACustomer) {
  constexpr std::int64_t kDay = 86'400'000, kStart = 1'700'000'000'000;
  std::int64_t now = kStart + 400 * kDay;
  EngineOptions options;
  options.events.now_ms = [&now] { return now; };
  Engine engine(options);
  for (const int day : {0, 30, 60, 90}) engine.observe({"gone", "i1", "purchase", kStart + day * kDay});
  for (const int day : {0, 150, 300, 390}) engine.observe({"here", "i1", "purchase", kStart + day * kDay});
  engine.observe({"once", "i1", "purchase", kStart + 200 * kDay});
  engine.observe({"looks", "i1", "view", now});
  SnapshotParts parts;
  parts.catalog = testing::shop_catalog(testing::shop_interactions());
  engine.publish(std::make_shared<const Snapshot>(parts));
  EXPECT_FALSE(engine.profile("here").alive);
  const auto before = engine.buy_again("gone", 3, 30);
  ASSERT_EQ(before.size(), 1U);
  parts.lifetime = lifetime();
  engine.publish(std::make_shared<const Snapshot>(parts));
  const auto expected = [&](double x, double days, double age) {
    const double f = x, tx = days / 7, T = age / 7;
    double out = 0;
    lifetime()->p_alive({{&f, 1}, {&tx, 1}, {&T, 1}, {}}, {&out, 1});
    return out;
  };
  const ShopperState gone = engine.profile("gone"), here = engine.profile("here");
  ASSERT_TRUE(gone.alive && here.alive);
  EXPECT_NEAR(*gone.alive, expected(3, 90, 400), 1e-12);
  EXPECT_NEAR(*here.alive, expected(3, 390, 400), 1e-12);
  EXPECT_NEAR(*engine.profile("once").alive, expected(0, 0, 200), 1e-12);
  EXPECT_FALSE(engine.profile("looks").alive);
  EXPECT_EQ(gone.lifecycle(), Lifecycle::kLapsed);
  EXPECT_EQ(here.lifecycle(), Lifecycle::kLoyal);
  EXPECT_EQ(engine.profile("looks").lifecycle(), Lifecycle::kProspect);
  const auto after = engine.buy_again("gone", 3, 30);
  ASSERT_EQ(after.size(), 1U);
  EXPECT_NEAR(after[0].what.probability, before[0].what.probability * *gone.alive, 1e-12);
}

}  // namespace
}  // namespace etalage
