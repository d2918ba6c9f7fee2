// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "marketing/jet.hpp"

namespace etalage::marketing {

/// ln of the integral over tau from tx to age of (alpha + tau)^-(r + x) (beta + tau)^-(s + 1), with derivatives by
/// r alpha s beta (parameters 0 to 3), -infinity where tx = age. It is what Pareto/NBD's difference of two hypergeometric functions stands
/// for, but every term is positive: no cancellation for large x and none of the poles of 2F1's parameters.
[[nodiscard]] Jet pareto_integral(double r, double alpha, double s, double beta, double x, double tx, double age) noexcept;
[[nodiscard]] double pareto_integral_value(double r, double alpha, double s, double beta, double x, double tx, double age) noexcept;

}  // namespace etalage::marketing
