// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/marketing/allocation.hpp"

namespace etalage::marketing {

/// The prices of an allocation as a request needs them: published beside a snapshot and shared by all threads, they decide what a
/// shopper who was not in the allocation gets, in O(offers x budgets), without memory of what was spent (BudgetPacer has one).
/// Holds nothing but numbers: it does not know the engine, which may hold one.
class ETALAGE_EXPORT OfferPrices {
 public:
  /// budget [budgets], worth of one more unit of each, >= 0; offer [offers], or empty for 0: allocate()'s prices and offer_prices.
  /// std::invalid_argument names what is not finite, or a budget's price below 0.
  explicit OfferPrices(std::vector<double> budget, std::vector<double> offer = {});
  explicit OfferPrices(const Allocation& allocation) : OfferPrices(allocation.prices, allocation.offer_prices) {}

  /// The offer of the highest value less prices x costs, the lower one of equals; -1 where none is above 0.
  /// values [offers], costs [offers, budgets]; std::invalid_argument for other sizes. Numbers that are not finite are never chosen. Allocates nothing.
  [[nodiscard]] std::int32_t choose(std::span<const double> values, std::span<const double> costs) const;

  [[nodiscard]] std::span<const double> budget() const noexcept { return budget_; }  ///< [budgets] shadow prices
  [[nodiscard]] std::span<const double> offer() const noexcept { return offer_; }  ///< [offers] shadow prices

 private:
  std::vector<double> budget_, offer_;
};

}  // namespace etalage::marketing
