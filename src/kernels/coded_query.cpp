// SPDX-License-Identifier: Apache-2.0
#include "kernels/coded_query.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace etalage::kernels {

bool encode_query(const float* query, const CodeShape& shape, int query_max, bool distance, std::int8_t* codes,
                  CodedQuery& out) noexcept {
  float largest = 0;
  bool finite = true;
  for (std::size_t f = 0; f < shape.dim; ++f) {
    finite = finite && std::isfinite(query[f]);
    largest = std::max(largest, std::abs(query[f]));
  }
  if (!finite || !(largest > 1e-10f) || !(largest < kMostCoded)) return false;
  const float step = largest / static_cast<float>(query_max);
  std::int32_t sum = 0;
  double steps2 = 0;
  double error2 = 0;
  double norm2 = 0;
  for (std::size_t f = 0; f < shape.width; ++f) {
    if (f >= shape.dim) {
      codes[f] = 0;
      continue;
    }
    const auto x = static_cast<double>(query[f]);
    const auto code = std::clamp(static_cast<int>(std::lrint(query[f] / step)), -query_max, query_max);
    codes[f] = static_cast<std::int8_t>(code);
    sum += code;
    steps2 += static_cast<double>(code * code);
    const double rest = x - static_cast<double>(step) * code;
    error2 += rest * rest;
    norm2 += x * x;
  }
  const double gamma = static_cast<double>(shape.dim + 32) * 0x1p-23;
  out.step = step;
  out.norm2 = static_cast<float>(norm2);
  out.gamma = static_cast<float>(gamma);
  out.distance = distance;
  out.terms.codes = codes;
  out.terms.correction = -128 * sum;
  out.terms.per_error = static_cast<float>(std::sqrt(steps2) * (1 + 1e-6));
  out.terms.per_norm = static_cast<float>((std::sqrt(error2) + gamma * std::sqrt(norm2)) / static_cast<double>(step) * (1 + 1e-6));
  out.terms.per_norm2 = distance ? (-0.5f + out.gamma) / step : 0;
  return true;
}

bool query_of_record(const std::uint8_t* record, const CodeShape& shape, int query_max, bool distance, std::int8_t* codes,
                     CodedQuery& out) noexcept {
  CodeTail tail;
  std::memcpy(&tail, record + shape.width, sizeof tail);
  if (!(tail.scale > 0)) return false;
  const bool halved = query_max < 127;  // halves are rounded away from zero, 127 to 63
  std::int32_t sum = 0;
  for (std::size_t f = 0; f < shape.width; ++f) {
    int code = static_cast<int>(record[f]) - 128;
    if (halved) code = std::clamp((code + (code > 0) - (code < 0)) / 2, -query_max, query_max);
    codes[f] = static_cast<std::int8_t>(code);
    sum += code;
  }
  out = {};
  out.step = halved ? 2 * tail.scale : tail.scale;
  out.norm2 = tail.norm2;
  out.distance = distance;
  out.terms.codes = codes;
  out.terms.correction = -128 * sum;
  out.terms.per_norm2 = distance ? -0.5f / out.step : 0;
  return true;
}

}  // namespace etalage::kernels
