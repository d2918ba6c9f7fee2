// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/offer_prices.hpp"

#include <cmath>
#include <utility>

#include "marketing/check_row.hpp"

namespace etalage::marketing {

OfferPrices::OfferPrices(std::vector<double> budget, std::vector<double> offer) : budget_(std::move(budget)), offer_(std::move(offer)) {
  for (std::size_t b = 0; b < budget_.size(); ++b) require_row(budget_[b] >= 0 && std::isfinite(budget_[b]), "budget", b, budget_[b], "finite and >= 0");
  for (std::size_t o = 0; o < offer_.size(); ++o) require_row(std::isfinite(offer_[o]), "offer", o, offer_[o], "finite");
}

std::int32_t OfferPrices::choose(std::span<const double> values, std::span<const double> costs) const {
  if (!offer_.empty()) detail::require(values.size() == offer_.size(), "values.size()", values.size(), "the number of offers");
  detail::require(costs.size() == values.size() * budget_.size(), "costs.size()", costs.size(), "offers x budgets");
  double best = 0;
  std::int32_t chosen = -1;
  for (std::size_t o = 0; o < values.size(); ++o) {
    double worth = values[o] - (offer_.empty() ? 0.0 : offer_[o]);
    for (std::size_t b = 0; b < budget_.size(); ++b) worth -= budget_[b] * costs[o * budget_.size() + b];
    if (!(worth > best) || !std::isfinite(worth)) continue;
    best = worth;
    chosen = static_cast<std::int32_t>(o);
  }
  return chosen;
}

}  // namespace etalage::marketing
