// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "etalage/core/event_log.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/marketing/lifetime.hpp"

namespace etalage {

/// One row a customer who bought by the end of observation, in index order.
struct ETALAGE_EXPORT PurchaseSummaries {
  std::vector<std::int32_t> customers;  ///< [n] indices, ascending
  std::vector<double> frequency;  ///< distinct moments of purchase less one
  std::vector<double> recency;    ///< units of time from the first purchase to the last one
  std::vector<double> age;        ///< units of time from the first purchase to the end of observation
  std::vector<double> money;      ///< mean of the repeat moments' sums of value, 0 without repeats; empty without values
  std::vector<double> log_gaps;   ///< sum of ln(gap) over the repeats
  std::int64_t later = 0;         ///< purchases after the end of observation, left out
  /// Borrows these columns, without money.
  [[nodiscard]] PurchaseHistories histories() const noexcept { return {frequency, recency, age, log_gaps}; }
};

/// Which rows of a log are purchases, and how they are counted.
struct ETALAGE_EXPORT PurchaseSummaryOptions {
  std::vector<std::string> events = {};      ///< event types that are purchases; empty means all of the log
  std::optional<std::int64_t> until_ms = {}; ///< end of observation; by default the log's newest purchase
  double unit_days = 7;                      ///< length of a unit of time: 7 is weeks; > 0
  std::int32_t utc_offset_minutes = 0;       ///< where the shop's day begins; in [-1440, 1440]
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "unit_days", o.unit_days, OptionRule("finite and > 0"), "utc_offset_minutes", o.utc_offset_minutes, OptionRule("in [-1440, 1440]"));
  }
};

/// Of raw purchases, in any order: customers [n] >= 0, times [n] in days, values [n] or empty. Purchases of one
/// customer at equal times are one. A value below 0 is a return, as in UserProfile: no purchase, and its money is taken off
/// what the customer's repeats brought, down to 0; who has returns alone has no row. std::invalid_argument names column, row and rule.
[[nodiscard]] ETALAGE_EXPORT PurchaseSummaries summarize_purchases(std::span<const std::int32_t> customers, std::span<const double> times,
                                                                   std::span<const double> values = {}, std::optional<double> until = {}, double unit = 1);

/// Of a log with times: several purchases of one shop's day are one, and the end of observation is a whole day too.
[[nodiscard]] ETALAGE_EXPORT PurchaseSummaries summarize_purchases(const EventLog& log, const PurchaseSummaryOptions& options = {});

}  // namespace etalage
