// SPDX-License-Identifier: Apache-2.0
#include "kernels/exact_scan.hpp"

#include <algorithm>

#include "kernels/selection.hpp"

namespace etalage::kernels {
namespace {

constexpr std::size_t kChunk = 256;

float score_one(const ScoredRows& rows, const float* query, std::size_t row) noexcept {
  const float* r = rows.data + row * rows.stride;
  float sum = 0;
  for (std::size_t f = 0; f < rows.dim; ++f) sum += query[f] * r[f];
  if (rows.scale != nullptr) sum *= rows.scale[row];
  if (rows.offset != nullptr) sum += rows.offset[row];
  return sum + 0.0f;
}

}  // namespace

std::span<const std::uint64_t> scan(const ScoredRows& rows, const ScanRequest& request, ScanWorkspace& workspace) {
  const ItemFilter* filter = request.filter;
  if (filter != nullptr && filter->allows_everything()) filter = nullptr;
  std::span<const std::int64_t> listed;
  if (filter != nullptr && filter->has_allow_list()) {
    listed = filter->allowed_ids();
    listed = listed.first(static_cast<std::size_t>(
        std::lower_bound(listed.begin(), listed.end(), static_cast<std::int64_t>(rows.rows)) - listed.begin()));
    if (filter->denied_ids().empty()) filter = nullptr;
    if (listed.empty()) return {};
  }
  const std::size_t n = listed.empty() ? rows.rows : listed.size();
  Selection s;
  s.k = std::min(request.k, n);
  if (s.k == 0) return {};
  if (workspace.keys.size() < Selection::limit(s.k) + kChunk) workspace.keys.resize(Selection::limit(s.k) + kChunk);
  s.keys = workspace.keys.data();
  s.excluded = request.excluded;
  s.filter = filter;
  for (std::size_t begin = 0; begin < n; begin += kChunk) {
    for (std::size_t i = begin; i < std::min(n, begin + kChunk); ++i) {
      const std::size_t row = listed.empty() ? i : static_cast<std::size_t>(listed[i]);
      const float value = score_one(rows, request.query, row);
      if (value > s.threshold) s.keys[s.count++] = rank_key(value, static_cast<std::uint32_t>(row));
    }
    if (s.full()) s.shrink();
  }
  return {s.keys, s.finish()};
}

void score_rows(const ScoredRows& rows, const float* query, std::span<const std::int32_t> indices, float* out) noexcept {
  for (std::size_t i = 0; i < indices.size(); ++i) out[i] = score_one(rows, query, static_cast<std::size_t>(indices[i]));
}

}  // namespace etalage::kernels
