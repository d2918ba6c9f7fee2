// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace etalage::marketing {

/// ln Gamma(x), its first and its second derivative, for x > 0; relative error about 1e-15 away from the zeros.
/// Own code: std::lgamma writes the host's global `signgam`, and digamma and trigamma are not in the standard library.
struct GammaLog {
  double value;
  double first;
  double second;
};
[[nodiscard]] GammaLog log_gamma(double x) noexcept;

/// ln (y (y + 1) ... (y + n - 1)) = ln Gamma(y + n) - ln Gamma(y) and its derivatives by y, without the cancellation of
/// that difference where y is large.
[[nodiscard]] GammaLog log_rising(double y, double n) noexcept;

/// ln Gamma(z + q) - ln Gamma(z) and the differences of the derivatives, without their cancellation where z is large.
[[nodiscard]] GammaLog log_gamma_difference(double z, double q) noexcept;

}  // namespace etalage::marketing
