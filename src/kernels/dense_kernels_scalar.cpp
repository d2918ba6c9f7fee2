// SPDX-License-Identifier: Apache-2.0
#include "kernels/dense_kernels.hpp"

namespace etalage::kernels::scalar {
namespace {

constexpr std::size_t kRows = 4;
constexpr std::size_t kCols = 8;

void subtract_product(const float* a, const float* b, std::size_t depth, float* c, std::size_t ldc) {
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t j = 0; j < kCols; ++j) {
      float sum = 0;
      for (std::size_t k = 0; k < depth; ++k) sum += a[k * kRows + r] * b[k * kCols + j];
      c[r * ldc + j] -= sum;
    }
}

void add_rows(const float* base, std::size_t ld, const std::size_t* index, const float* weights, std::size_t count,
              std::size_t n, float* y) {
  for (std::size_t k = 0; k < count; ++k)
    for (std::size_t i = 0; i < n; ++i) y[i] += weights[k] * base[index[k] * ld + i];
}

}  // namespace

const DenseTable dense_table{kRows, kCols, subtract_product, add_rows};

}  // namespace etalage::kernels::scalar
