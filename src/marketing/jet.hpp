// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>

#include "marketing/special_functions.hpp"

namespace etalage::marketing {

/// A value with its gradient and its Hessian (lower triangle) by at most four parameters.
struct Jet {
  static constexpr std::size_t kParameters = 4;
  static constexpr std::size_t at(std::size_t i, std::size_t j) noexcept { return i * (i + 1) / 2 + j; }  // i >= j

  double v = 0;
  std::array<double, kParameters> g{};
  std::array<double, kParameters * (kParameters + 1) / 2> h{};

  Jet& operator+=(const Jet& o) noexcept {
    v += o.v;
    for (std::size_t i = 0; i < g.size(); ++i) g[i] += o.g[i];
    for (std::size_t i = 0; i < h.size(); ++i) h[i] += o.h[i];
    return *this;
  }
  void add(const Jet& o, double weight) noexcept {
    v += weight * o.v;
    for (std::size_t i = 0; i < g.size(); ++i) g[i] += weight * o.g[i];
    for (std::size_t i = 0; i < h.size(); ++i) h[i] += weight * o.h[i];
  }
  /// Adds sign * f(parameter i), f given with its derivatives.
  void add_function(const GammaLog& f, std::size_t i, double sign) noexcept {
    v += sign * f.value;
    g[i] += sign * f.first;
    h[at(i, i)] += sign * f.second;
  }
  /// Adds sign * f(parameter i + parameter j).
  void add_function_of_sum(const GammaLog& f, std::size_t i, std::size_t j, double sign) noexcept {
    v += sign * f.value;
    g[i] += sign * f.first;
    g[j] += sign * f.first;
    h[at(i, i)] += sign * f.second;
    h[at(j, j)] += sign * f.second;
    h[i > j ? at(i, j) : at(j, i)] += sign * f.second;
  }
  /// Adds -(shape + n) ln(scale + time), where shape is parameter i, scale is parameter j > i.
  void add_power(double shape_plus_n, double scale_plus_time, std::size_t i, std::size_t j) noexcept {
    const double l = std::log(scale_plus_time);
    const double inverse = 1 / scale_plus_time;
    v -= shape_plus_n * l;
    g[i] -= l;
    g[j] -= shape_plus_n * inverse;
    h[at(j, i)] -= inverse;
    h[at(j, j)] += shape_plus_n * inverse * inverse;
  }
  /// Adds sign * ln(parameter i + offset).
  void add_log(double value, std::size_t i, double sign) noexcept {
    v += sign * std::log(value);
    g[i] += sign / value;
    h[at(i, i)] -= sign / (value * value);
  }
};

/// ln(exp(a) + exp(b)).
inline Jet log_add(const Jet& a, const Jet& b) noexcept {
  const double m = b.v - a.v;
  const double e = std::exp(-std::abs(m));
  const double w = m >= 0 ? 1 / (1 + e) : e / (1 + e);  // share of b
  Jet out;
  out.v = (m >= 0 ? b.v : a.v) + std::log1p(e);
  std::array<double, Jet::kParameters> d;
  for (std::size_t i = 0; i < d.size(); ++i) {
    d[i] = b.g[i] - a.g[i];
    out.g[i] = a.g[i] + w * d[i];
  }
  const double c = e / ((1 + e) * (1 + e));  // w (1 - w) without cancellation
  for (std::size_t i = 0; i < d.size(); ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      const std::size_t k = Jet::at(i, j);
      out.h[k] = a.h[k] + w * (b.h[k] - a.h[k]) + c * d[i] * d[j];
    }
  return out;
}

}  // namespace etalage::marketing
