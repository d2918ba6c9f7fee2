// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/exploration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "detail/random_stream.hpp"

namespace etalage {
namespace {

constexpr std::size_t kNodes = 64;

/// P(rate i is the highest) = integral of density i times the product of the others' distributions, on one grid for all.
/// Densities are taken at the middles of the grid's steps and scaled to 1 there, distributions are their sums.
void thompson(std::span<const ShownCounts> counts, std::size_t n, std::span<double> out) {
  if (counts.empty()) {
    std::fill(out.begin(), out.end(), 1.0 / static_cast<double>(n));
    return;
  }
  // A grid over where any of the rates can lie: mean +- 6 standard deviations of each, joined.
  double low = 1;
  double high = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double reacted = std::min(counts[i].reacted, counts[i].shown);
    const double a = 1 + reacted;
    const double b = 1 + static_cast<double>(counts[i].shown) - reacted;
    const double mean = a / (a + b);
    const double deviation = std::sqrt(mean * (1 - mean) / (a + b + 1));
    low = std::min(low, std::max(0.0, mean - 6 * deviation));
    high = std::max(high, std::min(1.0, mean + 6 * deviation));
  }
  const double step = (high - low) / kNodes;
  // below[node]: product over all candidates of P(rate <= node's middle); candidate i's part is divided out again in logarithms.
  static thread_local std::array<double, kNodes> all;
  all.fill(0);
  static thread_local std::vector<double> density, below;
  density.resize(n * kNodes);
  below.resize(n * kNodes);
  for (std::size_t i = 0; i < n; ++i) {
    const double reacted = std::min(counts[i].reacted, counts[i].shown);
    const double a = reacted;
    const double b = static_cast<double>(counts[i].shown) - reacted;
    double most = -1e300;
    double* d = density.data() + i * kNodes;
    for (std::size_t g = 0; g < kNodes; ++g) {
      const double x = low + (static_cast<double>(g) + 0.5) * step;
      d[g] = (a > 0 ? a * std::log(x) : 0) + (b > 0 ? b * std::log1p(-x) : 0);
      most = std::max(most, d[g]);
    }
    double sum = 0;
    for (std::size_t g = 0; g < kNodes; ++g) sum += d[g] = std::exp(d[g] - most);
    double before = 0;
    for (std::size_t g = 0; g < kNodes; ++g) {
      d[g] /= sum;
      below[i * kNodes + g] = std::log(std::max(before + 0.5 * d[g], 1e-300));
      before += d[g];
      all[g] += below[i * kNodes + g];
    }
  }
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = 0;
    for (std::size_t g = 0; g < kNodes; ++g) out[i] += density[i * kNodes + g] * std::exp(all[g] - below[i * kNodes + g]);
    total += out[i];
  }
  for (double& p : out) p /= total;
}

}  // namespace

std::string_view exploration_name(PlacePolicy policy) noexcept { return option_names<PlacePolicy>[static_cast<std::size_t>(policy)].first; }

void Exploration::validate() const {
  require_options(*this);
  detail::require(slots.size() <= 1024, "number of slots", slots.size(), "<= 1024");
}

void Fatigue::validate() const { require_options(*this); }

bool Exploration::explores(std::size_t place, std::size_t places, std::size_t explored_before) const noexcept {
  if (policy == PlacePolicy::kGreedy) return false;
  // A little above what is asked for is not it: 0.3 of 10 places are 3.
  if (static_cast<double>(explored_before + 1) > max_share * static_cast<double>(places) + 1e-9) return false;
  return slots.empty() || std::find(slots.begin(), slots.end(), place) != slots.end();
}

void exploration_probabilities(const Exploration& e, std::span<const double> values, std::span<const ShownCounts> counts, std::span<double> out,
                               std::span<const float> opinions) {
  const std::size_t n = values.size();
  if (out.size() != n) throw std::invalid_argument("out has " + std::to_string(out.size()) + " entries, must have one for each of the " + std::to_string(n) + " values");
  if (!counts.empty() && counts.size() != n)
    throw std::invalid_argument("counts has " + std::to_string(counts.size()) + " entries, must have one for each of the " + std::to_string(n) + " values, or none");
  if (n == 0) return;
  if (e.policy == PlacePolicy::kBootstrap && (opinions.empty() || opinions.size() % n != 0))
    throw std::invalid_argument("opinions has " + std::to_string(opinions.size()) + " entries, must have one for each of the " + std::to_string(n) +
                                " values by each bootstrapped model");
  const auto best = static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
  switch (e.policy) {
    case PlacePolicy::kGreedy:
      std::fill(out.begin(), out.end(), 0.0);
      out[best] = 1;
      return;
    case PlacePolicy::kEpsilon:
      std::fill(out.begin(), out.end(), e.epsilon / static_cast<double>(n));
      out[best] += 1 - e.epsilon;
      return;
    case PlacePolicy::kSoftmax: {
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i) sum += out[i] = std::exp((values[i] - values[best]) / e.temperature);
      for (double& p : out) p /= sum;
      return;
    }
    case PlacePolicy::kThompson: thompson(counts, n, out); return;
    case PlacePolicy::kSquareCb: {
      double rest = 1;
      for (std::size_t i = 0; i < n; ++i) {
        out[i] = i == best ? 0 : 1 / (static_cast<double>(n) + e.gamma * (values[best] - values[i]));
        rest -= out[i];
      }
      out[best] = rest;
      return;
    }
    case PlacePolicy::kBootstrap: {
      std::fill(out.begin(), out.end(), 0.0);
      const std::size_t models = opinions.size() / n;
      for (std::size_t m = 0; m < models; ++m) {
        const auto own = opinions.subspan(m * n, n);
        out[static_cast<std::size_t>(std::max_element(own.begin(), own.end()) - own.begin())] += 1;
      }
      for (double& p : out) p = (1 - e.epsilon) * (p / static_cast<double>(models)) + e.epsilon / static_cast<double>(n);
      return;
    }
  }
}

std::size_t draw_candidate(std::span<const double> probabilities, double uniform) noexcept {
  double sum = 0;
  std::size_t last = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    if (!(probabilities[i] > 0)) continue;
    sum += probabilities[i];
    last = i;
    if (sum > uniform) break;  // rounding leaves the last one what is missing to 1
  }
  return last;
}

double exploration_uniform(std::uint64_t seed, std::size_t place) noexcept {
  return static_cast<double>(detail::split_mix(detail::split_mix(seed) + detail::kSplitMixStep * (place + 1)) >> 11) * 0x1p-53;
}

}  // namespace etalage
