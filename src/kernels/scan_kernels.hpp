// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// Rows of one panel, in lanes: the inner loop of a batch runs over them.
struct ScanPanel {
  const float* data = nullptr;             ///< [dim x panel], made by pack_rows()
  std::size_t valid = 0;                   ///< rows that are meant, <= panel
  std::size_t dim = 0;
  const std::uint32_t* indices = nullptr;  ///< [panel] what the rows are called in the keys
  const float* scale = nullptr;            ///< [panel] or null
  const float* offset = nullptr;           ///< [panel] or null
};

/// The queries of one block and where their survivors go; entries beyond num_queries up to the next multiple of the
/// group exist and have the threshold +infinity.
struct ScanBlock {
  const float* packed = nullptr;      ///< [groups x dim x group], made by pack_queries()
  std::size_t num_queries = 0;
  const float* thresholds = nullptr;  ///< [groups x group]
  std::uint64_t** keys = nullptr;     ///< [groups x group] buffers with room for a panel
  std::size_t* counts = nullptr;      ///< [groups x group]
};

/// Scores of rows against queries. A score is one chain of multiply-adds over the dimensions in ascending order, from
/// +0, one pair a lane; then times scale, plus offset. Every entry of a table uses that order, so the single and the
/// blocked scan agree bit for bit, and levels with fused multiply-add agree with one another.
///
/// Arrays of row pointers are padded by repeating a valid pointer up to the next multiple of `panel`, and arrays of
/// results have room for as many. Rows need no alignment.
struct ScanTable {
  std::size_t panel;  ///< rows of a panel, <= 64
  std::size_t group;  ///< queries of a group
  /// out[n rounded up to a multiple of panel]; scale and offset [n rounded up] or null.
  void (*score_rows)(const float* const* rows, std::size_t n, const float* query, std::size_t dim, const float* scale,
                     const float* offset, float* out);
  /// out [dim x panel], 64-byte aligned.
  void (*pack_rows)(const float* const* rows, std::size_t dim, float* out);
  /// out [dim x group]; queries [group], padded by repetition.
  void (*pack_queries)(const float* const* queries, std::size_t dim, float* out);
  /// Appends the keys (rank_key.hpp) of all scores above their query's threshold, rows in order.
  void (*scan_panel)(const ScanPanel& panel, const ScanBlock& block);
  /// Appends the keys of scores[i] > threshold under the index base + i; returns how many.
  std::size_t (*collect)(const float* scores, std::size_t n, std::uint32_t base, float threshold, std::uint64_t* keys);
};

ETALAGE_DECLARE_KERNELS(ScanTable, scan)

}  // namespace etalage::kernels
