// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"

namespace etalage::marketing {

/// Who may get what, what it is worth and what it costs. Views only: the memory is the caller's and is not kept.
struct AllocationProblem {
  std::size_t shoppers = 0;  ///< rows of scores and costs
  std::size_t offers = 0;  ///< columns of scores and costs
  std::span<const double> values;           ///< [shoppers, offers], worth of giving the offer; may be negative
  std::span<const double> costs;            ///< [shoppers, offers, budgets], what it takes of each budget, >= 0
  std::span<const double> budgets;          ///< [budgets], >= 0; may be empty
  std::span<const std::uint8_t> eligible;   ///< [shoppers, offers], 0: never; empty: everybody for everything
  std::span<const std::int64_t> offer_min;  ///< [offers], how often an offer is given at least; empty: 0
  std::span<const std::int64_t> offer_max;  ///< [offers], at most; empty: no limit
  std::span<const std::int32_t> exclusive;  ///< [offers], group of an offer, -1 for none; a shopper gets one of a group at most
  std::int32_t per_shopper = 1;             ///< how many different offers a shopper gets at most
};

/// Settings of allocate().
struct AllocationOptions {
  double target_gap = 1e-4;        ///< dual steps end here
  std::int32_t max_steps = 400;    ///< evaluations of the dual on a sample, or on all of a small problem
  std::int32_t full_steps = 12;    ///< evaluations on all shoppers of a large problem
  std::size_t sample = 20'000;     ///< shoppers of the sample; problems of up to four times as many are not sampled
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "target_gap", o.target_gap, OptionRule("finite and >= 0"), "max_steps", o.max_steps, OptionRule("in [1, 100000]"),
                  "full_steps", o.full_steps, OptionRule("in [1, 100000]"), "sample", o.sample, OptionRule(">= 100"),
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// A feasible allocation and what no allocation can exceed.
struct Allocation {
  std::vector<std::int64_t> offsets;   ///< [shoppers + 1] into offers
  std::vector<std::int32_t> offers;    ///< rising within a shopper
  double value = 0;                    ///< of what was given
  double bound = 0;                    ///< value of the dual: no feasible allocation, not even a fractional one, is worth more
  double gap = 0;                      ///< (bound - value) / max(|bound|, |value|), 0 when both are 0
  std::vector<double> prices;          ///< [budgets], worth of one more unit of each budget
  std::vector<double> offer_prices;    ///< [offers], > 0 where a maximum binds, < 0 where a minimum does
  std::vector<double> spent;           ///< [budgets]
  std::vector<std::int64_t> given;     ///< [offers]
};

/// Chooses offers for shoppers under budgets: maximises the sum of values with each budget kept, at most per_shopper offers a
/// shopper and one of each exclusive group, every offer given offer_min to offer_max times.
///
/// Method    Lagrangian relaxation of what couples shoppers (budgets, minima, maxima). Its dual, convex and piecewise linear in
///           few prices, is minimised by a proximal bundle method (Kiwiel; Hiriart-Urruty & Lemarechal, vol. II, ch. XV) with
///           the exact best choice of each shopper, on a sample first. The choices at the prices are made feasible by the
///           exchanges that lose least, and left-over budget is spent by those that gain most. Any prices give a valid bound,
///           so the gap is a certificate, not an estimate.
/// Bits      the same for any number of threads
/// Errors    std::invalid_argument names the argument, the value and the rule; for minima that cannot hold it names the offers
///           and the budgets that clash, and says whether that was proved or only not found
[[nodiscard]] ETALAGE_EXPORT Allocation allocate(const AllocationProblem& problem, const AllocationOptions& options = {});

}  // namespace etalage::marketing
