// SPDX-License-Identifier: Apache-2.0
#include "kernels/rank_key.hpp"
#include "kernels/scan_kernels.hpp"

namespace etalage::kernels::scalar {
namespace {

constexpr std::size_t kPanel = 8;
constexpr std::size_t kGroup = 4;

float finish(float dot, const float* scale, const float* offset, std::size_t i) {
  float s = dot;
  if (scale != nullptr) s = s * scale[i];
  if (offset != nullptr) s = s + offset[i];
  return s + 0.0f;
}

void score_rows(const float* const* rows, std::size_t n, const float* query, std::size_t dim, const float* scale,
                const float* offset, float* out) {
  for (std::size_t i = 0; i < n; ++i) {
    float sum = 0;
    for (std::size_t f = 0; f < dim; ++f) sum += query[f] * rows[i][f];
    out[i] = finish(sum, scale, offset, i);
  }
}

void pack_rows(const float* const* rows, std::size_t dim, float* out) {
  for (std::size_t f = 0; f < dim; ++f)
    for (std::size_t i = 0; i < kPanel; ++i) out[f * kPanel + i] = rows[i][f];
}

void pack_queries(const float* const* queries, std::size_t dim, float* out) {
  for (std::size_t f = 0; f < dim; ++f)
    for (std::size_t r = 0; r < kGroup; ++r) out[f * kGroup + r] = queries[r][f];
}

void scan_panel(const ScanPanel& panel, const ScanBlock& block) {
  for (std::size_t q = 0; q < block.num_queries; ++q) {
    const float* query = block.packed + (q / kGroup) * kGroup * panel.dim + q % kGroup;
    for (std::size_t i = 0; i < panel.valid; ++i) {
      float sum = 0;
      for (std::size_t f = 0; f < panel.dim; ++f) sum += query[f * kGroup] * panel.data[f * kPanel + i];
      const float score = finish(sum, panel.scale, panel.offset, i);
      if (score > block.thresholds[q]) block.keys[q][block.counts[q]++] = rank_key(score, panel.indices[i]);
    }
  }
}

std::size_t collect(const float* scores, std::size_t n, std::uint32_t base, float threshold, std::uint64_t* keys) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i)
    if (scores[i] > threshold) keys[count++] = rank_key(scores[i], base + static_cast<std::uint32_t>(i));
  return count;
}

}  // namespace

const ScanTable scan_table = {kPanel, kGroup, score_rows, pack_rows, pack_queries, scan_panel, collect};

}  // namespace etalage::kernels::scalar
