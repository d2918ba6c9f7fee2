// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "marketing/pareto_integral.hpp"
#include "marketing/purchase_process.hpp"

namespace etalage::marketing {
namespace {

constexpr std::size_t kMostWeights = 12;  // one for each purchase between two that count, at most k

/// Longest series that is summed.
constexpr double kMostPhases = 5e6;

/// ln of the weights of j = 0 .. k - 1 phases since the last purchase, for whoever is active at T.
std::size_t phase_weights(double k, double shape, double alpha, double tx, double age, std::array<double, kMostWeights>& out) noexcept {
  out[0] = 0;
  if (k <= 1 || !(age > tx)) return 1;
  const double gap = std::log((age - tx) / (alpha + age));
  std::size_t n = 1;
  for (double j = 1; j < k; ++j, ++n) out[n] = out[n - 1] + gap + std::log((shape + j - 1) / j);
  return n;
}

double log_sum(const std::array<double, kMostWeights>& terms, std::size_t n) noexcept {
  double largest = terms[0];
  for (std::size_t i = 1; i < n; ++i) largest = std::max(largest, terms[i]);
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += std::exp(terms[i] - largest);
  return largest + std::log(sum);
}

/// Purchases in t of a customer who is active at T with j phases behind them. Phases come with rate
/// lambda ~ Gamma(shape, scale), so their number N in t is negative binomial; the m-th purchase needs m k - j phases and m - 1 times not to
/// have stopped, p ~ Beta(a, b):
///
///   sum over m >= 1 of P(N >= m k - j) B(a, b + m - 1) / B(a, b)
///
/// For k = 1 it equals the papers' hypergeometric expression, without its poles (a = 1, a + b < 1): every term is positive.
double expected_of_active(double k, double j, double shape, double scale, double a, double b, double t) noexcept {
  const double odds = t / scale;
  const double z = odds / (1 + odds);
  if (!(z > 0)) return 0;
  // The mean, and what a negative binomial's tail needs to fall by e^-40.
  if (!(shape * odds + 40 * (1 + odds) <= kMostPhases)) return std::numeric_limits<double>::infinity();
  const double none = -shape * std::log1p(odds);  // ln P(N = 0)
  double n = 0;
  double pmf = std::exp(none);
  double reached = -std::expm1(none);  // P(N > n)
  if (none < -300) {
    // P(N = 0) is next to nothing, so the series starts where N begins to be likely: P(N = n) grows up to its mode.
    const auto log_pmf = [&](double at) { return log_rising(shape, at).value - log_gamma(at + 1).value + none + at * std::log(z); };
    double high = std::floor((shape - 1) * odds);
    while (high - n > 1) {
      const double middle = std::floor(n + 0.5 * (high - n));
      (log_pmf(middle) < -80 ? n : high) = middle;
    }
    pmf = std::exp(log_pmf(n));
    reached = 1 - pmf;
  }
  double stay = 1;
  double m = 0;
  double sum = 0;
  // Purchases that need no more than n phases are certain up to rounding.
  for (; (m + 1) * k - j <= n; ++m) {
    sum += stay;
    stay *= (b + m) / (a + b + m);
  }
  const double negligible = 1e-14 * reached;
  for (double next = (m + 1) * k - j;;) {
    // Here reached is P(N >= n + 1).
    if (n + 1 == next) {
      sum += std::max(reached, 0.0) * stay;
      stay *= (b + m) / (a + b + m);
      ++m;
      next += k;
    }
    const double ratio = (shape + n) / (n + 1) * z;
    pmf *= ratio;
    ++n;
    reached -= pmf;
    // Ratios approach z from their side of it, so what is left is at most a geometric series. `reached` itself cannot
    // say so: rounding keeps it from 0.
    const double largest = std::max(ratio, z);
    if (largest < 1 && pmf <= negligible * (1 - largest)) return sum;
  }
}

}  // namespace

double p_alive(LifetimeKind kind, std::int32_t k, std::span<const double> p, double x, double tx, double age) noexcept {
  const double kk = k;
  double stopped;  // ln of the odds of having stopped
  if (kind == LifetimeKind::kParetoNbd) {
    if (!(age > tx)) return 1;
    stopped = std::log(p[2]) + pareto_integral_value(p[0], p[1], p[2], p[3], x, tx, age) + (p[0] + x) * std::log(p[1] + age) + p[2] * std::log(p[3] + age);
  } else {
    if (kind == LifetimeKind::kBgNbd && x == 0) return 1;
    const double shape = p[0] + kk * x;
    stopped = std::log(p[2]) - std::log(kind == LifetimeKind::kBgNbd ? p[3] + (x - 1) : p[3] + x) + shape * std::log1p((age - tx) / (p[1] + tx));
    std::array<double, kMostWeights> weights;
    stopped -= log_sum(weights, phase_weights(kk, shape, p[1], tx, age, weights));
  }
  return 1 / (1 + std::exp(stopped));
}

double expected_purchases(LifetimeKind kind, std::int32_t k, std::span<const double> p, double t, double x, double tx, double age) noexcept {
  const double alive = p_alive(kind, k, p, x, tx, age);
  if (alive == 0) return 0;  // whatever somebody active would do, infinite or not
  if (kind == LifetimeKind::kParetoNbd) {
    // (1 - q^(s - 1)) / (s - 1), whose limit at s = 1 is -ln q.
    const double lq = std::log1p(t / (p[3] + age));
    const double e = p[2] - 1;
    const double factor = std::abs(e) * lq < 1e-12 ? lq : -std::expm1(-e * lq) / e;
    return alive * (p[0] + x) / (p[1] + age) * (p[3] + age) * factor;
  }
  const double kk = k;
  const double shape = p[0] + kk * x;
  const double b = kind == LifetimeKind::kBgNbd ? p[3] + x : p[3] + x + 1;
  std::array<double, kMostWeights> weights;
  const std::size_t phases = phase_weights(kk, shape, p[1], tx, age, weights);
  const double all = log_sum(weights, phases);
  double sum = 0;
  for (std::size_t j = 0; j < phases; ++j)
    sum += std::exp(weights[j] - all) * expected_of_active(kk, static_cast<double>(j), shape + static_cast<double>(j), p[1] + age, p[2], b, t);
  return alive * sum;
}

}  // namespace etalage::marketing
