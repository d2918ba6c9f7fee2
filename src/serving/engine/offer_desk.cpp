// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/offer_desk.hpp"

#include <limits>
#include <stdexcept>
#include <utility>

#include "detail/check.hpp"
#include "etalage/marketing/offer_prices.hpp"
#include "marketing/offer_choice.hpp"

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
  marketing::OfferChoice chosen{-1, std::numeric_limits<double>::infinity()};
  for (;;) {
    chosen = marketing::best_offer<std::int64_t>(values, costs, budget, offer, chosen.worth, chosen.offer);
    if (chosen.offer < 0) return -1;
    if (ledger_.spend(costs.subspan(static_cast<std::size_t>(chosen.offer) * budget.size(), budget.size()))) return chosen.offer;
  }
}

}  // namespace etalage
