// SPDX-License-Identifier: Apache-2.0
#include "kernels/dot_kernels.hpp"

namespace etalage::kernels::scalar {
namespace {

float dot(const float* a, const float* b, std::size_t dim) {
  float sum = 0;
  for (std::size_t f = 0; f < dim; ++f) sum += a[f] * b[f];
  return sum;
}

float squared_distance(const float* a, const float* b, std::size_t dim) {
  float sum = 0;
  for (std::size_t f = 0; f < dim; ++f) sum += (a[f] - b[f]) * (a[f] - b[f]);
  return sum;
}

void dots(const float* query, const float* const* rows, std::size_t n, std::size_t dim, float* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = dot(query, rows[i], dim);
}

void squared_distances(const float* query, const float* const* rows, std::size_t n, std::size_t dim, float* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = squared_distance(query, rows[i], dim);
}

}  // namespace

const DotTable dot_table = {dot, squared_distance, dots, squared_distances};

}  // namespace etalage::kernels::scalar
