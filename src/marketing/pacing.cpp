// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/pacing.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/option_check.hpp"
#include "detail/check.hpp"

namespace etalage::marketing {
namespace {

void require_numbers(std::span<const double> values, const char* name) {
  for (std::size_t i = 0; i < values.size(); ++i)
    if (!(values[i] >= 0) || !std::isfinite(values[i]))
      throw std::invalid_argument(detail::violated((std::string(name) + "[" + std::to_string(i) + "]").c_str(), values[i], "finite and >= 0"));
}

}  // namespace

void PacingOptions::validate() const {
  require_numbers(budgets, "budgets");
  require_numbers(prices, "prices");
  require_numbers(profile, "profile");
  detail::require(!budgets.empty() && budgets.size() <= 1024, "budgets.size()", budgets.size(), "in [1, 1024]");
  detail::require(prices.empty() || prices.size() == budgets.size(), "prices.size()", prices.size(), "one for each budget, or 0");
  detail::require(profile.size() <= 1'000'000, "profile.size()", profile.size(), "at most 1000000");
  require_options(*this);
  double total = 0;
  for (const double share : profile) total += share;
  detail::require(profile.empty() || total > 0, "the sum of profile", total, "> 0");
}

BudgetPacer::BudgetPacer(PacingOptions options) : options_(std::move(options)) {
  options_.validate();
  const std::size_t budgets = options_.budgets.size();
  prices_ = options_.prices;
  prices_.resize(budgets, 0.0);
  spent_.assign(budgets, 0.0);
  scale_.assign(budgets, 0.0);
  history_.assign(kParts, 0.0);
  const std::size_t parts = std::max<std::size_t>(1, options_.profile.size());
  after_.assign(parts + 1, 0.0);
  for (std::size_t i = parts; i-- > 0;) after_[i] = after_[i + 1] + (options_.profile.empty() ? 1.0 : options_.profile[i]);
  const double total = after_[0];
  for (double& a : after_) a /= total;
  step_ = options_.step > 0 ? options_.step : 1.0 / std::sqrt(options_.expected_requests);
}

double BudgetPacer::planned_after(double progress) const noexcept {
  const double at = std::clamp(progress, 0.0, 1.0) * static_cast<double>(after_.size() - 1);
  const auto part = std::min(static_cast<std::size_t>(at), after_.size() - 2);
  const double within = at - static_cast<double>(part);
  return after_[part] * (1 - within) + after_[part + 1] * within;
}

std::int32_t BudgetPacer::decide(std::span<const double> values, std::span<const double> costs, double progress) {
  const std::size_t budgets = prices_.size();
  if (costs.size() != values.size() * budgets)
    throw std::invalid_argument("costs has " + std::to_string(costs.size()) + " entries, must have offers x budgets = " + std::to_string(values.size() * budgets));
  for (const double v : values)
    if (!std::isfinite(v)) throw std::invalid_argument(detail::violated("values", v, "finite"));
  for (const double c : costs)
    if (!(c >= 0) || !std::isfinite(c)) throw std::invalid_argument(detail::violated("costs", c, "finite and >= 0"));
  detail::require(!(progress > 1) && !std::isnan(progress), "progress", progress, "in [0, 1], or below 0 to count requests");

  const double passed = progress >= 0 ? progress : std::min(1.0, static_cast<double>(requests_) / options_.expected_requests);
  std::int32_t best = -1;
  std::int32_t wanted = -1;
  double highest = 0, wished = 0;
  for (std::size_t o = 0; o < values.size(); ++o) {
    double worth = values[o];
    bool affordable = true;
    for (std::size_t b = 0; b < budgets; ++b) {
      const double cost = costs[o * budgets + b];
      worth -= prices_[b] * cost;
      affordable = affordable && spent_[b] + cost <= options_.budgets[b];
    }
    if (worth > wished) {
      wished = worth;
      wanted = static_cast<std::int32_t>(o);
    }
    if (affordable && worth > highest) {
      highest = worth;
      best = static_cast<std::int32_t>(o);
    }
  }
  // Without prices to begin with, the first requests find them by longer steps.
  const double step = options_.prices.empty() ? std::max(step_, std::min(0.05, 1.0 / std::sqrt(static_cast<double>(requests_) + 1.0))) : step_;
  // What the rest of the period plans for one request at this pace of the profile.
  const double width = 1.0 / options_.expected_requests;
  const double now = planned_after(passed), next = planned_after(std::min(1.0, passed + width));
  const double share = now > 0 ? std::min(1.0, (now - next) / now) : 1.0;
  for (std::size_t b = 0; b < budgets; ++b) {
    const double left = options_.budgets[b] - spent_[b];
    // The price learns from what was wanted, also where a budget is too short for it.
    const double used = wanted < 0 ? 0.0 : costs[static_cast<std::size_t>(wanted) * budgets + b];
    const double planned = left * std::max(share, passed < 1 ? 0.0 : 1.0);
    if (used > 0) {
      const double size = values[static_cast<std::size_t>(wanted)] / used;
      scale_[b] = scale_[b] == 0 ? size : scale_[b] + 0.01 * (size - scale_[b]);
    }
    // Relative to an even request of the whole budget, so that a step has the same size in euros and in cents.
    const double even = std::max(options_.budgets[b] * width, 1e-300);
    const double push = step * std::clamp((used - planned) / even, -10.0, 10.0);
    const double floor = 0.01 * scale_[b];
    prices_[b] = prices_[b] > floor ? prices_[b] * std::exp(push) : std::max(0.0, prices_[b] + push * scale_[b]);
  }
  if (best >= 0) {
    double part = 0;
    for (std::size_t b = 0; b < budgets; ++b) {
      const double cost = costs[static_cast<std::size_t>(best) * budgets + b];
      spent_[b] += cost;
      if (options_.budgets[b] > 0) part += cost / options_.budgets[b];
    }
    history_[std::min(kParts - 1, static_cast<std::size_t>(passed * static_cast<double>(kParts)))] += part;
  }
  ++requests_;
  return best;
}

std::vector<double> BudgetPacer::spending_profile(std::size_t parts) const {
  detail::require(parts >= 1 && parts <= kParts, "parts", parts, "in [1, 1440]");
  std::vector<double> out(parts);
  double total = 0;
  for (std::size_t i = 0; i < kParts; ++i) {
    out[i * parts / kParts] += history_[i];
    total += history_[i];
  }
  for (double& share : out) share = total > 0 ? share / total : 1.0 / static_cast<double>(parts);
  return out;
}

}  // namespace etalage::marketing
