// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "marketing/shopper_choice.hpp"

namespace etalage::marketing {

/// What every shopper has, and what that uses; made feasible and then better by exchanges, cheapest first.
class Assignment {
 public:
  /// The choices of all shoppers at the prices.
  Assignment(const AllocationProblem& problem, const Prices& prices, int num_threads);

  /// Gives offers below their minimum to the shoppers who lose least. False when shoppers run out.
  [[nodiscard]] bool reach_minima();
  /// Takes offers away or exchanges them until every budget and maximum holds. False when minima stand in the way.
  [[nodiscard]] bool keep_limits();
  /// Spends what is left on additions and exchanges that gain value. With a seed, in an order that is shaken a little.
  void fill(std::uint64_t seed = 0);
  /// Takes away what about one in `one_in` shoppers has, minima kept: for another try at filling.
  void loosen(std::uint64_t seed, std::uint64_t one_in);
  [[nodiscard]] double value() const;

  [[nodiscard]] Allocation result() const;
  /// Offers below their minimum and budgets above their limit, for messages.
  [[nodiscard]] std::vector<std::size_t> short_offers() const;
  [[nodiscard]] std::vector<std::size_t> exceeded_budgets() const;

 private:
  struct Move {
    double rank = 0;  ///< lowest first
    std::uint32_t shopper = 0;
    std::int32_t slot = -1;   ///< of the shopper's places, -1: an empty one
    std::int32_t offer = -1;  ///< what comes there, -1: nothing
  };
  template <class Collect>
  [[nodiscard]] std::vector<Move> collect(Collect&& collect_of) const;
  [[nodiscard]] std::int32_t& slot(std::size_t shopper, std::size_t s) { return taken_[shopper * places_ + s]; }
  [[nodiscard]] std::int32_t slot(std::size_t shopper, std::size_t s) const { return taken_[shopper * places_ + s]; }
  /// Whether the shopper may take the offer in place of the one in `slot` (-1: beside all).
  [[nodiscard]] bool may_take(std::size_t shopper, std::int32_t slot, std::int32_t offer) const;
  [[nodiscard]] const double* cost(std::size_t shopper, std::int32_t offer) const { return p_.costs.data() + (shopper * p_.offers + static_cast<std::size_t>(offer)) * p_.budgets.size(); }
  [[nodiscard]] std::int64_t minimum(std::int32_t offer) const { return p_.offer_min.empty() ? 0 : p_.offer_min[static_cast<std::size_t>(offer)]; }
  [[nodiscard]] bool at_maximum(std::int32_t offer) const;
  [[nodiscard]] bool above_maximum(std::int32_t offer) const;
  [[nodiscard]] double worth(std::size_t shopper, std::int32_t offer) const { return offer < 0 ? 0.0 : reduced_value(p_, prices_, shopper, static_cast<std::size_t>(offer)); }
  [[nodiscard]] std::int32_t empty_slot(std::size_t shopper) const;
  void apply(const Move& move);
  [[nodiscard]] bool limits_hold() const;
  /// Whether no budget of which the exchange takes more would be exceeded after it.
  [[nodiscard]] bool fits(const Move& move) const;

  const AllocationProblem& p_;
  const Prices& prices_;
  int num_threads_;
  std::size_t places_;
  std::vector<std::int32_t> taken_;  ///< [shoppers, places], -1 for none
  std::vector<double> spent_;
  std::vector<double> limit_;  ///< budgets, and what sums may be rounded by
  std::vector<std::int64_t> given_;
};

}  // namespace etalage::marketing
