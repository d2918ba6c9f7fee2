// SPDX-License-Identifier: Apache-2.0
#include "marketing/trust_region.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>

#include "etalage/error.hpp"

namespace etalage::marketing {
namespace {

constexpr std::size_t kMost = Jet::kParameters;
using Vector = std::array<double, kMost>;
using Matrix = std::array<Vector, kMost>;

/// Eigenvalues and eigenvectors (columns) of a symmetric d x d matrix by Jacobi's rotations.
void eigen(Matrix a, std::size_t d, Vector& values, Matrix& vectors) {
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) vectors[i][j] = i == j ? 1 : 0;
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0;
    double all = 0;
    for (std::size_t i = 0; i < d; ++i)
      for (std::size_t j = 0; j < d; ++j) (i == j ? all : off) += a[i][j] * a[i][j];
    if (off <= 1e-30 * (off + all)) break;
    for (std::size_t p = 0; p + 1 < d; ++p)
      for (std::size_t q = p + 1; q < d; ++q) {
        if (a[p][q] == 0) continue;
        const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const double t = (theta >= 0 ? 1 : -1) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0);
        const double s = t * c;
        for (std::size_t k = 0; k < d; ++k) {
          const double x = a[k][p];
          const double y = a[k][q];
          a[k][p] = c * x - s * y;
          a[k][q] = s * x + c * y;
        }
        for (std::size_t k = 0; k < d; ++k) {
          const double x = a[p][k];
          const double y = a[q][k];
          a[p][k] = c * x - s * y;
          a[q][k] = s * x + c * y;
          const double u = vectors[k][p];
          const double w = vectors[k][q];
          vectors[k][p] = c * u - s * w;
          vectors[k][q] = s * u + c * w;
        }
      }
  }
  for (std::size_t i = 0; i < d; ++i) values[i] = a[i][i];
}

/// The function by the logarithms of the parameters.
struct Point {
  double value = 0;
  Vector gradient{};
  Matrix hessian{};
  [[nodiscard]] bool finite(std::size_t d) const {
    if (!std::isfinite(value)) return false;
    for (std::size_t i = 0; i < d; ++i) {
      if (!std::isfinite(gradient[i])) return false;
      for (std::size_t j = 0; j < d; ++j)
        if (!std::isfinite(hessian[i][j])) return false;
    }
    return true;
  }
};

}  // namespace

void maximise(ParameterFit& fit, std::span<const SearchRange> ranges, const std::function<Jet(std::span<const double>)>& log_likelihood,
              std::int32_t max_iterations) {
  const auto begun = std::chrono::steady_clock::now();
  const std::size_t d = ranges.size();
  Vector low{};
  Vector high{};
  Vector at{};
  for (std::size_t i = 0; i < d; ++i) {
    low[i] = std::log(ranges[i].low);
    high[i] = std::log(ranges[i].high);
    at[i] = std::clamp(std::log(ranges[i].start), low[i], high[i]);
  }
  const auto evaluate = [&](const Vector& x) {
    Vector values{};
    for (std::size_t i = 0; i < d; ++i) values[i] = std::exp(x[i]);
    const Jet j = log_likelihood(std::span<const double>(values.data(), d));
    Point p;
    p.value = j.v;
    for (std::size_t a = 0; a < d; ++a) {
      p.gradient[a] = j.g[a] * values[a];
      for (std::size_t b = 0; b <= a; ++b)
        p.hessian[a][b] = p.hessian[b][a] = j.h[Jet::at(a, b)] * values[a] * values[b] + (a == b ? p.gradient[a] : 0);
    }
    return p;
  };

  Point now = evaluate(at);
  if (!now.finite(d)) throw NumericalError("the likelihood is not finite at the start of the search");
  double radius = 1;
  Matrix vectors{};
  Vector eigenvalues{};
  std::array<std::size_t, kMost> free{};
  std::size_t n = 0;
  fit.iterations = 0;
  fit.converged = false;
  fit.objective = {now.value};
  const auto choose_free = [&] {
    n = 0;
    for (std::size_t i = 0; i < d; ++i)
      if (!((at[i] >= high[i] && now.gradient[i] >= 0) || (at[i] <= low[i] && now.gradient[i] <= 0))) free[n++] = i;
    Matrix curvature{};
    for (std::size_t a = 0; a < n; ++a)
      for (std::size_t b = 0; b < n; ++b) curvature[a][b] = -now.hessian[free[a]][free[b]];
    eigen(curvature, n, eigenvalues, vectors);
  };
  for (;;) {
    choose_free();
    double largest = 0;
    for (std::size_t e = 0; e < n; ++e) largest = std::max(largest, std::abs(eigenvalues[e]));
    Vector step{};
    double decrement = 0;
    bool concave = true;
    for (std::size_t e = 0; e < n; ++e) {
      double along = 0;
      for (std::size_t a = 0; a < n; ++a) along += vectors[a][e] * now.gradient[free[a]];
      const double size = std::max({std::abs(eigenvalues[e]), 1e-12 * largest, 1e-300});
      concave = concave && eigenvalues[e] > -1e-9 * largest;
      decrement += along * along / size;
      for (std::size_t a = 0; a < n; ++a) step[free[a]] += vectors[a][e] * along / size;
    }
    // The decrement is about twice the likelihood still to be gained, and its root the distance in standard errors.
    if (concave && decrement <= 1e-14 * std::max(1.0, std::abs(now.value) * 1e-2)) {
      fit.converged = true;
      break;
    }
    if (fit.iterations == max_iterations || radius < 1e-12) {
      // No step gains any more, because the sum's rounding is larger than what Newton's promises.
      fit.converged = radius < 1e-12 && concave && decrement <= 2e-6 + 1e-9 * std::abs(now.value);
      break;
    }
    ++fit.iterations;
    double norm = 0;
    for (std::size_t i = 0; i < d; ++i) norm += step[i] * step[i];
    norm = std::sqrt(norm);
    const double cut = std::min(1.0, radius / norm);
    Vector next = at;
    for (std::size_t i = 0; i < d; ++i) next[i] = std::clamp(at[i] + cut * step[i], low[i], high[i]);
    const Point there = evaluate(next);
    const double promised = (cut - 0.5 * cut * cut) * decrement;
    const double gained = there.finite(d) ? there.value - now.value : -std::numeric_limits<double>::infinity();
    // At the end the gain drowns in the rounding of a sum of many terms; a Newton step that lowers the gradient stands.
    const double rounding = 1e-13 * std::abs(now.value);
    if (gained < -rounding || (promised > rounding && gained < 0.05 * promised)) {
      radius = 0.25 * cut * norm;
      if (!(gained > 0)) continue;
    } else if (promised > rounding && gained > 0.75 * promised && cut < 1) {
      radius = std::min(2 * radius, 8.0);
    }
    at = next;
    now = there;
    if (promised <= 1e-2 * rounding && concave) {
      choose_free();
      fit.converged = true;
      break;
    }
  }

  fit.values.assign(d, 0.0);
  for (std::size_t i = 0; i < d; ++i) fit.values[i] = std::exp(at[i]);
  fit.log_likelihood = now.value;
  fit.objective.push_back(now.value);
  fit.stop_reason = fit.converged ? FitReport::StopReason::kConverged : FitReport::StopReason::kIterations;
  fit.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  fit.gradient = 0;
  for (std::size_t a = 0; a < n; ++a) fit.gradient = std::max(fit.gradient, std::abs(now.gradient[free[a]]));
  fit.at_bound.clear();
  for (std::size_t i = 0; i < d; ++i)
    if (at[i] <= low[i] || at[i] >= high[i]) fit.at_bound.push_back(fit.names[i]);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  fit.covariance.assign(d * d, nan);
  double largest = 0;
  for (std::size_t e = 0; e < n; ++e) largest = std::max(largest, eigenvalues[e]);
  for (std::size_t e = 0; e < n; ++e)
    if (!(eigenvalues[e] > 1e-13 * largest)) return;  // flat in some direction: no covariance
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = 0; b < n; ++b) {
      double sum = 0;
      for (std::size_t e = 0; e < n; ++e) sum += vectors[a][e] * vectors[b][e] / eigenvalues[e];
      fit.covariance[free[a] * d + free[b]] = sum;
    }
}

}  // namespace etalage::marketing
