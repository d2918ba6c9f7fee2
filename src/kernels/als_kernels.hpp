// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// Dense steps of alternating least squares on float32 rows.
///
/// n is the padded number of factors, a multiple of kAlsPad; every matrix written to is 64-byte aligned with a row
/// stride that is a multiple of kAlsPad, unless said otherwise. Results for one row never depend on the rows that are
/// handled with it. y is read at rows cols[0 .. m), ldy floats apart, without any demand on alignment.
struct AlsTable {
  /// out[r, begin .. end) = sum_k x[r, k] g[k, begin .. end) for `rows` rows; g packed by pack_panels(), begin and end
  /// multiples of kAlsPad.
  void (*multiply)(const float* x, std::size_t ldx, std::size_t rows, const float* packed, std::size_t n,
                   std::size_t begin, std::size_t end, float* out, std::size_t ldo);
  /// Upper triangle of c [n x n] += a^T b with a, b [m x n]; what lies below the diagonal is left undefined.
  void (*rank_update)(const float* a, const float* b, std::size_t ld, std::size_t m, std::size_t n, float* c,
                      std::size_t ldc);
  /// r [n] += sum_j (add[j] - weight[j] (y_j . x)) y_j over j < m. Rows ahead[j] of y, j < min(m, num_ahead), are asked for
  /// along the way: they will be read next.
  void (*residual)(const float* y, std::size_t ldy, std::size_t n, const std::int32_t* cols, const float* add,
                   const float* weight, std::size_t m, const float* x, float* r, const std::int32_t* ahead, std::size_t num_ahead);
  /// s[j] += y_j . x over j < m.
  void (*dots)(const float* y, std::size_t ldy, std::size_t n, const std::int32_t* cols, std::size_t m, const float* x,
               float* s);
  /// plain[j] = y_j and scaled[j] = weight[j] y_j, rows of `width` <= n floats padded with zeros to n; rhs += add[j] y_j.
  void (*gather)(const float* y, std::size_t ldy, std::size_t width, const std::int32_t* cols, const float* add,
                 const float* weight, std::size_t m, std::size_t n, float* plain, float* scaled, float* rhs);
  /// One step of preconditioned conjugate gradients, q holding A p but for the diagonal: q += (diagonal + ridge) p, then x, r and
  /// p move on. rz is r . inverse r before; returns it after, or 0 when the step is over because p . q is not positive.
  float (*cg_step)(float* x, float* r, float* p, float* q, std::size_t n, const float* diagonal, float ridge, const float* inverse,
                   float rz);
  /// r -= (diagonal + ridge) x, inverse = 1 / max(diagonal + ridge, least), p = inverse r; returns r . p.
  float (*cg_start)(const float* x, float* r, float* p, float* inverse, std::size_t n, const float* diagonal, float ridge, float least);
  /// Upper Cholesky factor of a [n x n] in place, A = U^T U with a's upper triangle read; returns n, or the pivot that
  /// was not positive.
  std::size_t (*cholesky)(float* a, std::size_t lda, std::size_t n);
  /// b [n] = A^-1 b with the factor from cholesky().
  void (*solve)(const float* u, std::size_t lda, std::size_t n, float* b);
};

inline constexpr std::size_t kAlsPad = 16;

/// g [n x n] as panels of kAlsPad columns, each stored row after row: packed[(j / 16) n 16 + k 16 + j % 16] = g[k, j].
inline void pack_panels(const float* g, std::size_t n, float* packed) noexcept {
  for (std::size_t j = 0; j < n; j += kAlsPad)
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t c = 0; c < kAlsPad; ++c) packed[j * n + k * kAlsPad + c] = g[k * n + j + c];
}

ETALAGE_DECLARE_KERNELS(AlsTable, als)

}  // namespace etalage::kernels
