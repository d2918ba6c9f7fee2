// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/item_filter.hpp"
#include "search/best.hpp"
#include "search/coded_memory.hpp"
#include "search/coded_panels.hpp"
#include "search/kernel_names.hpp"
#include "search/longest_rows.hpp"
#include "search/row_order.hpp"

namespace etalage::search {

/// Row-major float32 rows that are scored against a query: score = dot(query, row) * scale[row] + offset[row].
/// Indices of rows are at most 2^31 - 1.
struct ScoredRows {
  const float* data = nullptr;    ///< [rows x stride], the first dim of each row count
  std::size_t rows = 0;
  std::size_t dim = 0;
  std::size_t stride = 0;         ///< >= dim
  const float* scale = nullptr;   ///< [rows]; null means 1
  const float* offset = nullptr;  ///< [rows]; null means 0
  const CodedPanels* panels = nullptr;  ///< of `order`, or null: each block makes its own
  const RowOrder* order = nullptr;  ///< of these rows without scale and offset, for several requests at once; null: as they lie
  const LongestRows* longest = nullptr;  ///< of these rows, for each request by itself; null: none, or many requests share the reads
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
  std::vector<float> queries;
  std::vector<float> panel;
  std::vector<float> thresholds;
  std::vector<std::uint64_t*> buffers;
  std::vector<std::size_t> counts;
  std::vector<std::size_t> order;
  std::vector<char> answered;
  std::vector<std::size_t> live;  ///< requests that a scan by norms has not done with
  std::vector<float> norms;
  std::vector<CodedQuery> live_queries;
  std::vector<std::uint64_t> marks;  ///< a bit a row, all zero between two uses
  std::vector<Best> selections;
  CodedMemory coded;
};

/// Exact top k, by descending score and ties by lower index: min(k, allowed and not excluded) keys (rank_key.hpp), best
/// first, valid until the workspace is used again. With a selective allow list only the listed rows are read; with the
/// longest rows only those that are long enough, as a rule.
std::span<const std::uint64_t> exact_top_k(const ScoredRows& rows, const ScanRequest& request, ScanWorkspace& workspace,
                                           const ScanTable& table = scan());

/// The same for several requests at once, which share each read of the rows; results [requests.size()]. Requests that
/// name the same selective allow list are taken together wherever they stand. With an order of the rows a request is done
/// with as soon as no row that is left is long enough for it. Where the CPU multiplies bytes quickly,
/// many requests are first scored in eight bits with proven bounds; what these cannot exclude is scored as ever, so the
/// results have the same bits.
void exact_top_k(const ScoredRows& rows, std::span<const ScanRequest> requests,
                 std::span<std::span<const std::uint64_t>> results, ScanWorkspace& workspace,
                 const ScanTable& table = scan(), const CodeTable& codes = code());

/// How many requests to hand over at once so that what they need stays in the cache, and so that every thread has some.
std::size_t scan_block_size(std::size_t dim, std::size_t k, std::size_t requests, int threads) noexcept;

/// The scores that exact_top_k() ranks, of the given rows: out [indices.size()], bit for bit.
void exact_scores(const ScoredRows& rows, const float* query, std::span<const std::int32_t> indices, float* out,
                  const ScanTable& table = scan()) noexcept;

}  // namespace etalage::search
