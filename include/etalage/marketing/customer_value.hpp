// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/marketing/gamma_gamma.hpp"
#include "etalage/marketing/lifetime.hpp"

namespace etalage {

/// What a lifetime model predicts of a customer.
enum class LifetimeQuantity : std::uint8_t {
  kAlive,      ///< p_alive
  kPurchases,  ///< expected_purchases in t
  kMoney,      ///< expected_money of a purchase
  kValue       ///< of t: purchases times money, discounted
};

/// Settings of customer_value().
struct ETALAGE_EXPORT CustomerValueOptions {
  double t = 0;                 ///< horizon in the models' unit of time; finite, >= 0
  double discount_rate = 0;     ///< a unit of time; a period's money counts 1 / (1 + rate)^(its end); >= 0
  double period = 1;            ///< units of time that are discounted as one; > 0, at most 10000 of them in t
  double level = 0.95;          ///< of the intervals; in (0, 1)
  std::size_t draws = 200;      ///< of the parameters; >= 20
  std::uint64_t seed = 42;  ///< of the draws
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "t", o.t, OptionRule("finite and >= 0"), "discount_rate", o.discount_rate, OptionRule("finite and >= 0"),
                  "period", o.period, OptionRule("finite and > 0"), "level", o.level, OptionRule("in (0, 1)"),
                  "draws", o.draws, OptionRule("in [20, 100000]"), "seed", o.seed, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// out [n]: the quantity at the fitted parameters. purchases is needed for all but kMoney, money_model and money [n] for
/// kMoney and kValue; null and empty where they are not.
ETALAGE_EXPORT void customer_values(LifetimeQuantity quantity, const LifetimeModel* purchases, const GammaGamma* money_model, const PurchaseHistories& customers,
                                    std::span<const double> money, const CustomerValueOptions& options, std::span<double> out);

/// low, high [n]: quantiles of the quantity over draws of the parameters from their normal distribution (both models' draws
/// are independent). They say how well the parameters are known, not how much one customer may differ from the mean of their kind.
/// Equal customers are computed once. The same numbers for the same seed and any number of threads.
ETALAGE_EXPORT void customer_value_intervals(LifetimeQuantity quantity, const LifetimeModel* purchases, const GammaGamma* money_model,
                                             const PurchaseHistories& customers, std::span<const double> money, const CustomerValueOptions& options,
                                             std::span<double> low, std::span<double> high);

}  // namespace etalage
