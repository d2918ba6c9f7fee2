// SPDX-License-Identifier: Apache-2.0
#include "kernels/sgd_kernels.hpp"

namespace etalage::kernels::scalar {
namespace {

float dot(const float* x, const float* y, std::size_t n) {
  float s = 0;
  for (std::size_t k = 0; k < n; ++k) s += x[k] * y[k];
  return s;
}

void dots(const float* x, const float* const* rows, std::size_t count, std::size_t n, float* out) {
  for (std::size_t r = 0; r < count; ++r) out[r] = dot(x, rows[r], n);
}

float pair_score(const float* u, const float* i, const float* j, std::size_t n, float* norms) {
  float score = 0;
  norms[0] = norms[1] = 0;
  for (std::size_t k = 0; k < n; ++k) {
    const float difference = i[k] - j[k];
    score += u[k] * difference;
    norms[0] += u[k] * u[k];
    norms[1] += difference * difference;
  }
  return score;
}

void pair_update(float* u, float* i, float* j, std::size_t n, const PairStep& s) {
  for (std::size_t k = 0; k < n; ++k) {
    const float uk = u[k];
    u[k] = s.user_keep * uk + s.user_step * (i[k] - j[k]);
    i[k] = s.liked_keep * i[k] + s.liked_step * uk;
    j[k] = s.other_keep * j[k] - s.other_step * uk;
  }
}

void attract(float* y, const float* x, float* gathered, std::size_t n, float step) {
  for (std::size_t k = 0; k < n; ++k) {
    gathered[k] += step * y[k];
    y[k] += step * x[k];
  }
}

}  // namespace

const SgdTable sgd_table{dot, dots, pair_score, pair_update, attract};

}  // namespace etalage::kernels::scalar
