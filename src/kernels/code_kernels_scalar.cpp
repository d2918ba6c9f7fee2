// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/code_kernels.hpp"

namespace etalage::kernels::scalar {
namespace {

constexpr std::size_t kPanel = 16;
constexpr std::size_t kGroup = 4;

void encode(const float* row, const CodeShape& shape, std::uint8_t* record) {
  double largest = 0;
  bool coded = true;
  for (std::size_t f = 0; f < shape.dim; ++f) {
    coded = coded && std::abs(row[f]) < kMostCoded;
    largest = std::max(largest, std::abs(static_cast<double>(row[f])));
  }
  std::memset(record, 128, shape.width);
  CodeTail tail = {0, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity(), 0};
  if (coded) {
    tail.scale = largest < 1e-30 ? 0 : static_cast<float>(largest) / 127;
    double error2 = 0;
    double norm2 = 0;
    for (std::size_t f = 0; f < shape.dim; ++f) {
      const double x = static_cast<double>(row[f]);
      const double code = tail.scale > 0 ? std::nearbyint(x * (127 / largest)) : 0;
      record[f] = static_cast<std::uint8_t>(128 + static_cast<int>(code));
      const double rest = x - static_cast<double>(tail.scale) * code;
      error2 += rest * rest;
      norm2 += x * x;
    }
    tail.error = static_cast<float>(std::sqrt(error2) * (1 + 1e-6) + 1e-30);
    tail.norm = static_cast<float>(std::sqrt(norm2) * (1 + 1e-6) + 1e-30);
    tail.norm2 = static_cast<float>(norm2);
  }
  std::memcpy(record + shape.width, &tail, sizeof tail);
}

void scores(const CodeTerms& terms, const CodeShape& shape, const std::uint8_t* records, const std::int32_t* rows,
            std::size_t first, std::size_t n, float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint8_t* record = records + (rows == nullptr ? first + i : static_cast<std::size_t>(rows[i])) * shape.stride;
    std::int32_t dot = terms.correction;
    for (std::size_t f = 0; f < shape.width; ++f) dot += static_cast<std::int32_t>(record[f]) * terms.codes[f];
    CodeTail tail;
    std::memcpy(&tail, record + shape.width, sizeof tail);
    const float bounds = tail.error * terms.per_error + tail.norm * terms.per_norm;
    out[i] = static_cast<float>(dot) * tail.scale + bounds + tail.norm2 * terms.per_norm2;
  }
}

// The upper bound of row i for query q, and how far the lower one lies below.
float upper_bound(const CodePanel& panel, const CodeBlock& block, std::size_t q, std::size_t i, float& width) {
  const CodeTerms* group = block.terms + q / kGroup * kGroup;
  float per_error = 0;
  float per_norm = 0;
  for (std::size_t r = 0; r < kGroup; ++r) {
    per_error = std::max(per_error, group[r].per_error);
    per_norm = std::max(per_norm, group[r].per_norm);
  }
  std::int32_t dot = block.terms[q].correction;
  for (std::size_t f = 0; f < panel.width; ++f)
    dot += static_cast<std::int32_t>(panel.codes[f / 4 * 4 * kPanel + 4 * i + f % 4]) *
           block.terms[q].codes[f];
  const float wide = panel.error[i] * per_error + panel.norm[i] * per_norm;
  width = 2 * wide;
  const float upper = static_cast<float>(dot) * panel.scale[i] + wide;
  return panel.norm2 == nullptr ? upper : upper + panel.norm2[i] * block.terms[q].per_norm2;
}

void scan_panel(const CodePanel& panel, const CodeBlock& block) {
  for (std::size_t q = 0; q < block.num_queries; ++q)
    for (std::size_t i = 0; i < panel.valid; ++i) {
      float width = 0;
      const float upper = upper_bound(panel, block, q, i, width);
      if (upper > block.thresholds[q])
        block.found[q][block.counts[q]++] = {upper, upper - width, std::numeric_limits<float>::quiet_NaN(), panel.indices[i]};
    }
}

void score_panel(const CodePanel& panel, const CodeBlock& block, float* out, std::size_t stride) {
  float width = 0;
  for (std::size_t q = 0; q < block.num_queries; ++q)
    for (std::size_t i = 0; i < kPanel; ++i) out[q * stride + i] = upper_bound(panel, block, q, i, width);
}

}  // namespace

const CodeTable plain_code_table = {127, kPanel, kGroup, encode, scores, scan_panel, score_panel};

}  // namespace etalage::kernels::scalar
