// SPDX-License-Identifier: Apache-2.0
#include "marketing/special_functions.hpp"

#include <cmath>

namespace etalage::marketing {

GammaLog log_gamma(double x) noexcept {
  // Recurrence up to 10, then Stirling's series (Abramowitz and Stegun 6.1.41, 6.3.18, 6.4.12); the first term left out
  // is below 1e-17 there.
  double product = 1;
  GammaLog out{0, 0, 0};
  while (x < 10) {
    product *= x;
    const double inverse = 1 / x;
    out.first -= inverse;
    out.second += inverse * inverse;
    x += 1;
    if (product > 1e250) {
      out.value -= std::log(product);
      product = 1;
    }
  }
  if (product != 1) out.value -= std::log(product);
  const double i = 1 / x;
  const double s = i * i;
  const double l = std::log(x);
  constexpr double kHalfLogTwoPi = 0.91893853320467274178;
  out.value += (x - 0.5) * l - x + kHalfLogTwoPi +
               i * (1.0 / 12 - s * (1.0 / 360 - s * (1.0 / 1260 - s * (1.0 / 1680 - s * (1.0 / 1188 - s * (691.0 / 360360 - s / 156))))));
  out.first += l - 0.5 * i - s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s * (1.0 / 132 - s * (691.0 / 32760 - s / 12))))));
  out.second += i * (1 + 0.5 * i + s * (1.0 / 6 - s * (1.0 / 30 - s * (1.0 / 42 - s * (1.0 / 30 - s * (5.0 / 66 - s * (691.0 / 2730 - s * 7.0 / 6)))))));
  return out;
}

GammaLog log_rising(double y, double n) noexcept {
  if (n > 64) {
    const GammaLog top = log_gamma(y + n);
    const GammaLog bottom = log_gamma(y);
    return {top.value - bottom.value, top.first - bottom.first, top.second - bottom.second};
  }
  GammaLog out{0, 0, 0};
  double product = 1;
  for (double j = 0; j < n; ++j) {
    const double term = y + j;
    const double inverse = 1 / term;
    product *= term;
    out.first += inverse;
    out.second -= inverse * inverse;
    if (product > 1e250 || product < 1e-250) {
      out.value += std::log(product);
      product = 1;
    }
  }
  if (product != 1) out.value += std::log(product);
  return out;
}

GammaLog log_gamma_difference(double z, double q) noexcept {
  const GammaLog top = log_gamma(z + q);
  const GammaLog bottom = log_gamma(z);
  if (z < 1000) return {top.value - bottom.value, top.first - bottom.first, top.second - bottom.second};
  // Stirling's series term by term; what is left out is below 1e-12 of what is kept.
  const double ratio = std::log1p(q / z);
  const double inverse = 1 / (z + q) - 1 / z;
  const double square = 1 / ((z + q) * (z + q)) - 1 / (z * z);
  return {(z - 0.5) * ratio + q * std::log(z + q) - q + inverse / 12, ratio - 0.5 * inverse - square / 12, top.second - bottom.second};
}

}  // namespace etalage::marketing
