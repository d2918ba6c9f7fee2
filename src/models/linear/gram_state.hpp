// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "etalage/extend/state.hpp"

namespace etalage {

/// Whether g [f x f] can be the product of a matrix with its transpose: symmetric, and with a Cholesky factor once a ridge of
/// rounding in float32 is added: sums are made of float32 products, and with fewer rows than factors the matrix is singular. f^3 / 3 steps.
inline bool is_gram(const double* g, std::size_t f) {
  double trace = 0;
  for (std::size_t i = 0; i < f; ++i) {
    if (!(g[i * f + i] >= 0)) return false;
    trace += g[i * f + i];
  }
  if (!(trace <= 1e37)) return false;  // the solvers take it as float32
  if (trace == 0) return std::all_of(g, g + f * f, [](double v) { return v == 0; });
  const double slack = 1e-6 * trace;
  std::vector<double> lower(f * f);
  for (std::size_t i = 0; i < f; ++i) {
    double* row = lower.data() + i * f;
    for (std::size_t j = 0; j <= i; ++j) {
      if (!(std::abs(g[i * f + j] - g[j * f + i]) <= slack)) return false;
      const double* other = lower.data() + j * f;
      double left = g[i * f + j];
      for (std::size_t k = 0; k < j; ++k) left -= row[k] * other[k];
      if (j < i) row[j] = left / other[j];
      else if (const double pivot = left + slack; pivot > 0) row[i] = std::sqrt(pivot);
      else return false;
    }
  }
  return true;
}

/// A Gram matrix of f factors as a file holds it. FormatError where it is not finite and, where contents are verified, where
/// it is none: equations made of it would have no solution.
inline Array<double> get_gram(const StateReader& reader, const std::string& name, std::size_t f) {
  Array<double> g = reader.get_array<double>(name, f * f);
  if (!std::all_of(g.begin(), g.end(), [](double v) { return std::isfinite(v); })) reader.fail(name, "found a value that is not finite");
  if (reader.verify() && !is_gram(g.data(), f)) reader.fail(name, "found no Gram matrix: not symmetric, or not positive definite");
  return g;
}

}  // namespace etalage
