// SPDX-License-Identifier: Apache-2.0
// AlsModel::fit in pieces, for training that is spread over processes: each call works on one block of consecutive rows
// of a side. Put together over the blocks of als_block_rows() in order they give the bits of fit(). Options must be settled()
// (auto_settings.hpp): no step sees the whole of the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/export.hpp"
#include "etalage/models/als.hpp"

namespace etalage {
/// Whose rows a step works on.
enum class AlsSide : std::uint8_t { kUsers, kItems };

/// Rows of a block such that als_block_gram() of the blocks, added in order, is the Gram matrix of fit(): a side of `rows`
/// rows is cut at multiples of it.
[[nodiscard]] ETALAGE_EXPORT std::size_t als_block_rows(std::size_t rows) noexcept;

/// Random start of rows [first, first + count) of a side: float32 [count x f].
[[nodiscard]] ETALAGE_EXPORT Array<float> als_start(const AlsOptions& options, AlsSide side, std::size_t first, std::size_t count);

/// Eigenvalues [f], none below 0, and eigenvectors [f x f], column j that of value j, of a Gram matrix.
struct AlsBasis {
  std::vector<double> values;   ///< [f]
  std::vector<double> vectors;  ///< [f x f]
};
/// Whether fit() over so many users and items works in that basis: with kConjugateGradient, from 128 rows of both together a
/// factor on. With fewer its steps are plain ones, one more of them than `cg_steps`.
[[nodiscard]] ETALAGE_EXPORT bool als_uses_basis(const AlsOptions& options, std::size_t users, std::size_t items);

/// The basis that kConjugateGradient works in (als_uses_basis). fit() turns both sides (als_turn) by the vectors of the fixed side's Gram matrix
/// before each half of a sweep, in the basis that the half before left, and back by the transposed product of all at its end.
/// std::invalid_argument for shapes and for entries that are not finite.
[[nodiscard]] ETALAGE_EXPORT AlsBasis als_basis(std::span<const double> gram, std::size_t factors);

/// The matrix [f x f] that undoes turns by these matrices of vectors, each [f x f], one after the other.
/// std::invalid_argument for shapes, and for none.
[[nodiscard]] ETALAGE_EXPORT std::vector<double> als_back(std::span<const std::vector<double>> vectors, std::size_t factors);

/// rows [n x factors] = rows matrix, matrix [factors x factors], rounded to float32; a row's bits depend on no other row.
/// num_threads: 0 for all CPUs. std::invalid_argument for shapes.
ETALAGE_EXPORT void als_turn(std::span<const double> matrix, std::size_t factors, std::span<float> rows, int num_threads = 0);

/// sum of y y^T over the rows of one block [rows x f]: double [f x f], every entry a float32.
[[nodiscard]] ETALAGE_EXPORT std::vector<double> als_block_gram(MatrixView<const float> factors);

/// Half a sweep of one block. rows [n x m] are its observations in the columns of `fixed` [m x f], the factors of the other
/// side or only those of its rows that the block needs, in the same order; `others` is the whole number of rows of the
/// other side (the ridge counts them), `gram` [f x f] its whole Gram matrix. x [n x f]: the block's factors before, and
/// after; rows without anything liked become zero. Stored zeros must have been left out. kConjugateGradient is
/// preconditioned where gram is diagonal, and takes plain steps, one more, where it is not, as fit() does (als_uses_basis).
/// std::invalid_argument for shapes; NumericalError as fit() throws it, with the row's place in the block.
ETALAGE_EXPORT void als_half_step(const AlsOptions& options, AlsSide side, const CsrView& rows, MatrixView<const float> fixed,
                                  std::size_t others, std::span<const double> gram, std::span<float> x);

/// The parts of the objective (see AlsModel) that belong to one block. `observed` asks for the users' sum over S, which is
/// sum_S (c (p - s)^2 - w0 s^2), and without it `fixed` is not read; the block's ridge is always in it. w0 <user Gram,
/// item Gram> comes on top, once.
[[nodiscard]] ETALAGE_EXPORT double als_block_loss(const AlsOptions& options, const CsrView& rows, MatrixView<const float> fixed,
                                                   std::size_t others, std::span<const float> x, bool observed);

}  // namespace etalage
