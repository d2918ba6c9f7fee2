// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"

namespace etalage::detail {

/// The leading singular values of a matrix and its right singular vectors.
struct TruncatedSvd {
  std::size_t factors = 0;       ///< as asked for, or the rank where that is smaller
  std::vector<double> singular;  ///< [factors], descending
  Array<float> right;            ///< [cols x factors], orthonormal columns
  bool stopped = false;          ///< the callback ended the iterations early
};

struct SvdOptions {
  std::size_t factors = 0;
  std::size_t oversampling = 32;  ///< columns beyond factors while iterating, at least
  int iterations = 4;             ///< multiplications by A^T A
  std::uint64_t seed = 42;
  int num_threads = 0;
};

/// Truncated SVD of a sparse matrix [m x n] and its transpose, by subspace iteration from a random start: Q = orth(A^T A Q),
/// re-orthogonalised twice in every iteration, then the eigenvectors of Q^T A^T A Q (Rayleigh-Ritz).
/// Cost     O(iterations (nnz l + n l^2) + l^3) time and O((m + n) l) floats, l = factors + oversampling
/// Repeats  bit-identical for equal seed and SIMD level, for any number of threads
/// Source   Halko, Martinsson, Tropp, SIAM Review 53 (2011), algorithms 4.4 and 5.1
TruncatedSvd truncated_svd(const CsrView& a, const CsrView& transposed, const SvdOptions& options,
                           const std::function<bool(int done)>& step = {});

/// out [a.rows x width] = a x, with x [a.cols x stride] of which `width` columns are read and out of the same stride.
void multiply_sparse(const CsrView& a, const float* x, std::size_t stride, std::size_t width, float* out, int num_threads);

}  // namespace etalage::detail
