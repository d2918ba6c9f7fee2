// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/models/als.hpp"

namespace etalage::als {

/// factors rounded up to what the kernels want; the columns behind are zero.
std::size_t padded(std::size_t factors) noexcept;

/// One side of the model as the other side is solved against it.
struct Fixed {
  const float* rows = nullptr;  ///< [count x stride], `width` floats of each row are read
  std::size_t count = 0;
  std::size_t width = 0;
  std::size_t stride = 0;
};

/// A user's or item's observations, as the normal equations see them.
struct Observed {
  const std::int32_t* columns = nullptr;
  const float* values = nullptr;
  std::size_t count = 0;
};

/// The weights of the objective (see AlsModel).
struct Weights {
  float alpha = 1;
  float w0 = 1;
  float regularization = 0;
  float nu = 0;
  explicit Weights(const AlsOptions& o)
      : alpha(o.alpha), w0(o.unobserved_weight), regularization(o.regularization), nu(o.nu) {}
  [[nodiscard]] float confidence(float r) const noexcept { return 1 + alpha * (r < 0 ? -r : r); }
  /// reg (|S| + w0 others)^nu
  [[nodiscard]] double ridge(std::size_t observed, std::size_t others) const noexcept;
};

/// G = F^T F in double [width x width], rows added in fixed chunks: the same bits for any thread count.
std::vector<double> gram(const Fixed& fixed, int num_threads);
/// Rows of one chunk of gram(): at most 64 partial matrices, however many rows there are.
std::size_t gram_grain(std::size_t rows) noexcept;
/// The partial matrix of rows [begin, end), float32 [n x n] with n = padded(width); at and right of the diagonal only.
Array<float> gram_of_chunk(const Fixed& fixed, std::size_t begin, std::size_t end);

/// w0 G as the solvers read it: padded to n with ones on the diagonal behind the factors, plain and in panels.
struct ScaledGram {
  std::size_t n = 0;
  Array<float> full;    ///< [n x n]
  Array<float> packed;  ///< [n x n], see kernels::pack_panels
  Array<float> diagonal;  ///< [n]
  bool is_diagonal = false;  ///< nothing but the diagonal: the basis of als_basis.hpp
  ScaledGram(const double* gram, std::size_t width, float w0);
};

/// What one thread needs for exact solutions; grown on first use.
class RowScratch {
 public:
  void reserve(std::size_t n);
  Array<float> matrix;  ///< [n x n]
  Array<float> plain;   ///< [kChunk x n]
  Array<float> scaled;  ///< [kChunk x n]
  Array<float> rhs;     ///< [n]
  std::vector<float> add;
  std::vector<float> weight;
  static constexpr std::size_t kChunk = 96;
};

/// x [n] = A^-1 b of one row, exactly (Cholesky in float32). Leaves the factor of A in scratch.matrix. Returns false when
/// A is not positive definite in float32. With `prior` [n] the ridge pulls towards it: b grows by ridge x prior.
bool solve_exactly(const Fixed& fixed, const ScaledGram& gram, const Observed& observed, const Weights& weights,
                   RowScratch& scratch, float* x, const float* prior = nullptr);

/// b [n] = A^-1 b with the factor that solve_exactly() left; b 64-byte aligned.
void solve_again(const RowScratch& scratch, std::size_t n, float* b);

/// Which rows are solved together, and in which order; depends on the data and on nothing else, so one serves all sweeps.
struct Plan {
  std::vector<std::int64_t> order;    ///< rows with something liked, by falling number of observations, ties by index
  std::vector<std::size_t> offsets;   ///< block b solves order[offsets[b], offsets[b + 1])
  std::vector<std::int64_t> nothing;  ///< rows without anything liked, whose solution is zero
  /// With priors a row that only dislikes is solved as well.
  Plan(const CsrView& rows, std::size_t n, bool with_priors = false);
};

/// Half a sweep: every row of x [rows.rows x n] moves to (or towards) its minimum with `fixed` as it stands. Conjugate
/// gradients are preconditioned where gram is diagonal (als_basis.hpp), and plain with one step more where it is not. `priors`
/// [rows.rows x n], where given, are what the ridge pulls each row towards in the place of zero; the plan is made for them.
/// Throws NumericalError naming `side` and row.
void solve_side(const CsrView& rows, const Plan& plan, const Fixed& fixed, const ScaledGram& gram, const AlsOptions& options,
                const char* side, float* x, const float* priors = nullptr);

/// sum_S (c (p - s)^2 - w0 s^2) with s = x_u . y_i; x [rows.rows x fixed.stride].
double observed_loss(const CsrView& rows, const Fixed& fixed, const float* x, const Weights& weights, int num_threads);

/// sum over rows of ridge |x|^2; x [rows.rows x n].
double ridge_loss(const CsrView& rows, const float* x, std::size_t n, std::size_t others, const Weights& weights,
                  int num_threads);

}  // namespace etalage::als
