// SPDX-License-Identifier: Apache-2.0
// Rows into codes. Included by kernel files only: plain loops over sixteen lanes, which the compiler turns into vectors
// of the level that the file is compiled for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/code_kernels.hpp"

namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

constexpr std::size_t kCodeLanes = 16;

inline __attribute__((always_inline)) void encode_lanes(const float* x, float inverse, float scale, std::uint8_t* codes,
                                                        float* errors2, float* norms2) {
  constexpr float kWhole = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  for (std::size_t l = 0; l < kCodeLanes; ++l) {
    const float moved = x[l] * inverse + kWhole;
    const std::int32_t bits = __builtin_bit_cast(std::int32_t, moved);
    codes[l] = static_cast<std::uint8_t>(bits - 0x4B400000 + 128);
    const float rest = x[l] - scale * (moved - kWhole);
    errors2[l] += rest * rest;
    norms2[l] += x[l] * x[l];
  }
}

inline __attribute__((always_inline)) void widen_lanes(const float* x, std::uint32_t* most) {
  for (std::size_t l = 0; l < kCodeLanes; ++l) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x[l]) & 0x7FFFFFFFu;
    most[l] = bits > most[l] ? bits : most[l];
  }
}

void encode(const float* row, const CodeShape& shape, std::uint8_t* record) {
  const std::size_t whole = shape.dim / kCodeLanes * kCodeLanes;
  float last[kCodeLanes] = {};
  for (std::size_t f = whole; f < shape.dim; ++f) last[f - whole] = row[f];
  std::uint32_t most[kCodeLanes] = {};
  for (std::size_t f = 0; f < whole; f += kCodeLanes) widen_lanes(row + f, most);
  widen_lanes(last, most);
  std::uint32_t top = 0;
  for (const std::uint32_t m : most) top = m > top ? m : top;
  const float largest = __builtin_bit_cast(float, top);

  CodeTail tail = {};
  if (!(largest < kMostCoded)) {
    __builtin_memset(record, 128, shape.width);
    tail = {0, __builtin_inff(), __builtin_inff(), 0};
  } else {
    // Rows too short for a scale are all error.
    const bool tiny = largest < 1e-30f;
    tail.scale = tiny ? 0 : largest / 127;
    const float inverse = tiny ? 0 : 127 / largest;
    float errors2[kCodeLanes] = {};
    float norms2[kCodeLanes] = {};
    for (std::size_t f = 0; f < whole; f += kCodeLanes) encode_lanes(row + f, inverse, tail.scale, record + f, errors2, norms2);
    if (whole < shape.width) encode_lanes(last, inverse, tail.scale, record + whole, errors2, norms2);
    double error2 = 0;
    double norm2 = 0;
    for (std::size_t l = 0; l < kCodeLanes; ++l) {
      error2 += static_cast<double>(errors2[l]);
      norm2 += static_cast<double>(norms2[l]);
    }
    // Rounded up by more than the sums above can be off, and by what vanishes below the smallest float.
    const double slack = 1 + static_cast<double>(shape.dim + 8) * 1.2e-7;
    const double vanished = norm2 < 1e-20 ? 1e-18 * static_cast<double>(shape.dim) : 0;
    const double norm = __builtin_sqrt(norm2) * slack + vanished;
    tail.norm = static_cast<float>(norm);
    tail.error = static_cast<float>(__builtin_sqrt(error2) * slack + 2.4e-7 * norm + vanished);
    tail.norm2 = static_cast<float>(norm2);
  }
  __builtin_memcpy(record + shape.width, &tail, sizeof tail);
}

}  // namespace
}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
