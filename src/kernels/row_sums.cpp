// SPDX-License-Identifier: Apache-2.0
#include "kernels/row_sums.hpp"

#include "kernels/float_vec.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

constexpr std::size_t kAhead = 8;  // rows asked for ahead of time: they are cache misses

template <std::size_t kV>
HWY_INLINE void strip(const float* data, std::size_t stride, const std::int32_t* rows, const float* weights, std::size_t m,
                      float* out) {
  V acc[kV];
  for (std::size_t v = 0; v < kV; ++v) acc[v] = hn::Zero(d);
  for (std::size_t j = 0; j < m; ++j) {
    const float* row = data + static_cast<std::size_t>(rows[j]) * stride;
    if (j + kAhead < m) {
      const float* next = data + static_cast<std::size_t>(rows[j + kAhead]) * stride;
      for (std::size_t f = 0; f < kV * kLanes; f += 16) __builtin_prefetch(next + f);
    }
    const V w = hn::Set(d, weights[j]);
    for (std::size_t v = 0; v < kV; ++v) acc[v] = hn::MulAdd(w, hn::LoadU(d, row + v * kLanes), acc[v]);
  }
  for (std::size_t v = 0; v < kV; ++v) {
    alignas(64) float lanes[kLanes];
    hn::Store(acc[v], d, lanes);
    __builtin_memcpy(out + v * kLanes, lanes, sizeof lanes);
  }
}

// One column in all lanes, so that it is rounded as the columns of a strip are.
HWY_INLINE float column(const float* data, std::size_t stride, const std::int32_t* rows, const float* weights, std::size_t m) {
  V acc = hn::Zero(d);
  for (std::size_t j = 0; j < m; ++j) {
    if (j + kAhead < m) __builtin_prefetch(data + static_cast<std::size_t>(rows[j + kAhead]) * stride);
    acc = hn::MulAdd(hn::Set(d, weights[j]), hn::Set(d, data[static_cast<std::size_t>(rows[j]) * stride]), acc);
  }
  return hn::GetLane(acc);
}

void combine(const float* data, std::size_t stride, std::size_t n, const std::int32_t* rows, const float* weights,
             std::size_t m, float* out) {
  std::size_t f = 0;
  for (; f + 8 * kLanes <= n; f += 8 * kLanes) strip<8>(data + f, stride, rows, weights, m, out + f);
  for (; f + kLanes <= n; f += kLanes) strip<1>(data + f, stride, rows, weights, m, out + f);
  for (; f < n; ++f) out[f] = column(data + f, stride, rows, weights, m);
}

}  // namespace

extern const RowSums row_sums_table;
const RowSums row_sums_table{&combine};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
