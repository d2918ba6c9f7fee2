// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/bg_bb.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "marketing/check_row.hpp"
#include "marketing/fit_state.hpp"
#include "marketing/trust_region.hpp"

namespace etalage {
namespace {

using marketing::GammaLog;
using marketing::Jet;
using marketing::log_rising;
using marketing::require_row;
using marketing::whole;

constexpr std::size_t kCellGrain = 64;
constexpr double kMostOpportunities = 10000;
constexpr std::array<const char*, 4> kBgBbNames{"alpha", "beta", "gamma", "delta"};

struct History {
  double x;
  double tx;
  double n;
  double weight;
};

void check(const OpportunityHistories& c) {
  const std::size_t n = c.frequency.size();
  detail::require(c.recency.size() == n, "recency.size()", c.recency.size(), "that of frequency");
  detail::require(c.opportunities.size() == n, "n.size()", c.opportunities.size(), "that of frequency");
  for (std::size_t i = 0; i < n; ++i) {
    const double x = c.frequency[i];
    const double end = c.opportunities[i];
    require_row(whole(end, 0, kMostOpportunities), "n", i, end, "a whole number in [0, 10000]");
    require_row(whole(x, 0, end), "frequency", i, x, "a whole number in [0, n]");
    require_row(whole(c.recency[i], x, end) && (x > 0 || c.recency[i] == 0), "recency", i, c.recency[i],
                "a whole number in [frequency, n], and 0 where frequency is 0");
  }
}

/// ln of: x taken and `misses` not, while active through `seen` opportunities.
Jet active_through(double x, double misses, double seen, std::span<const double> p) {
  Jet out;
  out.add_function(log_rising(p[0], x), 0, 1);
  out.add_function(log_rising(p[1], misses), 1, 1);
  out.add_function_of_sum(log_rising(p[0] + p[1], x + misses), 0, 1, -1);
  out.add_function(log_rising(p[3], seen), 3, 1);
  out.add_function_of_sum(log_rising(p[2] + p[3], seen), 2, 3, -1);
  return out;
}

GammaLog logarithm(double v) { return {std::log(v), 1 / v, -1 / (v * v)}; }

/// Active at the end, or stopped before opportunity t_x + 1, ..., n.
Jet likelihood(const History& c, std::span<const double> p, Jet& active) {
  active = active_through(c.x, c.n - c.x, c.n, p);
  Jet all = active;
  if (c.tx == c.n) return all;
  Jet term = active_through(c.x, c.tx - c.x, c.tx, p);
  term.add_function(logarithm(p[2]), 2, 1);
  term.add_function_of_sum(logarithm(p[2] + p[3] + c.tx), 2, 3, -1);
  for (double i = c.tx;;) {
    all = log_add(all, term);
    if (i + 1 == c.n) return all;
    term.add_function(logarithm(p[1] + i - c.x), 1, 1);
    term.add_function_of_sum(logarithm(p[0] + p[1] + i), 0, 1, -1);
    term.add_function(logarithm(p[3] + i), 3, 1);
    term.add_function_of_sum(logarithm(p[2] + p[3] + i + 1), 2, 3, -1);
    ++i;
  }
}

}  // namespace

void BgBbOptions::validate() const { require_options(*this); }

BgBb::BgBb(BgBbOptions options) : options_(options) { options_.validate(); }

const ParameterFit& BgBb::fit(const OpportunityHistories& customers, std::span<const double> weights) {
  check(customers);
  const std::size_t n = customers.frequency.size();
  detail::require(weights.empty() || weights.size() == n, "weights.size()", weights.size(), "that of frequency, or 0");
  std::vector<History> rows(n);
  double total = 0;
  double taken = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double weight = weights.empty() ? 1 : weights[i];
    require_row(std::isfinite(weight) && weight > 0, "weights", i, weight, "finite and > 0");
    rows[i] = {customers.frequency[i], customers.recency[i], customers.opportunities[i], weight};
    total += weight;
    taken += weight * rows[i].x;
  }
  if (!(taken > 0))
    throw std::invalid_argument("frequency is 0 for every one of " + std::to_string(n) + " rows, must be > 0 for some: nobody came back");
  std::sort(rows.begin(), rows.end(), [](const History& a, const History& b) {
    return std::tie(a.x, a.tx, a.n, a.weight) < std::tie(b.x, b.tx, b.n, b.weight);
  });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (kept > 0 && rows[kept - 1].x == rows[i].x && rows[kept - 1].tx == rows[i].tx && rows[kept - 1].n == rows[i].n) rows[kept - 1].weight += rows[i].weight;
    else rows[kept++] = rows[i];
  }
  rows.resize(kept);
  const auto log_likelihood = [&](std::span<const double> p) {
    std::vector<Jet> parts(detail::num_chunks(rows.size(), kCellGrain));
    detail::parallel_for(rows.size(), kCellGrain, options_.num_threads, [&](std::size_t begin, std::size_t end, int) {
      Jet active;
      for (std::size_t i = begin; i < end; ++i) parts[begin / kCellGrain].add(likelihood(rows[i], p, active), rows[i].weight);
    });
    Jet out;
    for (const Jet& j : parts) out += j;
    return out;
  };
  constexpr double kReach = 1e6;
  const std::array<marketing::SearchRange, 4> ranges{
      {{1, 1 / kReach, kReach}, {1, 1 / kReach, kReach}, {0.7, 1 / kReach, kReach}, {2, 1 / kReach, kReach}}};
  ParameterFit fit;
  fit.names.assign(kBgBbNames.begin(), kBgBbNames.end());
  marketing::maximise(fit, ranges, log_likelihood, options_.max_iterations);
  fit.customers = static_cast<std::int64_t>(std::llround(std::min(total, 1e14)));
  fit.distinct = static_cast<std::int64_t>(rows.size());
  fit_ = std::move(fit);
  return fit_;
}

void BgBb::set_parameters(std::span<const double> values) {
  fit_ = marketing::given_fit(values, kBgBbNames);
}

const ParameterFit& BgBb::parameters() const {
  if (!fitted()) throw NotFittedError("BG/BB is not fitted; call fit() first");
  return fit_;
}

void BgBb::p_alive(const OpportunityHistories& customers, std::span<double> out) const {
  const auto& p = parameters().values;
  check(customers);
  detail::require(out.size() == customers.frequency.size(), "out.size()", out.size(), "that of frequency");
  detail::parallel_for(out.size(), kCellGrain, options_.num_threads, [&](std::size_t begin, std::size_t end, int) {
    Jet active;
    for (std::size_t i = begin; i < end; ++i) {
      const Jet all = likelihood({customers.frequency[i], customers.recency[i], customers.opportunities[i], 1}, p, active);
      out[i] = std::exp(active.v - all.v);
    }
  });
}

void BgBb::expected_purchases(double m, const OpportunityHistories& customers, std::span<double> out) const {
  const auto& p = parameters().values;
  detail::require(m >= 0 && m <= 1e6 && m == std::floor(m), "m", m, "a whole number in [0, 1e6]");
  p_alive(customers, out);
  detail::parallel_for(out.size(), kCellGrain, options_.num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i) {
      const double n = customers.opportunities[i];
      double stay = 1;
      double sum = 0;
      for (double j = 0; j < m; ++j) {
        stay *= (p[3] + n + j) / (p[2] + p[3] + n + j);
        sum += stay;
      }
      out[i] *= (p[0] + customers.frequency[i]) / (p[0] + p[1] + n) * sum;
    }
  });
}

void BgBb::save_state(StateWriter& writer) const {
  put_options(writer, options_);
  marketing::put_fit(writer, fit_);
}

BgBb BgBb::from_state(const StateReader& reader) {
  BgBb out(get_options<BgBbOptions>(reader));
  out.fit_ = marketing::get_fit(reader, kBgBbNames);
  return out;
}

}  // namespace etalage
