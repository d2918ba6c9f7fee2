// SPDX-License-Identifier: Apache-2.0
#include "marketing/allocation_dual.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "detail/parallel_for.hpp"

namespace etalage::marketing {
namespace {

constexpr std::size_t kMaxCuts = 80;

/// A price of the bundle method: that of a budget, of a maximum (+) or of a minimum (-), in units of `scale`.
struct Coordinate {
  std::size_t index = 0;
  int kind = 0;  // 0 budget, 1 maximum, -1 minimum
  double limit = 0;
  double scale = 1;
};

struct Cut {
  double value = 0;  // at x = 0
  std::vector<double> slope;
};

double dot(std::span<const double> a, std::span<const double> b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

/// argmin over x >= 0 of max over cuts + |x - centre|^2 / (2 t). The weights of the cuts, on a simplex, are moved between the cut
/// that is violated most and the weighted one that is violated least, with an exact search along the pair (as in sequential
/// minimal optimisation; Keerthi et al., Neural Computation 13, 2001), until the duality gap is a hundredth of what is promised.
std::vector<double> proximal_point(const std::vector<Cut>& cuts, std::span<const double> centre, double best, double t, std::vector<double>& weights) {
  const std::size_t m = cuts.size(), d = centre.size();
  double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  if (!(total > 0)) {
    weights.assign(m, 0.0);
    weights.back() = total = 1;
  }
  for (double& w : weights) w /= total;
  std::vector<double> y(centre.begin(), centre.end()), x(d), along(d);  // x = max(0, y)
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < d && weights[i] != 0; ++j) y[j] -= t * weights[i] * cuts[i].slope[j];
  for (int round = 0; round < 5000; ++round) {
    for (std::size_t j = 0; j < d; ++j) x[j] = std::max(0.0, y[j]);
    std::size_t to = 0, from = m;
    double highest = -std::numeric_limits<double>::infinity(), lowest = -highest, mean = 0;
    for (std::size_t i = 0; i < m; ++i) {
      const double value = cuts[i].value + dot(cuts[i].slope, x);
      mean += weights[i] * value;
      if (value > highest) {
        highest = value;
        to = i;
      }
      if (weights[i] > 0 && value < lowest) {
        lowest = value;
        from = i;
      }
    }
    if (from == m || to == from || highest - mean <= 0.01 * (best - highest) || highest - lowest <= 1e-14 * std::abs(best)) break;
    // Root of the falling function  difference of the two cuts at the point after moving `step` of weight.
    for (std::size_t j = 0; j < d; ++j) along[j] = cuts[to].slope[j] - cuts[from].slope[j];
    const double constant = cuts[to].value - cuts[from].value;
    double low = 0, high = weights[from], step = high;
    for (int search = 0; search < 40; ++search) {
      double difference = constant, fall = 0;
      for (std::size_t j = 0; j < d; ++j) {
        const double at = y[j] - t * step * along[j];
        if (at <= 0) continue;
        difference += along[j] * at;
        fall += t * along[j] * along[j];
      }
      if (difference >= 0) low = step;
      else high = step;
      if (low == high || high - low <= 1e-12 * weights[from]) break;
      const double newton = fall > 0 ? step + difference / fall : (difference > 0 ? high : low);
      const double next = newton > low && newton < high ? newton : (low + high) / 2;
      if (next == step) break;
      step = next;
    }
    if (weights[from] - step < 1e-15) step = weights[from];
    weights[to] += step;
    weights[from] -= step;
    for (std::size_t j = 0; j < d; ++j) y[j] -= t * step * along[j];
  }
  for (std::size_t j = 0; j < d; ++j) x[j] = std::max(0.0, y[j]);
  return x;
}

}  // namespace

Dual::Dual(const AllocationProblem& problem, std::span<const std::size_t> sample, int num_threads)
    : p_(problem), sample_(sample), num_threads_(num_threads) {}

DualPoint Dual::at(const Prices& prices) const {
  const std::size_t budgets = p_.budgets.size();
  const std::size_t n = sample_.empty() ? p_.shoppers : sample_.size();
  struct Sums {
    double worth = 0;
    std::vector<double> spent;
    std::vector<std::int64_t> given;
  };
  std::vector<Sums> chunks(detail::num_chunks(n, kShoppersOfChunk));
  detail::parallel_for(n, kShoppersOfChunk, num_threads_, [&](std::size_t begin, std::size_t end, int) {
    Sums& sums = chunks[begin / kShoppersOfChunk];
    sums.spent.assign(budgets, 0.0);
    sums.given.assign(p_.offers, 0);
    ShopperChoice choice(p_);
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t shopper = sample_.empty() ? i : sample_[i];
      for (const std::int32_t o : choice.at(prices, shopper)) {
        const auto offer = static_cast<std::size_t>(o);
        sums.worth += choice.worth()[offer];
        ++sums.given[offer];
        const double* cost = p_.costs.data() + (shopper * p_.offers + offer) * budgets;
        for (std::size_t b = 0; b < budgets; ++b) sums.spent[b] += cost[b];
      }
    }
  });
  DualPoint out;
  out.spent.assign(budgets, 0.0);
  out.given.assign(p_.offers, 0.0);
  for (const Sums& sums : chunks) {
    out.value += sums.worth;
    for (std::size_t b = 0; b < budgets; ++b) out.spent[b] += sums.spent[b];
    for (std::size_t o = 0; o < p_.offers; ++o) out.given[o] += static_cast<double>(sums.given[o]);
  }
  const double up = n == 0 ? 1.0 : static_cast<double>(p_.shoppers) / static_cast<double>(n);
  out.value *= up;
  for (double& v : out.spent) v *= up;
  for (double& v : out.given) v *= up;
  return out;
}

DualMinimum minimise(const AllocationProblem& p, const Dual& dual, const Prices& start, std::int32_t max_steps, double tolerance) {
  // Prices are measured in the worth of all at no price over the limit, so that every coordinate is of the order of 1.
  Prices none{std::vector<double>(p.budgets.size(), 0.0), std::vector<double>(p.offers, 0.0)};
  const DualPoint free = dual.at(none);
  // Where minima force what is worth less than nothing, the worth at no price says little: the sizes of the values do.
  double sizes = 0;
  for (const double v : p.values) sizes += std::abs(v);
  const double unit = std::max({free.value, 1e-3 * sizes / static_cast<double>(p.offers), 1e-300});
  std::vector<Coordinate> coordinates;
  const auto add = [&](std::size_t index, int kind, double limit, double use) {
    coordinates.push_back({index, kind, limit, unit / std::max({limit, use, 1e-300})});
  };
  for (std::size_t b = 0; b < p.budgets.size(); ++b) add(b, 0, p.budgets[b], free.spent[b]);
  for (std::size_t o = 0; o < p.offers; ++o) {
    if (!p.offer_max.empty() && static_cast<std::size_t>(p.offer_max[o]) < p.shoppers) add(o, 1, static_cast<double>(p.offer_max[o]), free.given[o]);
    if (!p.offer_min.empty() && p.offer_min[o] > 0) add(o, -1, static_cast<double>(p.offer_min[o]), static_cast<double>(p.shoppers) / static_cast<double>(p.offers));
  }
  const std::size_t d = coordinates.size();
  const auto prices_at = [&](std::span<const double> x) {
    Prices out = none;
    for (std::size_t j = 0; j < d; ++j) {
      const Coordinate& c = coordinates[j];
      if (c.kind == 0) out.budget[c.index] = x[j] * c.scale;
      else out.offer[c.index] += c.kind * x[j] * c.scale;
    }
    return out;
  };
  struct Evaluated {
    double value = 0;
    Cut cut;
  };
  const auto evaluate = [&](std::span<const double> x) {
    const DualPoint point = dual.at(prices_at(x));
    Evaluated out;
    out.value = point.value;
    out.cut.slope.resize(d);
    for (std::size_t j = 0; j < d; ++j) {
      const Coordinate& c = coordinates[j];
      const double use = c.kind == 0 ? point.spent[c.index] : point.given[c.index];
      const double slack = c.kind < 0 ? use - c.limit : c.limit - use;
      out.cut.slope[j] = slack * c.scale;
      out.value += x[j] * c.scale * (c.kind < 0 ? -c.limit : c.limit);
    }
    out.cut.value = out.value - dot(out.cut.slope, x);
    return out;
  };

  std::vector<double> centre(d, 0.0);
  for (std::size_t j = 0; j < d; ++j) {
    const Coordinate& c = coordinates[j];
    const double price = c.kind == 0 ? start.budget[c.index] : c.kind * start.offer[c.index];
    centre[j] = std::max(0.0, price) / c.scale;
  }
  Evaluated best = evaluate(centre);
  DualMinimum out{prices_at(centre), best.value, 1};
  std::vector<Cut> cuts{best.cut};
  std::vector<double> weights{1.0};
  // Length of a step: with slopes of the order of `unit`, 1 / unit moves a price by its own size.
  double t = 0.3 / unit;
  for (; d > 0 && out.steps < max_steps; ++out.steps) {
    const std::vector<double> x = proximal_point(cuts, centre, best.value, t, weights);
    double model = cuts[0].value + dot(cuts[0].slope, x);
    for (const Cut& c : cuts) model = std::max(model, c.value + dot(c.slope, x));
    const double promised = best.value - model;
    if (!(promised > tolerance * std::max(std::abs(best.value), 1e-300))) {
      // Small steps promise little: only a long one that promises nothing is the end.
      if (t >= 1e3 / unit) break;
      t *= 10;
      --out.steps;
      continue;
    }
    const Evaluated found = evaluate(x);
    if (cuts.size() >= kMaxCuts) {
      const auto least = static_cast<std::size_t>(std::min_element(weights.begin(), weights.end()) - weights.begin());
      cuts.erase(cuts.begin() + static_cast<std::ptrdiff_t>(least));
      weights.erase(weights.begin() + static_cast<std::ptrdiff_t>(least));
    }
    cuts.push_back(found.cut);
    weights.push_back(0.0);
    const double gained = best.value - found.value;
    if (gained >= 0.1 * promised) {
      if (gained >= 0.5 * promised) t = std::min(t * 2, 1e3 / unit);
      centre = x;
      best = found;
    } else if (gained < -promised) {
      t = std::max(t * 0.5, 1e-6 / unit);
    }
  }
  out.prices = prices_at(centre);
  out.value = best.value;
  return out;
}

}  // namespace etalage::marketing
