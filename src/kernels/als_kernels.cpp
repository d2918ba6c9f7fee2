// SPDX-License-Identifier: Apache-2.0
#include "kernels/als_kernels.hpp"
#include "kernels/float_vec.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

static_assert(kAlsPad % kLanes == 0);

// Rows and vectors of a register tile: 16 accumulators where there are 32 registers, 8 where there are 16.
constexpr std::size_t kRows = kLanes == 16 ? 8 : 4;
constexpr std::size_t kVectors = 2;
constexpr std::size_t kWidth = kVectors * kLanes;

HWY_INLINE const float* row_of(const float* y, std::size_t ldy, std::int32_t col) {
  return y + static_cast<std::size_t>(col) * ldy;
}

HWY_INLINE float dot(const float* a, const float* b, std::size_t n) {
  V s0 = hn::Zero(d);
  for (std::size_t k = 0; k < n; k += kLanes) s0 = hn::MulAdd(hn::LoadU(d, a + k), hn::LoadU(d, b + k), s0);
  return hn::GetLane(hn::SumOfLanes(d, s0));
}

// Columns j and, with kPair, the kLanes columns behind them (which may lie in the next panel).
template <std::size_t kR, std::size_t kV>
HWY_INLINE void multiply_tile(const float* x, std::size_t ldx, const float* packed, std::size_t n, std::size_t j,
                              float* out, std::size_t ldo) {
  V acc[kR][kV];
  const float* panel[kV];
  for (std::size_t v = 0; v < kV; ++v) {
    const std::size_t column = j + v * kLanes;
    panel[v] = packed + (column / kAlsPad) * kAlsPad * n + column % kAlsPad;
    for (std::size_t r = 0; r < kR; ++r) acc[r][v] = hn::Zero(d);
  }
  for (std::size_t k = 0; k < n; ++k) {
    V b[kV];
    for (std::size_t v = 0; v < kV; ++v) b[v] = hn::Load(d, panel[v] + k * kAlsPad);
    for (std::size_t r = 0; r < kR; ++r) {
      const V a = hn::Set(d, x[r * ldx + k]);
      for (std::size_t v = 0; v < kV; ++v) acc[r][v] = hn::MulAdd(a, b[v], acc[r][v]);
    }
  }
  for (std::size_t r = 0; r < kR; ++r)
    for (std::size_t v = 0; v < kV; ++v) hn::Store(acc[r][v], d, out + r * ldo + j + v * kLanes);
}

template <std::size_t kV>
HWY_INLINE void multiply_columns(const float* x, std::size_t ldx, std::size_t rows, const float* packed, std::size_t n,
                                 std::size_t j, float* out, std::size_t ldo) {
  std::size_t r = 0;
  for (; r + kRows <= rows; r += kRows) multiply_tile<kRows, kV>(x + r * ldx, ldx, packed, n, j, out + r * ldo, ldo);
  for (; r < rows; ++r) multiply_tile<1, kV>(x + r * ldx, ldx, packed, n, j, out + r * ldo, ldo);
}

void multiply(const float* x, std::size_t ldx, std::size_t rows, const float* packed, std::size_t n, std::size_t begin,
              std::size_t end, float* out, std::size_t ldo) {
  std::size_t j = begin;
  for (; j + kWidth <= end; j += kWidth) multiply_columns<kVectors>(x, ldx, rows, packed, n, j, out, ldo);
  for (; j < end; j += kLanes) multiply_columns<1>(x, ldx, rows, packed, n, j, out, ldo);
}

template <bool kSubtract, std::size_t kV>
HWY_INLINE void rank_tile(const float* a, const float* b, std::size_t ld, std::size_t m, float* c, std::size_t ldc) {
  V acc[kRows][kV];
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t v = 0; v < kV; ++v) acc[r][v] = hn::Load(d, c + r * ldc + v * kLanes);
  for (std::size_t k = 0; k < m; ++k) {
    V bv[kV];
    for (std::size_t v = 0; v < kV; ++v) bv[v] = hn::Load(d, b + k * ld + v * kLanes);
    for (std::size_t r = 0; r < kRows; ++r) {
      const V av = hn::Set(d, a[k * ld + r]);
      for (std::size_t v = 0; v < kV; ++v)
        acc[r][v] = kSubtract ? hn::NegMulAdd(av, bv[v], acc[r][v]) : hn::MulAdd(av, bv[v], acc[r][v]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t v = 0; v < kV; ++v) hn::Store(acc[r][v], d, c + r * ldc + v * kLanes);
}

// Rows [begin, n) and the columns at and right of the diagonal.
template <bool kSubtract>
HWY_INLINE void rank_rows(const float* a, const float* b, std::size_t ld, std::size_t m, std::size_t begin,
                          std::size_t n, float* c, std::size_t ldc) {
  for (std::size_t i = begin; i < n; i += kRows) {
    std::size_t j = i / kLanes * kLanes;
    for (; j + kWidth <= n; j += kWidth) rank_tile<kSubtract, kVectors>(a + i, b + j, ld, m, c + i * ldc + j, ldc);
    for (; j < n; j += kLanes) rank_tile<kSubtract, 1>(a + i, b + j, ld, m, c + i * ldc + j, ldc);
  }
}

void rank_update(const float* a, const float* b, std::size_t ld, std::size_t m, std::size_t n, float* c,
                 std::size_t ldc) {
  // As many rows at a time as stay in the first-level cache.
  const std::size_t chunk = n <= 128 ? 48 : 24;
  for (std::size_t k = 0; k < m; k += chunk)
    rank_rows<false>(a + k * ld, b + k * ld, ld, m - k < chunk ? m - k : chunk, 0, n, c, ldc);
}

// Four rows at a time; a missing one is the last row with weights of zero.
struct Four {
  const float* row[4];
  std::size_t count;
  HWY_INLINE Four(const float* y, std::size_t ldy, const std::int32_t* cols, std::size_t j, std::size_t m) {
    count = m - j < 4 ? m - j : 4;
    for (std::size_t i = 0; i < 4; ++i) row[i] = row_of(y, ldy, cols[j + (i < count ? i : count - 1)]);
  }
  HWY_INLINE V load(const float* values) const {
    if (count == 4) return hn::LoadDup128(d, values);
    alignas(16) float padded[4] = {};
    for (std::size_t i = 0; i < count; ++i) padded[i] = values[i];
    return hn::LoadDup128(d, padded);
  }
  HWY_INLINE V dots(std::size_t n, const float* x) const {
    V a0 = hn::Zero(d);
    V a1 = hn::Zero(d);
    V a2 = hn::Zero(d);
    V a3 = hn::Zero(d);
    for (std::size_t k = 0; k < n; k += kLanes) {
      const V xv = hn::Load(d, x + k);
      a0 = hn::MulAdd(hn::LoadU(d, row[0] + k), xv, a0);
      a1 = hn::MulAdd(hn::LoadU(d, row[1] + k), xv, a1);
      a2 = hn::MulAdd(hn::LoadU(d, row[2] + k), xv, a2);
      a3 = hn::MulAdd(hn::LoadU(d, row[3] + k), xv, a3);
    }
    return sum_of_four(a0, a1, a2, a3);
  }
  HWY_INLINE void add_to(V w, std::size_t n, float* r) const {
    const V w0 = hn::Broadcast<0>(w);
    const V w1 = hn::Broadcast<1>(w);
    const V w2 = hn::Broadcast<2>(w);
    const V w3 = hn::Broadcast<3>(w);
    for (std::size_t k = 0; k < n; k += kLanes) {
      V s = hn::MulAdd(w0, hn::LoadU(d, row[0] + k), hn::Load(d, r + k));
      s = hn::MulAdd(w1, hn::LoadU(d, row[1] + k), s);
      s = hn::MulAdd(w2, hn::LoadU(d, row[2] + k), s);
      s = hn::MulAdd(w3, hn::LoadU(d, row[3] + k), s);
      hn::Store(s, d, r + k);
    }
  }
};

HWY_INLINE void prefetch_rows(const float* y, std::size_t ldy, std::size_t n, const std::int32_t* cols, std::size_t j,
                              std::size_t m) {
  const std::size_t end = j + 4 < m ? j + 4 : m;
  for (; j < end; ++j) {
    const float* row = row_of(y, ldy, cols[j]);
    for (std::size_t k = 0; k < n; k += 16) hwy::Prefetch(row + k);
  }
}

HWY_INLINE void prefetch_row(const float* row, std::size_t n) {
  for (std::size_t k = 0; k < n; k += 16) hwy::Prefetch(row + k);
}

// Rows of kN vectors, two at a time, each read once: it stays in registers between its product with x and its share of r, which
// stays there throughout.
template <std::size_t kN>
HWY_INLINE void residual_in_registers(const float* y, std::size_t ldy, const std::int32_t* cols, const float* add, const float* weight,
                                      std::size_t m, const float* x, float* r, const std::int32_t* ahead, std::size_t num_ahead) {
  constexpr std::size_t kFloats = kN * kLanes;
  V rv[kN];
  for (std::size_t k = 0; k < kN; ++k) rv[k] = hn::Load(d, r + k * kLanes);
  for (std::size_t j = 0; j < m; j += 2) {
    if (j < num_ahead) prefetch_row(row_of(y, ldy, ahead[j]), kFloats);
    if (j + 1 < num_ahead) prefetch_row(row_of(y, ldy, ahead[j + 1]), kFloats);
    // A missing second row is the first with a weight of zero.
    const bool both = j + 1 < m;
    const float* row_a = row_of(y, ldy, cols[j]);
    const float* row_b = both ? row_of(y, ldy, cols[j + 1]) : row_a;
    V a[kN];
    V b[kN];
    V dot_a[2] = {hn::Zero(d), hn::Zero(d)};
    V dot_b[2] = {hn::Zero(d), hn::Zero(d)};
    for (std::size_t k = 0; k < kN; ++k) {
      a[k] = hn::LoadU(d, row_a + k * kLanes);
      b[k] = hn::LoadU(d, row_b + k * kLanes);
      const V xv = hn::Load(d, x + k * kLanes);
      dot_a[k % 2] = hn::MulAdd(a[k], xv, dot_a[k % 2]);
      dot_b[k % 2] = hn::MulAdd(b[k], xv, dot_b[k % 2]);
    }
    const float sum_a = hn::GetLane(hn::SumOfLanes(d, hn::Add(dot_a[0], dot_a[1])));
    const float sum_b = hn::GetLane(hn::SumOfLanes(d, hn::Add(dot_b[0], dot_b[1])));
    const V wa = hn::Set(d, add[j] - weight[j] * sum_a);
    const V wb = hn::Set(d, both ? add[j + 1] - weight[j + 1] * sum_b : 0.0f);
    for (std::size_t k = 0; k < kN; ++k) rv[k] = hn::MulAdd(wb, b[k], hn::MulAdd(wa, a[k], rv[k]));
  }
  for (std::size_t k = 0; k < kN; ++k) hn::Store(rv[k], d, r + k * kLanes);
}

void residual(const float* y, std::size_t ldy, std::size_t n, const std::int32_t* cols, const float* add,
              const float* weight, std::size_t m, const float* x, float* r, const std::int32_t* ahead, std::size_t num_ahead) {
  if constexpr (kLanes == 16) {  // where 32 registers hold two rows of 128 floats beside r
    switch (n / kLanes) {
      case 1: return residual_in_registers<1>(y, ldy, cols, add, weight, m, x, r, ahead, num_ahead);
      case 2: return residual_in_registers<2>(y, ldy, cols, add, weight, m, x, r, ahead, num_ahead);
      case 3: return residual_in_registers<3>(y, ldy, cols, add, weight, m, x, r, ahead, num_ahead);
      case 4: return residual_in_registers<4>(y, ldy, cols, add, weight, m, x, r, ahead, num_ahead);
      case 5: return residual_in_registers<5>(y, ldy, cols, add, weight, m, x, r, ahead, num_ahead);
      case 6: return residual_in_registers<6>(y, ldy, cols, add, weight, m, x, r, ahead, num_ahead);
      case 7: return residual_in_registers<7>(y, ldy, cols, add, weight, m, x, r, ahead, num_ahead);
      case 8: return residual_in_registers<8>(y, ldy, cols, add, weight, m, x, r, ahead, num_ahead);
      default: break;
    }
  }
  for (std::size_t j = 0; j < m; j += 4) {
    for (std::size_t i = j; i < j + 4 && i < num_ahead; ++i) prefetch_row(row_of(y, ldy, ahead[i]), n);
    const Four rows(y, ldy, cols, j, m);
    rows.add_to(hn::NegMulAdd(rows.load(weight + j), rows.dots(n, x), rows.load(add + j)), n, r);
  }
}

void dots(const float* y, std::size_t ldy, std::size_t n, const std::int32_t* cols, std::size_t m, const float* x,
          float* s) {
  for (std::size_t j = 0; j < m; j += 4) {
    prefetch_rows(y, ldy, n, cols, j + 8, m);
    const Four rows(y, ldy, cols, j, m);
    HWY_ALIGN float sums[kLanes];
    hn::Store(rows.dots(n, x), d, sums);
    for (std::size_t i = 0; i < rows.count; ++i) s[j + i] += sums[i];
  }
}

void gather(const float* y, std::size_t ldy, std::size_t width, const std::int32_t* cols, const float* add,
            const float* weight, std::size_t m, std::size_t n, float* plain, float* scaled, float* rhs) {
  const std::size_t whole = width / kLanes * kLanes;
  for (std::size_t j = 0; j < m; ++j) {
    if (j + 2 < m) {
      const float* ahead = row_of(y, ldy, cols[j + 2]);
      for (std::size_t k = 0; k < width; k += 16) hwy::Prefetch(ahead + k);
    }
    const float* row = row_of(y, ldy, cols[j]);
    const V w = hn::Set(d, weight[j]);
    const V a = hn::Set(d, add[j]);
    float* p = plain + j * n;
    float* s = scaled + j * n;
    for (std::size_t k = 0; k < whole; k += kLanes) {
      const V v = hn::LoadU(d, row + k);
      hn::Store(v, d, p + k);
      hn::Store(hn::Mul(w, v), d, s + k);
      hn::Store(hn::MulAdd(a, v, hn::Load(d, rhs + k)), d, rhs + k);
    }
    for (std::size_t k = whole; k < n; ++k) {
      const float v = k < width ? row[k] : 0.0f;
      p[k] = v;
      s[k] = weight[j] * v;
      rhs[k] += add[j] * v;
    }
  }
}

float cg_step(float* x, float* r, float* p, float* q, std::size_t n, const float* diagonal, float ridge, const float* inverse,
              float rz) {
  const V rv = hn::Set(d, ridge);
  V sum = hn::Zero(d);
  for (std::size_t k = 0; k < n; k += kLanes) {
    const V pv = hn::Load(d, p + k);
    const V qv = hn::MulAdd(hn::Add(rv, hn::Load(d, diagonal + k)), pv, hn::Load(d, q + k));
    hn::Store(qv, d, q + k);
    sum = hn::MulAdd(pv, qv, sum);
  }
  const float pq = hn::GetLane(hn::SumOfLanes(d, sum));
  if (!(pq > 0)) return 0;
  const V step = hn::Set(d, rz / pq);
  V norm = hn::Zero(d);
  for (std::size_t k = 0; k < n; k += kLanes) {
    hn::Store(hn::MulAdd(step, hn::Load(d, p + k), hn::Load(d, x + k)), d, x + k);
    const V next = hn::NegMulAdd(step, hn::Load(d, q + k), hn::Load(d, r + k));
    hn::Store(next, d, r + k);
    norm = hn::MulAdd(hn::Mul(hn::Load(d, inverse + k), next), next, norm);
  }
  const float after = hn::GetLane(hn::SumOfLanes(d, norm));
  const V beta = hn::Set(d, after / rz);
  for (std::size_t k = 0; k < n; k += kLanes)
    hn::Store(hn::MulAdd(beta, hn::Load(d, p + k), hn::Mul(hn::Load(d, inverse + k), hn::Load(d, r + k))), d, p + k);
  return after;
}

float cg_start(const float* x, float* r, float* p, float* inverse, std::size_t n, const float* diagonal, float ridge, float least) {
  const V rv = hn::Set(d, ridge);
  const V lv = hn::Set(d, least);
  const V one = hn::Set(d, 1.0f);
  V norm = hn::Zero(d);
  for (std::size_t k = 0; k < n; k += kLanes) {
    const V entry = hn::Add(rv, hn::Load(d, diagonal + k));
    const V v = hn::NegMulAdd(entry, hn::Load(d, x + k), hn::Load(d, r + k));
    const V i = hn::Div(one, hn::Max(entry, lv));
    const V z = hn::Mul(i, v);
    hn::Store(v, d, r + k);
    hn::Store(i, d, inverse + k);
    hn::Store(z, d, p + k);
    norm = hn::MulAdd(v, z, norm);
  }
  return hn::GetLane(hn::SumOfLanes(d, norm));
}

// Rows of a pivot block: as many as stay in registers while one column of vectors is eliminated.
constexpr std::size_t kBlock = kLanes == 16 ? 16 : 8;

std::size_t cholesky(float* a, std::size_t lda, std::size_t n) {
  for (std::size_t kb = 0; kb < n; kb += kBlock) {
    float inverse[kBlock];
    float* block = a + kb * lda + kb;
    // The block on the diagonal.
    for (std::size_t k = 0; k < kBlock; ++k) {
      float* pivot = block + k * lda;
      const float value = pivot[k];
      // Neither NaN nor infinity passes.
      if (!(value > 0) || !(value < 3.0e38f)) return kb + k;
      inverse[k] = 1.0f / hn::GetLane(hn::Sqrt(hn::Set(d, value)));
      const V scale = hn::Set(d, inverse[k]);
      for (std::size_t j = 0; j < kBlock; j += kLanes) hn::Store(hn::Mul(scale, hn::Load(d, pivot + j)), d, pivot + j);
      for (std::size_t i = k + 1; i < kBlock; ++i) {
        const V factor = hn::Set(d, pivot[i]);
        for (std::size_t j = i / kLanes * kLanes; j < kBlock; j += kLanes)
          hn::Store(hn::NegMulAdd(factor, hn::Load(d, pivot + j), hn::Load(d, block + i * lda + j)), d,
                    block + i * lda + j);
      }
    }
    // The rows right of it: U12 = U11^-T A12, a column of vectors at a time.
    for (std::size_t j = kBlock; kb + j < n; j += kLanes) {
      V v[kBlock];
#pragma GCC unroll 16
      for (std::size_t k = 0; k < kBlock; ++k) v[k] = hn::Load(d, block + k * lda + j);
#pragma GCC unroll 16
      for (std::size_t k = 0; k < kBlock; ++k) {
        v[k] = hn::Mul(v[k], hn::Set(d, inverse[k]));
        hn::Store(v[k], d, block + k * lda + j);
#pragma GCC unroll 16
        for (std::size_t i = k + 1; i < kBlock; ++i) v[i] = hn::NegMulAdd(hn::Set(d, block[k * lda + i]), v[k], v[i]);
      }
    }
    // What remains: A22 -= U12^T U12.
    rank_rows<true>(a + kb * lda, a + kb * lda, lda, kBlock, kb + kBlock, n, a, lda);
  }
  return n;
}

void solve(const float* u, std::size_t lda, std::size_t n, float* b) {
  for (std::size_t k = 0; k < n; ++k) {
    const float* row = u + k * lda;
    b[k] /= row[k];
    const float value = b[k];
    const V v = hn::Set(d, value);
    // The vector that holds the diagonal also touches what is done already, or what lies below it: put that back.
    const std::size_t next = (k / kLanes + 1) * kLanes;
    for (std::size_t j = k + 1; j < next; ++j) b[j] -= value * row[j];
    for (std::size_t j = next; j < n; j += kLanes)
      hn::Store(hn::NegMulAdd(v, hn::Load(d, row + j), hn::Load(d, b + j)), d, b + j);
  }
  for (std::size_t k = n; k-- > 0;) {
    const float* row = u + k * lda;
    const std::size_t next = (k / kLanes + 1) * kLanes;
    float s = b[k] - (next < n ? dot(row + next, b + next, n - next) : 0.0f);
    for (std::size_t j = k + 1; j < next; ++j) s -= row[j] * b[j];
    b[k] = s / row[k];
  }
}

}  // namespace

const AlsTable als_table{multiply, rank_update, residual, dots, gather, cg_step, cg_start, cholesky, solve};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
