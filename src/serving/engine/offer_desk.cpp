// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/offer_desk.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "detail/check.hpp"
#include "etalage/marketing/offer_prices.hpp"

namespace etalage {

OfferDesk::OfferDesk(const Engine& engine, std::string plan, SpendLedger ledger) : engine_(&engine), plan_(std::move(plan)), ledger_(std::move(ledger)) {}

std::int32_t OfferDesk::decide(std::span<const double> values, std::span<const std::int64_t> costs) {
  const std::shared_ptr<const Snapshot> snapshot = engine_->snapshot();
  const auto found = snapshot ? snapshot->parts().offer_prices.find(plan_) : std::map<std::string, std::shared_ptr<const marketing::OfferPrices>, std::less<>>::const_iterator{};
  if (!snapshot || found == snapshot->parts().offer_prices.end())
    throw std::logic_error("the snapshot has no offer prices '" + plan_ + "', publish one with them");
  const std::span<const double> budget = found->second->budget(), offer = found->second->offer();
  if (!offer.empty()) detail::require(values.size() == offer.size(), "values.size()", values.size(), "the number of offers");
  detail::require(costs.size() == values.size() * budget.size(), "costs.size()", costs.size(), "offers x budgets");
  for (std::size_t i = 0; i < costs.size(); ++i)
    if (costs[i] < 0) throw std::invalid_argument(detail::violated(("costs[" + std::to_string(i / budget.size()) + ", " + std::to_string(i % budget.size()) + "]").c_str(), costs[i], ">= 0"));
  // Offers in falling worth, each looked for when the one before it could not be paid for: the first nearly always can.
  double below = std::numeric_limits<double>::infinity();
  std::int32_t after = -1;
  for (;;) {
    double best = 0;
    std::int32_t chosen = -1;
    for (std::size_t o = 0; o < values.size(); ++o) {
      double worth = values[o] - (offer.empty() ? 0.0 : offer[o]);
      for (std::size_t b = 0; b < budget.size(); ++b) worth -= budget[b] * static_cast<double>(costs[o * budget.size() + b]);
      if (!(worth > best) || !std::isfinite(worth)) continue;
      if (worth > below || (worth == below && static_cast<std::int32_t>(o) <= after)) continue;
      best = worth;
      chosen = static_cast<std::int32_t>(o);
    }
    if (chosen < 0) return -1;
    if (ledger_.spend(costs.subspan(static_cast<std::size_t>(chosen) * budget.size(), budget.size()))) return chosen;
    below = best;
    after = chosen;
  }
}

}  // namespace etalage
