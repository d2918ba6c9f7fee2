// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/item_filter.hpp"

namespace etalage::kernels {

/// Row-major float32 rows that are scored against a query: score = dot(query, row) * scale[row] + offset[row].
/// Indices of rows are at most 2^31 - 1.
struct ScoredRows {
  const float* data = nullptr;    ///< [rows x stride], the first dim of each row count
  std::size_t rows = 0;
  std::size_t dim = 0;
  std::size_t stride = 0;         ///< >= dim
  const float* scale = nullptr;   ///< [rows]; null means 1
  const float* offset = nullptr;  ///< [rows]; null means 0
};

/// One question put to the rows.
struct ScanRequest {
  const float* query = nullptr;            ///< [dim]
  std::size_t k = 0;
  std::span<const std::int32_t> excluded = {};  ///< sorted and unique
  const ItemFilter* filter = nullptr;      ///< null allows everything
};

/// Working memory of one thread; only grows.
struct ScanWorkspace {
  std::vector<std::uint64_t> keys;
  std::vector<float> scores;
};

/// Exact top k, by descending score and ties by lower index: min(k, allowed and not excluded) keys (rank_key.hpp), best
/// first, valid until the workspace is used again. With a selective allow list only the listed rows are read.
std::span<const std::uint64_t> scan(const ScoredRows& rows, const ScanRequest& request, ScanWorkspace& workspace);

/// The scores that scan() ranks, of the given rows: out [indices.size()], bit for bit.
void score_rows(const ScoredRows& rows, const float* query, std::span<const std::int32_t> indices, float* out) noexcept;

}  // namespace etalage::kernels
