// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"

namespace etalage::marketing {

/// Settings of Pacing.
struct PacingOptions {
  std::vector<double> budgets;         ///< [budgets], of the whole period, >= 0
  std::vector<double> prices;          ///< [budgets], to begin with: those of allocate() on yesterday's requests; empty: 0
  double expected_requests = 0;        ///< of the whole period, > 0
  std::vector<double> profile;         ///< shares of spending in equal parts of the period (yesterday's); empty: even. Scaled to sum 1
  /// Length of a step, in parts of the typical price a request: larger follows drift faster and pays more for noise. 0: the square
  /// root rule of the source, 1 / sqrt(expected_requests). Without prices to begin with, steps are 1 / sqrt(requests so far) at first.
  double step = 0;
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "expected_requests", o.expected_requests, OptionRule("finite and > 0"), "step", o.step, OptionRule("finite and >= 0"));
  }
};

/// Decides request by request what to give, so that budgets last for the period and go where they are worth most.
///
/// Method    dual mirror descent (Balseiro, Lu, Mirrokni, Operations Research 71, 2023): a request takes the offer of the highest
///           value less prices x costs, and prices move by the difference of what was spent and what was planned. The plan is what
///           is left over what is expected still to come, by the profile, so that an error is made good over the rest of the
///           period. Steps are multiplicative once a price is above 0 (entropy as the mirror map) and additive near 0.
/// Promise   no budget is exceeded: an offer that costs more than is left is not taken
/// Threads   one at a time; a decision is O(offers x budgets) and allocates nothing
class ETALAGE_EXPORT BudgetPacer {
 public:
  explicit BudgetPacer(PacingOptions options);  ///< validates the options

  /// The offer to give, or -1, for one request; spends and learns.
  /// values [offers], costs [offers, budgets] >= 0 (std::invalid_argument otherwise). progress is the part of the period that has
  /// passed, in [0, 1], for the profile; below 0: requests so far over expected ones.
  std::int32_t decide(std::span<const double> values, std::span<const double> costs, double progress = -1);

  [[nodiscard]] std::span<const double> prices() const noexcept { return prices_; }  ///< [budgets] as they stand, >= 0
  [[nodiscard]] std::span<const double> spent() const noexcept { return spent_; }  ///< [budgets] so far
  [[nodiscard]] std::int64_t requests() const noexcept { return requests_; }  ///< decided so far
  /// What was spent in each part of the period, over all budgets in parts of each: the next period's profile.
  [[nodiscard]] std::vector<double> spending_profile(std::size_t parts) const;

 private:
  [[nodiscard]] double planned_after(double progress) const noexcept;

  static constexpr std::size_t kParts = 1440;
  PacingOptions options_;
  std::vector<double> after_;    ///< [parts + 1], share of spending still planned
  std::vector<double> prices_;
  std::vector<double> spent_;
  std::vector<double> scale_;    ///< [budgets], running mean of value over cost of what was taken: the size of a price
  std::vector<double> history_;  ///< [kParts]
  double step_ = 0;
  std::int64_t requests_ = 0;
};

}  // namespace etalage::marketing
