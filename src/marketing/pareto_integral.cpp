// SPDX-License-Identifier: Apache-2.0
#include "marketing/pareto_integral.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace etalage::marketing {
namespace {

constexpr std::size_t kNodes = 16;

struct Rule {
  std::array<double, kNodes> node;  // in [0, 1]
  std::array<double, kNodes> weight;
};

/// Gauss-Legendre on [0, 1]: roots of the Legendre polynomial by Newton's method.
Rule make_rule() {
  Rule out{};
  for (std::size_t i = 0; i < kNodes; ++i) {
    double x = std::cos(std::numbers::pi * (static_cast<double>(i) + 0.75) / (kNodes + 0.5));
    double slope = 0;
    for (int step = 0; step < 20; ++step) {
      double before = 1;
      double p = x;
      for (std::size_t n = 2; n <= kNodes; ++n) {
        const auto m = static_cast<double>(n);
        const double next = ((2 * m - 1) * x * p - (m - 1) * before) / m;
        before = p;
        p = next;
      }
      slope = kNodes * (x * p - before) / (x * x - 1);
      x -= p / slope;
    }
    out.node[i] = 0.5 * (1 - x);
    out.weight[i] = 1 / ((1 - x * x) * slope * slope);
  }
  return out;
}

const Rule& rule() {
  static const Rule r = make_rule();
  return r;
}

/// Calls visit(share of the integrand at tx, ln(alpha + tau), alpha + tau, ln(beta + tau), beta + tau) at each node;
/// visit returns the sum so far. With u = ln((c + tau) / (c + tx)), c = min(alpha, beta), the integrand is log-concave
/// and its singularities lie pi away from the real line, so panels of length 2 in which it falls by at most e^16 are exact
/// to the last digits with 16 nodes; what comes after a panel that adds nothing adds nothing.
template <class Visit>
void integrate(double r_plus_x, double alpha, double s_plus_1, double beta, double tx, double age, const Visit& visit) {
  const double c = std::min(alpha, beta);
  const double base = c + tx;
  const double end = std::log1p((age - tx) / base);
  const double la = std::log(alpha + tx);
  const double lb = std::log(beta + tx);
  const auto falls = [&](double u) {
    const double to = base * std::exp(u);
    return r_plus_x * to / (to + (alpha - c)) + s_plus_1 * to / (to + (beta - c)) - 1;
  };
  double sum = 0;
  for (double u = 0; u < end;) {
    double length = std::min(2.0, end - u);
    for (int halvings = 0; halvings < 60 && length * falls(u + length) > 16; ++halvings) length *= 0.5;
    const double before = sum;
    for (std::size_t i = 0; i < kNodes; ++i) {
      const double to = base * std::exp(u + length * rule().node[i]);
      const double a = to + (alpha - c);
      const double b = to + (beta - c);
      const double l_a = std::log(a);
      const double l_b = std::log(b);
      const double f = length * rule().weight[i] * to * std::exp(-r_plus_x * (l_a - la) - s_plus_1 * (l_b - lb));
      sum = visit(f, l_a, a, l_b, b);
    }
    if (sum - before < 1e-17 * sum) return;
    u += length;
  }
}

}  // namespace

double pareto_integral_value(double r, double alpha, double s, double beta, double x, double tx, double age) noexcept {
  double sum = 0;
  integrate(r + x, alpha, s + 1, beta, tx, age, [&](double f, double, double, double, double) { return sum += f; });
  return std::log(sum) - (r + x) * std::log(alpha + tx) - (s + 1) * std::log(beta + tx);
}

Jet pareto_integral(double r, double alpha, double s, double beta, double x, double tx, double age) noexcept {
  const double shape_a = r + x;
  const double shape_b = s + 1;
  double sum = 0;
  Jet moments;  // g: sums of f times the derivative of ln f; h: of its products and its second derivatives
  integrate(shape_a, alpha, shape_b, beta, tx, age, [&](double f, double la, double a, double lb, double b) {
    const double ia = 1 / a;
    const double ib = 1 / b;
    const std::array<double, 4> d{-la, -shape_a * ia, -lb, -shape_b * ib};
    std::array<double, 10> second{};
    second[Jet::at(1, 0)] = -ia;
    second[Jet::at(1, 1)] = shape_a * ia * ia;
    second[Jet::at(3, 2)] = -ib;
    second[Jet::at(3, 3)] = shape_b * ib * ib;
    for (std::size_t i = 0; i < 4; ++i) {
      moments.g[i] += f * d[i];
      for (std::size_t j = 0; j <= i; ++j) moments.h[Jet::at(i, j)] += f * (d[i] * d[j] + second[Jet::at(i, j)]);
    }
    return sum += f;
  });
  Jet out;
  if (!(sum > 0)) {
    out.v = -std::numeric_limits<double>::infinity();
    return out;
  }
  out.v = std::log(sum) - shape_a * std::log(alpha + tx) - shape_b * std::log(beta + tx);
  for (std::size_t i = 0; i < 4; ++i) {
    out.g[i] = moments.g[i] / sum;
    for (std::size_t j = 0; j <= i; ++j) out.h[Jet::at(i, j)] = moments.h[Jet::at(i, j)] / sum - out.g[i] * out.g[j];
  }
  return out;
}

}  // namespace etalage::marketing
