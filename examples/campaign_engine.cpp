// SPDX-License-Identifier: Apache-2.0
// From an audience to coupons within a budget to an engine that goes on giving them, in one process: who may like a product and is still
// a customer, which coupon each gets, what the rest of the day is worth at the prices found, and a ledger that no crash overdraws. Prints
// what was decided with its certificate, and fails when a budget or a hold-out is not kept.
//   build/examples/example_campaign_engine [shoppers, 3000 by default]
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include <etalage/etalage.hpp>

namespace {

using namespace etalage;

constexpr std::size_t kOffers = 3;
constexpr const char* kOfferNames[kOffers] = {"5 % off", "10 % off", "free delivery"};

/// What an offer is expected to bring (in cents of margin) and costs (in cents): more for whoever likes the product and is still there.
void price_offers(double liking, double alive, double margin, double* values, std::int64_t* costs) {
  constexpr double lift[kOffers] = {0.02, 0.05, 0.03}, face[kOffers] = {60, 120, 90};
  const double buys = alive / (1 + std::exp(-liking));
  for (std::size_t o = 0; o < kOffers; ++o) {
    values[o] = lift[o] * buys * margin;
    costs[o] = std::llround(face[o] * (0.2 * buys + lift[o]));  // redeemed by those who would buy anyhow, too
  }
}

}  // namespace

int main(int argc, char** argv) {
  SyntheticStoreOptions size;
  size.users = argc > 1 ? std::max(500, std::atoi(argv[1])) : 3000;
  size.items = 800;
  const SyntheticStore store = make_synthetic_store(size);
  const EventLog log = store.log();
  InteractionOptions weights;
  weights.event_weights = {{"view", 1}, {"cart", 3}, {"purchase", 5}};
  weights.return_event = "return";
  const Interactions data = log.interactions(weights);
  AlsOptions als_options;
  als_options.factors = 16;
  als_options.iterations = 5;
  auto als = std::make_shared<AlsModel>(als_options);
  als->fit(data);
  PurchaseSummaryOptions purchases;
  purchases.events = {"purchase"};
  const PurchaseSummaries customers = summarize_purchases(log, purchases);
  auto lifetime = std::make_shared<LifetimeModel>(LifetimeKind::kMbgNbd);
  lifetime->fit(customers.histories());
  std::vector<double> alive_of(customers.customers.size()), alive(static_cast<std::size_t>(als->num_users()), 0.0);
  lifetime->p_alive(customers.histories(), alive_of);
  for (std::size_t i = 0; i < alive_of.size(); ++i) alive[static_cast<std::size_t>(customers.customers[i])] = alive_of[i];

  // 1. The audience of one product: customers who are probably still there; a tenth is held out by key, for measuring.
  constexpr std::int32_t kProduct = 7;
  std::vector<std::uint8_t> allowed(alive.size());
  for (std::size_t u = 0; u < alive.size(); ++u) allowed[u] = alive[u] > 0.2;
  marketing::AudienceOptions who;
  who.allowed = allowed;
  who.hold_out_salt = "spring";
  who.hold_out_slots = 1000;
  const auto audience = marketing::audience(*als, kProduct, alive.size() / 4, who);
  int failures = audience.empty();
  for (const auto& m : audience) failures += slot(als->user_ids()->string_at(m.user), "spring") < 1000 || allowed[static_cast<std::size_t>(m.user)] == 0;

  // 2. Coupons within a budget of cents and a number of sends.
  const double margin = 100.0 * static_cast<double>(store.catalog.prices[kProduct]) * 0.4;
  std::vector<double> values(audience.size() * kOffers), costs;
  std::vector<std::int64_t> cents(kOffers);
  double all = 0;
  for (std::size_t i = 0; i < audience.size(); ++i) {
    price_offers(static_cast<double>(audience[i].score), alive[static_cast<std::size_t>(audience[i].user)], margin, values.data() + i * kOffers, cents.data());
    for (const std::int64_t c : cents) {
      costs.push_back(static_cast<double>(c));
      costs.push_back(1);  // a send
      all += static_cast<double>(c);
    }
  }
  const std::vector<double> budgets{std::floor(all / 10), std::floor(static_cast<double>(audience.size()) / 2)};
  marketing::AllocationProblem problem;
  problem.shoppers = audience.size();
  problem.offers = kOffers;
  problem.values = values;
  problem.costs = costs;
  problem.budgets = budgets;
  const marketing::Allocation plan = marketing::allocate(problem);
  std::printf("audience of %zu; %zu coupons worth %.0f cents, at most %.0f (gap %.4f), for %.0f of %.0f cents and %.0f of %.0f sends\n", audience.size(), plan.offers.size(), plan.value,
              plan.bound, plan.gap, plan.spent[0], budgets[0], plan.spent[1], budgets[1]);
  for (std::size_t o = 0; o < kOffers; ++o) std::printf("  %-14s %lld\n", kOfferNames[o], static_cast<long long>(plan.given[o]));
  failures += plan.spent[0] > budgets[0] || plan.spent[1] > budgets[1] || plan.gap > 0.05;

  // 3. The prices go into the snapshot: visitors who were not in the audience get what is worth them, from a day's budget on disk.
  SnapshotParts parts;
  parts.label = "spring";
  parts.models = {{"als", als, RecommenderSource::Ask::kShopper}};
  parts.offer_prices["spring coupons"] = std::make_shared<const marketing::OfferPrices>(plan);
  parts.lifetime = lifetime;
  Engine engine;
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  const auto folder = std::filesystem::temp_directory_path() / ("campaign-engine-" + std::to_string(::getpid()));
  const std::vector<std::int64_t> day{static_cast<std::int64_t>(budgets[0] / 4), static_cast<std::int64_t>(budgets[1] / 4)};
  std::int64_t spent = 0, given = 0, asked = 0;
  {
    OfferDesk desk(engine, "spring coupons", SpendLedger(folder, {day, 0, nullptr}));
    std::vector<float> score(1);
    std::vector<std::int64_t> paid(2 * kOffers, 1);
    std::vector<double> worth(kOffers);
    Scratch scratch;
    for (std::int32_t u = 0; u < als->num_users(); ++u) {
      if (slot(als->user_ids()->string_at(u), "spring") < 1000) continue;
      const std::int32_t item = kProduct;
      Query query;
      query.user = u;
      als->score(query, {&item, 1}, score, scratch);
      price_offers(static_cast<double>(score[0]), alive[static_cast<std::size_t>(u)], margin, worth.data(), cents.data());
      for (std::size_t o = 0; o < kOffers; ++o) paid[2 * o] = cents[o];
      ++asked;
      const std::int32_t offer = desk.decide(worth, paid);
      if (offer < 0) continue;
      ++given;
      spent += cents[static_cast<std::size_t>(offer)];
    }
  }
  const SpendLedger again(folder, {day, 0, nullptr});  // closed and opened: it knows what was spent
  std::printf("%lld visitors, %lld coupons, %lld of %lld cents; the ledger opened again says %lld\n", static_cast<long long>(asked), static_cast<long long>(given),
              static_cast<long long>(spent), static_cast<long long>(day[0]), static_cast<long long>(again.spent()[0]));
  failures += given == 0 || spent > day[0] || again.spent()[0] != spent || again.spent()[1] != given;
  std::filesystem::remove_all(folder);
  return failures == 0 ? 0 : 1;
}
