// SPDX-License-Identifier: Apache-2.0
// Conjugate gradients work in the eigenvectors of the fixed side's Gram matrix. There w0 G is diagonal, so that no step needs
// a product with it, and its diagonal with the ridge is the preconditioner: what is left to find is what the few observed rows
// change. Scores, norms and with them the objective stay when both sides are turned alike, so a fit turns its rows in place
// before each half of a sweep and back once at its end. Where there are few rows the eigenvectors cost more than that saves: the
// steps are plain ones then, one more of them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "models/factor/als_solver.hpp"

namespace etalage::als {

/// Whether a fit over so many rows of both sides together turns them: eigenvectors cost as much as the products with w0 G of
/// about a hundred rows a factor.
[[nodiscard]] inline bool uses_basis(const AlsOptions& options, std::size_t rows, std::size_t width) noexcept {
  return options.solver == AlsSolver::kConjugateGradient && rows >= 128 * width;
}

/// Eigenvectors and eigenvalues of a Gram matrix [width x width].
struct Basis {
  std::size_t width = 0;
  std::vector<double> values;   ///< [width], none below 0
  std::vector<double> vectors;  ///< [width x width], column j that of values[j]
  Basis(const double* gram, std::size_t width);
  /// The Gram matrix in this basis: [width x width], diagonal.
  [[nodiscard]] std::vector<double> gram() const;
};

/// rows [count x n] = rows matrix in place, with matrix double [width x width] and n = padded(width).
void turn(float* rows, std::size_t count, const double* matrix, std::size_t width, int num_threads);

/// The product of the turns of a fit, to undo them at once.
class Turns {
 public:
  explicit Turns(std::size_t width) : width_(width) {}
  void add(const std::vector<double>& vectors);
  [[nodiscard]] bool any() const noexcept { return !product_.empty(); }
  /// The matrix that turns rows back, [width x width].
  [[nodiscard]] std::vector<double> back() const;

 private:
  std::size_t width_;
  std::vector<double> product_;  // empty: none yet
};

/// Whether every entry off the diagonal is zero, as in the basis of its eigenvectors.
bool is_diagonal(const double* gram, std::size_t width) noexcept;

}  // namespace etalage::als
