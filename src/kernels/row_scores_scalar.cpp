// SPDX-License-Identifier: Apache-2.0
#include "kernels/row_scores.hpp"

namespace etalage::kernels::scalar {
namespace {

const float* row_at(const float* data, std::size_t dim, const std::int32_t* rows, std::size_t first, std::size_t i) {
  return data + (rows != nullptr ? static_cast<std::size_t>(rows[i]) : first + i) * dim;
}

void dot(const float* query, const float* data, std::size_t dim, const std::int32_t* rows, std::size_t first, std::size_t n,
         float* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const float* r = row_at(data, dim, rows, first, i);
    float sum = 0;
    for (std::size_t f = 0; f < dim; ++f) sum += query[f] * r[f];
    out[i] = sum;
  }
}

void negative_l2(const float* query, const float* data, std::size_t dim, const std::int32_t* rows, std::size_t first,
                 std::size_t n, float* out) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const float* r = row_at(data, dim, rows, first, i);
    float sum = 0;
    for (std::size_t f = 0; f < dim; ++f) sum += (query[f] - r[f]) * (query[f] - r[f]);
    out[i] = -sum;
  }
}

void dot_and_square(const float* query, const float* data, std::size_t stride, std::size_t dim, std::size_t n, float* dots,
                    float* squares) noexcept {
  for (std::size_t i = 0; i < n; ++i) {
    const float* r = data + i * stride;
    dots[i] = squares[i] = 0;
    for (std::size_t f = 0; f < dim; ++f) {
      dots[i] += query[f] * r[f];
      squares[i] += r[f] * r[f];
    }
  }
}

void dot_columns(const float* query, const float* data, std::size_t dim, std::size_t n, float* out) noexcept {
  for (std::size_t j = 0; j < n; ++j) {
    float sum = 0;
    for (std::size_t f = 0; f < dim; ++f) sum += query[f] * data[f * n + j];
    out[j] = sum;
  }
}

void dot_columns_of(const float* queries, std::size_t m, const float* data, std::size_t dim, std::size_t n,
                    float* out) noexcept {
  for (std::size_t i = 0; i < m; ++i) dot_columns(queries + i * dim, data, dim, n, out + i * n);
}

}  // namespace

const RowScores row_scores_table{&dot, &negative_l2, &dot_and_square, &dot_columns, &dot_columns_of};

}  // namespace etalage::kernels::scalar
