// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

namespace etalage {

/// In place, a [n x n] row-major, `ld` floats apart, becomes -(A^-1), where A is symmetric positive definite; only the
/// upper triangle is read and written. A blocked sweep (Gauss-Jordan without pivots, which is stable for such matrices;
/// Higham, Accuracy and Stability of Numerical Algorithms, 14.4): for each block K of rows
///   S = A_KK^-1 A_K*,  A_ij -= A_iK S_Kj for i <= j outside K,  A_K* = S,  A_KK = -A_KK^-1
/// which is n^3 flops, those of a Cholesky factorisation and the inverse from it, in one kind of step.
/// Memory     2 x 512 n floats besides a
/// Repeats    bit-identical for any num_threads
/// after(done) is called between blocks on the calling thread; returning false ends the work (the return value is then
/// false and a is left half done). Throws NumericalError naming the row whose pivot is not positive: names[i] for row i.
bool negated_inverse(float* a, std::size_t n, std::size_t ld, int num_threads, const std::function<bool(std::size_t done)>& after = {},
                     const std::size_t* names = nullptr);

/// What errors of matrices that are not positive definite say of the number that shows it.
inline constexpr const char* kMustBePositive =
    ", must be positive; a larger l2 makes the matrix positive definite in float32, and so do weights of less range (value_transform \"log1p\")";

/// Throws NumericalError naming the row unless the pivot is positive and finite.
void require_pivot(std::size_t row, double pivot);

}  // namespace etalage
