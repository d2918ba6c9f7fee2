// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "marketing/check_row.hpp"
#include "marketing/pareto_integral.hpp"
#include "marketing/purchase_process.hpp"

namespace etalage::marketing {
namespace {

constexpr std::size_t kLikelihoodGrain = 4096;

double weight_of(const PurchaseHistories& customers, std::size_t row) noexcept { return customers.weights.empty() ? 1 : customers.weights[row]; }

/// What depends on x alone: ln Gamma(r + kx) / Gamma(r) + r ln alpha, and Beta's part for p.
Jet part_of_x(LifetimeKind kind, double k, double x, std::span<const double> p) {
  Jet out;
  out.add_function(log_rising(p[0], k * x), 0, 1);
  const double l = std::log(p[1]);
  out.v += p[0] * l;
  out.g[0] += l;
  out.g[1] += p[0] / p[1];
  out.h[Jet::at(1, 0)] += 1 / p[1];
  out.h[Jet::at(1, 1)] -= p[0] / (p[1] * p[1]);
  if (kind == LifetimeKind::kParetoNbd) {
    const double lb = std::log(p[3]);
    out.v += p[2] * lb;
    out.g[2] += lb;
    out.g[3] += p[2] / p[3];
    out.h[Jet::at(3, 2)] += 1 / p[3];
    out.h[Jet::at(3, 3)] -= p[2] / (p[3] * p[3]);
    return out;
  }
  // B(a, b + coins) / B(a, b): still active after so many chances to stop.
  const double coins = kind == LifetimeKind::kBgNbd ? x : x + 1;
  out.add_function(log_rising(p[3], coins), 3, 1);
  out.add_function_of_sum(log_rising(p[2] + p[3], coins), 2, 3, -1);
  return out;
}

/// What depends on the whole row: active until T, or stopped after the last purchase.
Jet part_of_row(LifetimeKind kind, double k, const HistoryGroup& c, std::span<const double> p) {
  Jet active;
  active.add_power(p[0] + k * c.x, p[1] + c.age, 0, 1);
  if (kind == LifetimeKind::kParetoNbd) {
    active.add_power(p[2], p[3] + c.age, 2, 3);
    if (!(c.age > c.tx)) return active;
    Jet stopped = pareto_integral(p[0], p[1], p[2], p[3], c.x, c.tx, c.age);
    stopped.add_log(p[2], 2, 1);
    return log_add(active, stopped);
  }
  if (kind == LifetimeKind::kBgNbd && c.x == 0) return active;
  if (k > 1 && c.age > c.tx) {
    // Fewer than k phases since the last purchase: sum over j of (r + kx)_j / j! ((T - tx) / (alpha + T))^j.
    const double shape = p[0] + k * c.x;
    const double gap = std::log((c.age - c.tx) / (p[1] + c.age));
    const double inverse = 1 / (p[1] + c.age);
    Jet sum;
    Jet term;
    for (double j = 1; j < k; ++j) {
      const double factor = shape + j - 1;
      term.v += gap + std::log(factor / j);
      term.g[0] += 1 / factor;
      term.g[1] -= inverse;
      term.h[Jet::at(0, 0)] -= 1 / (factor * factor);
      term.h[Jet::at(1, 1)] += inverse * inverse;
      sum = log_add(sum, term);
    }
    active += sum;
  }
  Jet stopped;
  stopped.add_power(p[0] + k * c.x, p[1] + c.tx, 0, 1);
  stopped.add_log(p[2], 2, 1);
  stopped.add_log(kind == LifetimeKind::kBgNbd ? p[3] + (c.x - 1) : p[3] + c.x, 3, -1);
  return log_add(active, stopped);
}

}  // namespace

void check_histories(const PurchaseHistories& customers) {
  const std::size_t n = customers.frequency.size();
  detail::require(customers.recency.size() == n, "recency.size()", customers.recency.size(), "that of frequency");
  detail::require(customers.age.size() == n, "T.size()", customers.age.size(), "that of frequency");
  detail::require(customers.log_gaps.empty() || customers.log_gaps.size() == n, "log_gaps.size()", customers.log_gaps.size(), "that of frequency, or 0");
  detail::require(customers.weights.empty() || customers.weights.size() == n, "weights.size()", customers.weights.size(), "that of frequency, or 0");
  constexpr double kMostPurchases = 1e9;
  constexpr double kMostSharing = 1e9;  // customers of all rows are counted
  for (std::size_t i = 0; i < n; ++i) {
    const double x = customers.frequency[i];
    const double tx = customers.recency[i];
    const double age = customers.age[i];
    require_row(whole(x, 0, kMostPurchases), "frequency", i, x, "a whole number in [0, 1e9]: repeat purchases");
    require_row(std::isfinite(age) && age >= 0, "T", i, age, "finite and >= 0");
    require_row(tx >= 0 && tx <= age, "recency", i, tx, "in [0, T]: the age at the last purchase, none in the future");
    require_row(x > 0 || tx == 0, "recency", i, tx, "0 where frequency is 0: it is the age at the last repeat purchase, not the time since");
    require_row(x == 0 || tx > 0, "recency", i, tx, "> 0 where frequency is > 0: purchases of one moment are one");
    if (!customers.log_gaps.empty()) require_row(std::isfinite(customers.log_gaps[i]), "log_gaps", i, customers.log_gaps[i], "finite");
    if (!customers.weights.empty())
      require_row(customers.weights[i] > 0 && customers.weights[i] <= kMostSharing, "weights", i, customers.weights[i], "in (0, 1e9]: customers who share the row");
  }
}

std::vector<HistoryGroup> grouped(const PurchaseHistories& customers) {
  std::vector<HistoryGroup> out(customers.frequency.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = {customers.frequency[i], customers.recency[i], customers.age[i], weight_of(customers, i)};
  std::sort(out.begin(), out.end(), [](const HistoryGroup& a, const HistoryGroup& b) {
    return std::tie(a.x, a.tx, a.age, a.weight) < std::tie(b.x, b.tx, b.age, b.weight);  // sums of weights by no order of rows
  });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (kept > 0 && out[kept - 1].x == out[i].x && out[kept - 1].tx == out[i].tx && out[kept - 1].age == out[i].age) out[kept - 1].weight += out[i].weight;
    else out[kept++] = out[i];
  }
  out.resize(kept);
  return out;
}

Jet log_likelihood(LifetimeKind kind, std::int32_t k, std::span<const double> parameters, std::span<const HistoryGroup> groups, int num_threads) {
  std::vector<Jet> parts(detail::num_chunks(groups.size(), kLikelihoodGrain));
  detail::parallel_for(groups.size(), kLikelihoodGrain, num_threads, [&](std::size_t begin, std::size_t end, int) {
    Jet& sum = parts[begin / kLikelihoodGrain];
    double weight = 0;
    for (std::size_t i = begin; i < end; ++i) {
      weight += groups[i].weight;
      if (i + 1 == end || groups[i + 1].x != groups[i].x) {
        sum.add(part_of_x(kind, k, groups[i].x, parameters), weight);
        weight = 0;
      }
      sum.add(part_of_row(kind, k, groups[i], parameters), groups[i].weight);
    }
  });
  Jet out;
  for (const Jet& p : parts) out += p;
  return out;
}

double gap_term(std::int32_t k, const PurchaseHistories& customers) noexcept {
  if (k == 1) return 0;
  const double of_k = log_gamma(k).value;
  double sum = 0;
  for (std::size_t i = 0; i < customers.frequency.size(); ++i) {
    const double x = customers.frequency[i];
    if (x == 0) continue;
    const double weight = weight_of(customers, i);
    if (!customers.log_gaps.empty()) sum += (k - 1) * customers.log_gaps[i] - weight * x * of_k;
    else sum += weight * ((k - 1) * x * std::log(customers.recency[i]) - (log_gamma(k * x).value - log_gamma(x).value));
  }
  return sum;
}

}  // namespace etalage::marketing
