// SPDX-License-Identifier: Apache-2.0
#include "search/coded_query.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace etalage::search {

namespace {

constexpr std::size_t kLanes = 8;

/// Sums of a query's codes, a lane of dimensions each: no chain is long, and compilers make vectors of them.
struct QuerySums {
  std::int32_t codes[kLanes] = {};
  std::int32_t squares[kLanes] = {};
  double error2[kLanes] = {};
  double norm2[kLanes] = {};

  inline __attribute__((always_inline)) void add(const float* x, float inverse, float step, std::int8_t* to) noexcept {
    constexpr float kWhole = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    for (std::size_t l = 0; l < kLanes; ++l) {
      const float moved = x[l] * inverse + kWhole;
      std::int32_t bits = 0;
      std::memcpy(&bits, &moved, sizeof bits);
      const std::int32_t code = bits - 0x4B400000;
      to[l] = static_cast<std::int8_t>(code);
      codes[l] += code;
      squares[l] += code * code;
      const double exact = static_cast<double>(x[l]);
      const double rest = exact - static_cast<double>(step) * static_cast<double>(code);
      error2[l] += rest * rest;
      norm2[l] += exact * exact;
    }
  }
};

template <class T>
double total(const T* lanes) noexcept {
  double sum = 0;
  for (std::size_t l = 0; l < kLanes; ++l) sum += static_cast<double>(lanes[l]);
  return sum;
}

}  // namespace

bool encode_query(const float* query, const CodeShape& shape, int query_max, bool distance, std::int8_t* codes,
                  CodedQuery& out) noexcept {
  const std::size_t whole = shape.dim / kLanes * kLanes;
  float last[kLanes] = {};
  for (std::size_t f = whole; f < shape.dim; ++f) last[f - whole] = query[f];
  // As bits the magnitudes order as they do as numbers, and what is not finite is the largest.
  std::uint32_t tops[kLanes] = {};
  const auto widen = [&](const float* x) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, x + l, sizeof bits);
      bits &= 0x7FFFFFFFu;
      tops[l] = bits > tops[l] ? bits : tops[l];
    }
  };
  for (std::size_t f = 0; f < whole; f += kLanes) widen(query + f);
  widen(last);
  const std::uint32_t top = *std::max_element(tops, tops + kLanes);
  float largest = 0;
  std::memcpy(&largest, &top, sizeof largest);
  if (!(largest > 1e-10f) || !(largest < kMostCoded)) return false;
  const float step = largest / static_cast<float>(query_max);
  const float inverse = static_cast<float>(query_max) / largest;
  QuerySums sums;
  for (std::size_t f = 0; f < whole; f += kLanes) sums.add(query + f, inverse, step, codes + f);
  if (whole < shape.width) {
    std::memset(codes + whole, 0, shape.width - whole);
    sums.add(last, inverse, step, codes + whole);
  }
  const auto sum = static_cast<std::int32_t>(total(sums.codes));
  const double steps2 = total(sums.squares);
  const double error2 = total(sums.error2);
  const double norm2 = total(sums.norm2);
  const double gamma = rounding_gamma(shape.dim);
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

}  // namespace etalage::search
