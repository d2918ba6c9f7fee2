// SPDX-License-Identifier: Apache-2.0
#include "kernels/row_sums.hpp"

namespace etalage::kernels::scalar {
namespace {

void combine(const float* data, std::size_t stride, std::size_t n, const std::int32_t* rows, const float* weights,
             std::size_t m, float* out) {
  for (std::size_t f = 0; f < n; ++f) {
    float sum = 0;
    for (std::size_t j = 0; j < m; ++j) sum += weights[j] * data[static_cast<std::size_t>(rows[j]) * stride + f];
    out[f] = sum;
  }
}

}  // namespace

const RowSums row_sums_table{&combine};

}  // namespace etalage::kernels::scalar
