// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/purchase_summaries.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "marketing/check_row.hpp"

namespace etalage {

void PurchaseSummaryOptions::validate() const { require_options(*this); }

PurchaseSummaries summarize_purchases(std::span<const std::int32_t> customers, std::span<const double> times, std::span<const double> values,
                                      std::optional<double> until, double unit) {
  const std::size_t n = customers.size();
  detail::require(times.size() == n, "times.size()", times.size(), "that of customers");
  detail::require(values.empty() || values.size() == n, "values.size()", values.size(), "that of customers, or 0");
  detail::require_finite(unit > 0, "unit", unit, "finite and > 0");
  if (until) detail::require_finite(true, "until", *until, "finite");
  double newest = until.value_or(-std::numeric_limits<double>::infinity());
  for (std::size_t i = 0; i < n; ++i) {
    marketing::require_row(customers[i] >= 0, "customers", i, customers[i], ">= 0");
    marketing::require_row(std::isfinite(times[i]), "times", i, times[i], "finite");
    if (!values.empty()) marketing::require_row(std::isfinite(values[i]), "values", i, values[i], "finite");
    if (!until) newest = std::max(newest, times[i]);
  }

  PurchaseSummaries out;
  std::vector<std::size_t> order;
  order.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    if (times[i] <= newest) order.push_back(i);
    else ++out.later;
  }
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (customers[a] != customers[b]) return customers[a] < customers[b];
    return times[a] != times[b] ? times[a] < times[b] : a < b;
  });
  for (std::size_t at = 0; at < order.size();) {
    const std::int32_t who = customers[order[at]];
    std::optional<double> first;
    double last = 0;
    double repeats = 0;
    double log_gaps = 0;
    double money = 0;
    while (at < order.size() && customers[order[at]] == who) {
      // A moment's rows: one that is a return makes no purchase, and takes its money off what was paid before.
      const double time = times[order[at]];
      double sum = 0;
      bool bought = false;
      for (; at < order.size() && customers[order[at]] == who && times[order[at]] == time; ++at) {
        const double value = values.empty() ? 0 : values[order[at]];
        sum += value;
        bought = bought || !(value < 0);
      }
      if (bought && first) {
        ++repeats;
        log_gaps += std::log((time - last) / unit);
      }
      if (bought) {
        last = time;
        if (!first) first = time;
      }
      if (repeats > 0) money += sum;
    }
    if (!first) continue;  // nothing but returns
    out.customers.push_back(who);
    out.frequency.push_back(repeats);
    out.recency.push_back((last - *first) / unit);
    out.age.push_back((newest - *first) / unit);
    out.log_gaps.push_back(log_gaps);
    if (!values.empty()) out.money.push_back(repeats > 0 ? std::max(money, 0.0) / repeats : 0);
  }
  return out;
}

PurchaseSummaries summarize_purchases(const EventLog& log, const PurchaseSummaryOptions& options) {
  options.validate();
  const EventLog::Columns& c = log.columns();
  if (c.times_ms.empty() && log.size() > 0) throw std::invalid_argument("log has no times, must have times: gaps between purchases are what the models need");
  std::vector<std::uint8_t> wanted(c.event_names.size(), options.events.empty() ? 1 : 0);
  for (const std::string& name : options.events) {
    const auto found = std::find(c.event_names.begin(), c.event_names.end(), name);
    if (found == c.event_names.end()) throw std::invalid_argument("events holds '" + name + "', must be an event type of the log");
    wanted[static_cast<std::size_t>(found - c.event_names.begin())] = 1;
  }
  constexpr std::int64_t kDay = 86400000;
  const std::int64_t offset = std::int64_t{options.utc_offset_minutes} * 60000;
  const auto day = [&](std::int64_t ms) {
    const std::int64_t local = ms + offset;
    return static_cast<double>(local / kDay - (local % kDay < 0 ? 1 : 0));
  };
  std::vector<std::int32_t> customers;
  std::vector<double> days;
  std::vector<double> values;
  for (std::size_t i = 0; i < c.users.size(); ++i) {
    if (!c.events.empty() && wanted[c.events[i]] == 0) continue;
    customers.push_back(c.users[i]);
    days.push_back(day(c.times_ms[i]));
    if (!c.values.empty()) values.push_back(static_cast<double>(c.values[i]));
  }
  std::optional<double> until;
  if (options.until_ms) until = day(*options.until_ms);
  return summarize_purchases(customers, days, values, until, options.unit_days);
}

}  // namespace etalage
