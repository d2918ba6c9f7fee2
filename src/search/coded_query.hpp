// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>


#include "search/kernel_names.hpp"

namespace etalage::search {

/// Two float32 sums of a product of `dim` terms, in whatever order, are within gamma |q| |x| of each other.
constexpr double rounding_gamma(std::size_t dim) noexcept { return static_cast<double>(dim + 32) * 0x1p-23; }

/// A query against rows in codes. Scores are counted in `step`, which keeps the terms of a row free of the query:
/// q.x / step, or (q.x - |x|^2 / 2) / step for the squared distance. The bounds are proven: with q = step d + e and
/// x = scale c + r, |q.x - step scale d.c| <= step |d| |r| + |e| |x|; float32 sums in any order, and the arithmetic of
/// the scan itself, are within gamma |q| |x|, rounding_gamma(), which is added.
struct CodedQuery {
  CodeTerms terms;        ///< gives upper bounds
  float step = 1;
  float norm2 = 0;        ///< |q|^2
  float gamma = 0;
  bool distance = false;  ///< the squared distance

  /// Terms of the plain estimate, without bounds.
  [[nodiscard]] CodeTerms estimate() const noexcept {
    CodeTerms t = terms;
    t.per_error = t.per_norm = 0;
    return t;
  }
  /// What upper and lower bounds of a distance have to be widened by, beside what the terms hold.
  [[nodiscard]] float constant() const noexcept { return distance ? gamma * norm2 / step : 0; }
  [[nodiscard]] float widening(float row_norm2) const noexcept { return distance ? 2 * gamma * row_norm2 / step : 0; }
  /// A float32 score in steps, rounded down; always finite, so that a row without bounds is above it.
  [[nodiscard]] float lowest(float score) const noexcept {
    constexpr float kMost = 3e38f;
    float v = 0;
    if (distance) {
      v = (score + norm2) / (2 * step) - (norm2 - score) / step * 1e-6f;
    } else {
      v = score / step;
      v -= (v < 0 ? -v : v) * 2.4e-7f;
    }
    return v < kMost ? v : kMost;
  }
};

/// Fills `codes` [shape.width] and `out`. False for a query that is zero, out of range or not finite.
bool encode_query(const float* query, const CodeShape& shape, int query_max, bool distance, std::int8_t* codes,
                  CodedQuery& out) noexcept;

/// A stored row as a query, from its codes alone, for estimates: without bounds. False for a row without a scale.
bool query_of_record(const std::uint8_t* record, const CodeShape& shape, int query_max, bool distance, std::int8_t* codes,
                     CodedQuery& out) noexcept;

}  // namespace etalage::search
