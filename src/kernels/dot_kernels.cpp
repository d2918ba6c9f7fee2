// SPDX-License-Identifier: Apache-2.0
#include "kernels/dot_kernels.hpp"

#include "kernels/scan_vec.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

constexpr std::size_t kChains = 2;  // sums a row, so that one row alone does not wait for each addition

struct Product {
  static HWY_INLINE V step(V a, V b, V sum) { return mul_add(a, b, sum); }
};
struct SquaredDifference {
  static HWY_INLINE V step(V a, V b, V sum) {
    const V difference = sub(a, b);
    return mul_add(difference, difference, sum);
  }
};

template <class Step, std::size_t kRows>
HWY_INLINE void reduce(const float* query, const float* const* rows, std::size_t dim, float* out) {
  V sums[kRows][kChains];
  for (std::size_t r = 0; r < kRows; ++r)
    for (std::size_t c = 0; c < kChains; ++c) sums[r][c] = zero();
  std::size_t f = 0;
  for (; f + kChains * kLanes <= dim; f += kChains * kLanes)
    for (std::size_t c = 0; c < kChains; ++c) {
      const V q = load(query + f + c * kLanes);
      for (std::size_t r = 0; r < kRows; ++r) sums[r][c] = Step::step(q, load(rows[r] + f + c * kLanes), sums[r][c]);
    }
  if (f + kLanes <= dim) {
    const V q = load(query + f);
    for (std::size_t r = 0; r < kRows; ++r) sums[r][0] = Step::step(q, load(rows[r] + f), sums[r][0]);
    f += kLanes;
  }
  if (f < dim) {  // the rest, padded with zeros
    float q[kLanes] = {};
    float row[kLanes] = {};
    for (std::size_t i = 0; f + i < dim; ++i) q[i] = query[f + i];
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t i = 0; f + i < dim; ++i) row[i] = rows[r][f + i];
      sums[r][1] = Step::step(load(q), load(row), sums[r][1]);
    }
  }
  for (std::size_t r = 0; r < kRows; ++r) out[r] = sum(add(sums[r][0], sums[r][1]));
}

template <class Step>
float one(const float* a, const float* b, std::size_t dim) {
  float out = 0;
  reduce<Step, 1>(a, &b, dim, &out);
  return out;
}

template <class Step>
void many(const float* query, const float* const* rows, std::size_t n, std::size_t dim, float* out) {
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) reduce<Step, 4>(query, rows + i, dim, out + i);
  for (; i < n; ++i) reduce<Step, 1>(query, rows + i, dim, out + i);
}

}  // namespace

extern const DotTable dot_table;
const DotTable dot_table = {one<Product>, one<SquaredDifference>, many<Product>, many<SquaredDifference>};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
