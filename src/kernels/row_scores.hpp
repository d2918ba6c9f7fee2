// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// One query against chosen rows of a row-major float32 matrix: rows[i] names the i-th of n rows, or the rows are
/// first, first + 1, ... when `rows` is null. The value of a row depends on query and row alone, not on its neighbours
/// in the call, so that graph walks, scans and re-scoring agree bit for bit.
struct RowScores {
  /// out[i] = query . row
  void (*dot)(const float* query, const float* data, std::size_t dim, const std::int32_t* rows, std::size_t first,
              std::size_t n, float* out) noexcept;
  /// out[i] = -|query - row|^2
  void (*negative_l2)(const float* query, const float* data, std::size_t dim, const std::int32_t* rows, std::size_t first,
                      std::size_t n, float* out) noexcept;
  /// dots[i] = query . row and squares[i] = |row|^2 of the first dim values of n rows that follow one another, stride apart.
  void (*dot_and_square)(const float* query, const float* data, std::size_t stride, std::size_t dim, std::size_t n, float* dots,
                         float* squares) noexcept;
  /// out[j] = sum over f of query[f] * data[f * n + j]: against n columns, for vectors shorter than a register.
  void (*dot_columns)(const float* query, const float* data, std::size_t dim, std::size_t n, float* out) noexcept;
  /// The same for m queries [m x dim], which share each read of the columns: out [m x n], bit for bit.
  void (*dot_columns_of)(const float* queries, std::size_t m, const float* data, std::size_t dim, std::size_t n,
                         float* out) noexcept;
};

ETALAGE_DECLARE_KERNELS(RowScores, row_scores)

}  // namespace etalage::kernels
