// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>

#include "etalage/marketing/parameter_fit.hpp"
#include "marketing/jet.hpp"

namespace etalage::marketing {

struct SearchRange {
  double start;
  double low;
  double high;
};

/// Maximises a log-likelihood over positive parameters by Newton's method in their logarithms: eigenvalues of the Hessian
/// are taken by their absolute value (so a saddle repels), the step is cut to a trust radius that follows the ratio of
/// gained to promised likelihood, and a parameter that is pushed against an end of its range stays there.
/// log_likelihood(values) gives value, gradient and Hessian by the parameters themselves.
/// Fills values, covariance, at_bound, log_likelihood, gradient, iterations, converged. NumericalError when the start is not finite.
void maximise(ParameterFit& fit, std::span<const SearchRange> ranges, const std::function<Jet(std::span<const double>)>& log_likelihood,
              std::int32_t max_iterations);

}  // namespace etalage::marketing
