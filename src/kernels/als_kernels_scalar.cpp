// SPDX-License-Identifier: Apache-2.0
// The plain twins: what every SIMD level is tested against, and what runs where nothing else does.
#include <algorithm>
#include <cmath>

#include "kernels/als_kernels.hpp"

namespace etalage::kernels::scalar {
namespace {

const float* row_of(const float* y, std::size_t ldy, std::int32_t col) { return y + static_cast<std::size_t>(col) * ldy; }

float dot(const float* a, const float* b, std::size_t n) {
  float s = 0;
  for (std::size_t k = 0; k < n; ++k) s += a[k] * b[k];
  return s;
}

void multiply(const float* x, std::size_t ldx, std::size_t rows, const float* packed, std::size_t n, std::size_t begin,
              std::size_t end, float* out, std::size_t ldo) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t j = begin; j < end; j += kAlsPad) {
      float acc[kAlsPad] = {};
      const float* panel = packed + j * n;
      for (std::size_t k = 0; k < n; ++k)
        for (std::size_t c = 0; c < kAlsPad; ++c) acc[c] += x[r * ldx + k] * panel[k * kAlsPad + c];
      for (std::size_t c = 0; c < kAlsPad; ++c) out[r * ldo + j + c] = acc[c];
    }
  }
}

void rank_update(const float* a, const float* b, std::size_t ld, std::size_t m, std::size_t n, float* c,
                 std::size_t ldc) {
  for (std::size_t k = 0; k < m; ++k)
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = i; j < n; ++j) c[i * ldc + j] += a[k * ld + i] * b[k * ld + j];
}

void residual(const float* y, std::size_t ldy, std::size_t n, const std::int32_t* cols, const float* add,
              const float* weight, std::size_t m, const float* x, float* r, const std::int32_t* /*ahead*/, std::size_t /*num_ahead*/) {
  for (std::size_t j = 0; j < m; ++j) {
    const float* row = row_of(y, ldy, cols[j]);
    const float w = add[j] - weight[j] * dot(row, x, n);
    for (std::size_t k = 0; k < n; ++k) r[k] += w * row[k];
  }
}

void dots(const float* y, std::size_t ldy, std::size_t n, const std::int32_t* cols, std::size_t m, const float* x,
          float* s) {
  for (std::size_t j = 0; j < m; ++j) s[j] += dot(row_of(y, ldy, cols[j]), x, n);
}

void gather(const float* y, std::size_t ldy, std::size_t width, const std::int32_t* cols, const float* add,
            const float* weight, std::size_t m, std::size_t n, float* plain, float* scaled, float* rhs) {
  for (std::size_t j = 0; j < m; ++j) {
    const float* row = row_of(y, ldy, cols[j]);
    for (std::size_t k = 0; k < n; ++k) {
      const float v = k < width ? row[k] : 0.0f;
      plain[j * n + k] = v;
      scaled[j * n + k] = weight[j] * v;
      rhs[k] += add[j] * v;
    }
  }
}

float cg_step(float* x, float* r, float* p, float* q, std::size_t n, const float* diagonal, float ridge, const float* inverse,
              float rz) {
  for (std::size_t k = 0; k < n; ++k) q[k] += (ridge + diagonal[k]) * p[k];
  const float pq = dot(p, q, n);
  if (!(pq > 0)) return 0;
  const float step = rz / pq;
  float next = 0;
  for (std::size_t k = 0; k < n; ++k) {
    x[k] += step * p[k];
    r[k] -= step * q[k];
    next += inverse[k] * r[k] * r[k];
  }
  const float beta = next / rz;
  for (std::size_t k = 0; k < n; ++k) p[k] = inverse[k] * r[k] + beta * p[k];
  return next;
}

float cg_start(const float* x, float* r, float* p, float* inverse, std::size_t n, const float* diagonal, float ridge, float least) {
  for (std::size_t k = 0; k < n; ++k) {
    const float entry = ridge + diagonal[k];
    r[k] -= entry * x[k];
    inverse[k] = 1.0f / std::max(entry, least);
    p[k] = inverse[k] * r[k];
  }
  return dot(r, p, n);
}

std::size_t cholesky(float* a, std::size_t lda, std::size_t n) {
  for (std::size_t k = 0; k < n; ++k) {
    float* row = a + k * lda;
    if (!(row[k] > 0) || !std::isfinite(row[k])) return k;
    const float inverse = 1.0f / std::sqrt(row[k]);
    for (std::size_t j = k; j < n; ++j) row[j] *= inverse;
    for (std::size_t i = k + 1; i < n; ++i)
      for (std::size_t j = i; j < n; ++j) a[i * lda + j] -= row[i] * row[j];
  }
  return n;
}

void solve(const float* u, std::size_t lda, std::size_t n, float* b) {
  for (std::size_t k = 0; k < n; ++k) {
    b[k] /= u[k * lda + k];
    for (std::size_t j = k + 1; j < n; ++j) b[j] -= u[k * lda + j] * b[k];
  }
  for (std::size_t k = n; k-- > 0;) {
    float s = b[k];
    for (std::size_t j = k + 1; j < n; ++j) s -= u[k * lda + j] * b[j];
    b[k] = s / u[k * lda + k];
  }
}

}  // namespace

const AlsTable als_table{multiply, rank_update, residual, dots, gather, cg_step, cg_start, cholesky, solve};

}  // namespace etalage::kernels::scalar
