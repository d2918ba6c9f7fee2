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

/// sum of y y^T over the rows of one block [rows x f]: double [f x f], every entry a float32.
[[nodiscard]] ETALAGE_EXPORT std::vector<double> als_block_gram(MatrixView<const float> factors);

/// Half a sweep of one block. rows [n x m] are its observations in the columns of `fixed` [m x f], the factors of the other
/// side or only those of its rows that the block needs, in the same order; `others` is the whole number of rows of the
/// other side (the ridge counts them), `gram` [f x f] its whole Gram matrix. x [n x f]: the block's factors before, and
/// after; rows without anything liked become zero. Stored zeros must have been left out.
/// std::invalid_argument for shapes; NumericalError as fit() throws it, with the row's place in the block.
ETALAGE_EXPORT void als_half_step(const AlsOptions& options, AlsSide side, const CsrView& rows, MatrixView<const float> fixed,
                                  std::size_t others, std::span<const double> gram, std::span<float> x);

/// The parts of the objective (see AlsModel) that belong to one block. `observed` asks for the users' sum over S, which is
/// sum_S (c (p - s)^2 - w0 s^2), and without it `fixed` is not read; the block's ridge is always in it. w0 <user Gram,
/// item Gram> comes on top, once.
[[nodiscard]] ETALAGE_EXPORT double als_block_loss(const AlsOptions& options, const CsrView& rows, MatrixView<const float> fixed,
                                                   std::size_t others, std::span<const float> x, bool observed);

}  // namespace etalage
