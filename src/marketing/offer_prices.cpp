// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/offer_prices.hpp"

#include <cmath>
#include <utility>

#include "marketing/check_row.hpp"
#include "marketing/offer_choice.hpp"

namespace etalage::marketing {

OfferPrices::OfferPrices(std::vector<double> budget, std::vector<double> offer) : budget_(std::move(budget)), offer_(std::move(offer)) {
  for (std::size_t b = 0; b < budget_.size(); ++b) require_row(budget_[b] >= 0 && std::isfinite(budget_[b]), "budget", b, budget_[b], "finite and >= 0");
  for (std::size_t o = 0; o < offer_.size(); ++o) require_row(std::isfinite(offer_[o]), "offer", o, offer_[o], "finite");
}

std::int32_t OfferPrices::choose(std::span<const double> values, std::span<const double> costs) const {
  if (!offer_.empty()) detail::require(values.size() == offer_.size(), "values.size()", values.size(), "the number of offers");
  detail::require(costs.size() == values.size() * budget_.size(), "costs.size()", costs.size(), "offers x budgets");
  return best_offer<double>(values, costs, budget_, offer_).offer;
}

}  // namespace etalage::marketing
