// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "etalage/marketing/allocation.hpp"

namespace etalage::marketing {

/// Prices of what couples shoppers: of each budget, and of giving each offer (maximum less minimum).
struct Prices {
  std::vector<double> budget;
  std::vector<double> offer;
};

/// Shoppers of a chunk of a parallel loop: sums are made per chunk and then in chunk order.
inline constexpr std::size_t kShoppersOfChunk = 4096;

inline constexpr double kNever = -std::numeric_limits<double>::infinity();

/// Worth of an offer for a shopper after prices; kNever where it may not be given.
inline double reduced_value(const AllocationProblem& p, const Prices& prices, std::size_t shopper, std::size_t offer) noexcept {
  const std::size_t cell = shopper * p.offers + offer;
  if (!p.eligible.empty() && p.eligible[cell] == 0) return kNever;
  double worth = p.values[cell] - prices.offer[offer];
  const double* cost = p.costs.data() + cell * p.budgets.size();
  for (std::size_t b = 0; b < p.budgets.size(); ++b) worth -= prices.budget[b] * cost[b];
  return worth;
}

/// What one shopper takes at given prices: the per_shopper best of positive worth, one of each exclusive group. This is the
/// exact maximum: of a group only its best can be taken, and of what is left the best ones. Equal worth goes to the lower offer.
class ShopperChoice {
 public:
  explicit ShopperChoice(const AllocationProblem& p) : p_(p), worth_(p.offers) {
    for (const std::int32_t g : p.exclusive) groups_ = std::max(groups_, static_cast<std::size_t>(g + 1));
    best_of_group_.resize(groups_);
  }

  /// Offers taken, in falling worth; valid until the next call.
  std::span<const std::int32_t> at(const Prices& prices, std::size_t shopper) {
    taken_.clear();
    find_worth(prices, shopper);
    if (p_.per_shopper == 1) {
      double best = 0;
      std::int32_t offer = -1;
      const double* worth = worth_.data();
      for (std::size_t o = 0; o < worth_.size(); ++o)
        if (worth[o] > best) {
          best = worth[o];
          offer = static_cast<std::int32_t>(o);
        }
      if (offer >= 0) taken_.push_back(offer);
      return taken_;
    }
    std::fill(best_of_group_.begin(), best_of_group_.end(), -1);
    for (std::size_t o = 0; o < p_.offers; ++o) {
      const double w = worth_[o];
      if (!(w > 0)) continue;
      const std::int32_t group = p_.exclusive.empty() ? -1 : p_.exclusive[o];
      if (group < 0) {
        taken_.push_back(static_cast<std::int32_t>(o));
        continue;
      }
      std::int32_t& best = best_of_group_[static_cast<std::size_t>(group)];
      if (best < 0 || w > worth_[static_cast<std::size_t>(best)]) best = static_cast<std::int32_t>(o);
    }
    for (const std::int32_t o : best_of_group_)
      if (o >= 0) taken_.push_back(o);
    const auto better = [&](std::int32_t a, std::int32_t b) {
      const double wa = worth_[static_cast<std::size_t>(a)], wb = worth_[static_cast<std::size_t>(b)];
      return wa != wb ? wa > wb : a < b;
    };
    const auto keep = std::min(taken_.size(), static_cast<std::size_t>(p_.per_shopper));
    std::partial_sort(taken_.begin(), taken_.begin() + static_cast<std::ptrdiff_t>(keep), taken_.end(), better);
    taken_.resize(keep);
    return taken_;
  }
  /// Worth of every offer for the shopper of the last call.
  [[nodiscard]] std::span<const double> worth() const noexcept { return worth_; }

 private:
  /// reduced_value() of all offers in one pass, the number of budgets being known to the compiler where it is small.
  void find_worth(const Prices& prices, std::size_t shopper) noexcept {
    switch (p_.budgets.size()) {
      case 0: return fill_worth<0>(prices, shopper);
      case 1: return fill_worth<1>(prices, shopper);
      case 2: return fill_worth<2>(prices, shopper);
      case 3: return fill_worth<3>(prices, shopper);
      case 4: return fill_worth<4>(prices, shopper);
      default:
        for (std::size_t o = 0; o < p_.offers; ++o) worth_[o] = reduced_value(p_, prices, shopper, o);
    }
  }
  template <std::size_t Budgets>
  void fill_worth(const Prices& prices, std::size_t shopper) noexcept {
    const std::size_t offers = worth_.size(), first = shopper * offers;
    const double *value = p_.values.data() + first, *of_offer = prices.offer.data(), *cost = p_.costs.data() + first * Budgets;
    double price[Budgets + 1] = {};
    for (std::size_t b = 0; b < Budgets; ++b) price[b] = prices.budget[b];
    double* worth = worth_.data();
    for (std::size_t o = 0; o < offers; ++o, cost += Budgets) {
      double w = value[o] - of_offer[o];
      for (std::size_t b = 0; b < Budgets; ++b) w -= price[b] * cost[b];
      worth[o] = w;
    }
    if (p_.eligible.empty()) return;
    const std::uint8_t* eligible = p_.eligible.data() + first;
    for (std::size_t o = 0; o < offers; ++o)
      if (eligible[o] == 0) worth[o] = kNever;
  }

  const AllocationProblem& p_;
  std::size_t groups_ = 0;
  std::vector<double> worth_;
  std::vector<std::int32_t> best_of_group_;
  std::vector<std::int32_t> taken_;
};

}  // namespace etalage::marketing
