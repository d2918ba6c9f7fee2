// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/customer_value.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"

namespace etalage {
namespace {

constexpr double kMostPeriods = 10000;

bool needs_purchases(LifetimeQuantity q) { return q != LifetimeQuantity::kMoney; }
bool needs_money(LifetimeQuantity q) { return q == LifetimeQuantity::kMoney || q == LifetimeQuantity::kValue; }

void check(LifetimeQuantity quantity, const LifetimeModel* purchases, const GammaGamma* money_model, const CustomerValueOptions& options) {
  options.validate();
  if (needs_purchases(quantity) && purchases == nullptr) throw std::invalid_argument("purchases is missing, must be a fitted model of purchases");
  if (needs_money(quantity) && money_model == nullptr) throw std::invalid_argument("money_model is missing, must be a fitted GammaGamma");
}

/// The quantity for given parameters.
void evaluate(LifetimeQuantity quantity, const LifetimeModel* model, std::span<const double> p, const GammaGamma* money_model, std::span<const double> g,
              const PurchaseHistories& customers, std::span<const double> money, const CustomerValueOptions& o, std::span<double> out) {
  switch (quantity) {
    case LifetimeQuantity::kAlive: return model->p_alive(p, customers, out);
    case LifetimeQuantity::kPurchases: return model->expected_purchases(p, o.t, customers, out);
    case LifetimeQuantity::kMoney: return money_model->expected_money(g, customers.frequency, money, out);
    case LifetimeQuantity::kValue: break;
  }
  std::vector<double> spend(out.size());
  money_model->expected_money(g, customers.frequency, money, spend);
  if (o.discount_rate == 0) {
    model->expected_purchases(p, o.t, customers, out);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = out[i] == 0 ? 0 : out[i] * spend[i];  // not 0 times infinity
    return;
  }
  detail::require(o.t / o.period <= kMostPeriods, "period", o.period, "at least a ten-thousandth of t");
  std::fill(out.begin(), out.end(), 0.0);
  std::vector<double> before(out.size(), 0.0);
  std::vector<double> until(out.size());
  const auto periods = static_cast<std::size_t>(std::ceil(o.t / o.period));
  for (std::size_t k = 1; k <= periods; ++k) {
    const double end = std::min(static_cast<double>(k) * o.period, o.t);
    model->expected_purchases(p, end, customers, until);
    const double factor = std::pow(1 + o.discount_rate, -end);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += factor * (std::isinf(until[i]) ? until[i] : std::max(until[i] - before[i], 0.0));
    before.swap(until);
  }
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = out[i] == 0 ? 0 : out[i] * spend[i];
}

/// Quantile of sorted values, linear between neighbours.
double quantile(std::span<const double> sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto i = static_cast<std::size_t>(at);
  if (i + 1 >= sorted.size() || sorted[i] == sorted[i + 1]) return sorted[i];
  return sorted[i] + (at - static_cast<double>(i)) * (sorted[i + 1] - sorted[i]);
}

}  // namespace

void CustomerValueOptions::validate() const {
  require_options(*this);
}

void customer_values(LifetimeQuantity quantity, const LifetimeModel* purchases, const GammaGamma* money_model, const PurchaseHistories& customers,
                     std::span<const double> money, const CustomerValueOptions& options, std::span<double> out) {
  check(quantity, purchases, money_model, options);
  if (quantity == LifetimeQuantity::kPurchases) return purchases->expected_purchases(options.t, customers, out);  // refuses a t out of reach
  const std::span<const double> none;
  evaluate(quantity, purchases, needs_purchases(quantity) ? std::span<const double>(purchases->parameters().values) : none, money_model,
           needs_money(quantity) ? std::span<const double>(money_model->parameters().values) : none, customers, money, options, out);
  if (quantity == LifetimeQuantity::kValue && std::any_of(out.begin(), out.end(), [](double v) { return std::isinf(v); })) {
    // Money may be infinite, purchases may not: this refuses a t out of reach.
    std::vector<double> reached(out.size());
    purchases->expected_purchases(options.t, customers, reached);
  }
}

void customer_value_intervals(LifetimeQuantity quantity, const LifetimeModel* purchases, const GammaGamma* money_model, const PurchaseHistories& customers,
                              std::span<const double> money, const CustomerValueOptions& options, std::span<double> low, std::span<double> high) {
  check(quantity, purchases, money_model, options);
  const std::size_t n = customers.frequency.size();
  detail::require(low.size() == n, "low.size()", low.size(), "that of frequency");
  detail::require(high.size() == n, "high.size()", high.size(), "that of frequency");
  {
    // Checks every argument before rows are compared with each other.
    std::vector<double> at_estimate(n);
    customer_values(quantity, purchases, money_model, customers, money, options, at_estimate);
  }
  const bool with_times = needs_purchases(quantity);
  const bool with_money = needs_money(quantity);
  const auto key = [&](std::size_t i) {
    // Money of customers without repeat purchases means nothing and may be anything, NaN too.
    return std::tuple(customers.frequency[i], with_times ? customers.recency[i] : 0, with_times ? customers.age[i] : 0,
                      with_money && customers.frequency[i] > 0 ? money[i] : 0);
  };
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < n; ++i)
    if (i == 0 || key(order[i - 1]) != key(order[i])) begins.push_back(i);

  std::vector<double> purchase_draws;
  std::vector<double> money_draws;
  if (with_times) purchase_draws = purchases->parameters().draws(options.draws, options.seed);
  if (with_money) money_draws = money_model->parameters().draws(options.draws, options.seed + 1);
  constexpr std::size_t kGrain = 256;  // customers whose values of all draws lie in memory at once
  detail::parallel_for(begins.size(), kGrain, options.num_threads, [&](std::size_t begin, std::size_t end, int) {
    const std::size_t count = end - begin;
    std::vector<double> x(count), tx(count), age(count), spent(count), one(count);
    for (std::size_t u = 0; u < count; ++u) {
      const std::size_t i = order[begins[begin + u]];
      x[u] = customers.frequency[i];
      tx[u] = with_times ? customers.recency[i] : 0;
      age[u] = with_times ? customers.age[i] : 0;
      spent[u] = with_money ? money[i] : 0;
    }
    std::vector<double> values(count * options.draws);
    for (std::size_t d = 0; d < options.draws; ++d) {
      const std::span<const double> p = with_times ? std::span<const double>(purchase_draws).subspan(4 * d, 4) : std::span<const double>();
      const std::span<const double> g = with_money ? std::span<const double>(money_draws).subspan(3 * d, 3) : std::span<const double>();
      evaluate(quantity, purchases, p, money_model, g, {x, tx, age, {}}, spent, options, one);
      for (std::size_t u = 0; u < count; ++u) values[u * options.draws + d] = one[u];
    }
    for (std::size_t u = 0; u < count; ++u) {
      const std::span<double> of_one(values.data() + u * options.draws, options.draws);
      std::sort(of_one.begin(), of_one.end());
      const double from = quantile(of_one, 0.5 * (1 - options.level));
      const double to = quantile(of_one, 0.5 * (1 + options.level));
      const std::size_t first = begins[begin + u];
      const std::size_t past = begin + u + 1 < begins.size() ? begins[begin + u + 1] : n;
      for (std::size_t i = first; i < past; ++i) {
        low[order[i]] = from;
        high[order[i]] = to;
      }
    }
  });
}

}  // namespace etalage
