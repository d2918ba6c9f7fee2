// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace etalage::marketing {

struct OfferChoice {
  std::int32_t offer = -1;  ///< -1: none is worth anything
  double worth = 0;
};

/// The offer of most worth above 0 at given prices, ties by lower number: of all, or of those that come behind one of worth `below` and
/// number `after`. costs [offers x budgets], budget [budgets], offer [offers] or empty.
template <class Cost>
OfferChoice best_offer(std::span<const double> values, std::span<const Cost> costs, std::span<const double> budget, std::span<const double> offer,
                       double below = std::numeric_limits<double>::infinity(), std::int32_t after = -1) {
  OfferChoice best;
  for (std::size_t o = 0; o < values.size(); ++o) {
    double worth = values[o] - (offer.empty() ? 0.0 : offer[o]);
    for (std::size_t b = 0; b < budget.size(); ++b) worth -= budget[b] * static_cast<double>(costs[o * budget.size() + b]);
    if (!(worth > best.worth) || !std::isfinite(worth)) continue;
    if (worth > below || (worth == below && static_cast<std::int32_t>(o) <= after)) continue;
    best = {static_cast<std::int32_t>(o), worth};
  }
  return best;
}

}  // namespace etalage::marketing
