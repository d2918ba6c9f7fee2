// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "kernels/rank_key.hpp"
#include "models/row_chunks.hpp"
#include "models/sequence/sequence_scratch.hpp"
#include "models/sequence/watched_for.hpp"

namespace etalage::detail {

/// A sparse matrix made row by row: fill(i, scores) adds up row i, and of its entries that are not 0 the num_kept largest
/// stay (all with num_kept = 0), sorted by column. Rows are independent, so the result is the same for any number of
/// threads. With a watch, rows behind the place where it stopped are empty.
template <class Fill>
CsrMatrix make_rows(std::size_t rows, std::size_t cols, std::size_t num_kept, int num_threads, const Fill& fill,
                    Watch* watch = nullptr, const char* phase = "rows") {
  const std::size_t grain = watch == nullptr ? 64 : 16;
  struct Workspace {
    SparseScores scores;
    std::vector<std::uint64_t> keys;
  };
  std::vector<RowChunk> chunks(num_chunks(rows, grain));
  std::vector<Workspace> workspaces(static_cast<std::size_t>(resolve_threads(num_threads)));
  const auto make = [&](std::size_t begin, std::size_t end, int thread) {
    Workspace& w = workspaces[static_cast<std::size_t>(thread)];
    RowChunk& chunk = chunks[begin / grain];
    w.scores.resize(cols);
    for (std::size_t i = begin; i < end; ++i) {
      fill(i, w.scores);
      w.scores.sort_touched();
      w.keys.clear();
      for (const std::int32_t j : w.scores.touched())
        if (w.scores[j] != 0.0f) w.keys.push_back(kernels::rank_key(w.scores[j], static_cast<std::uint32_t>(j)));
      if (num_kept != 0 && w.keys.size() > num_kept) {
        std::nth_element(w.keys.begin(), w.keys.begin() + static_cast<std::ptrdiff_t>(num_kept), w.keys.end(), std::greater<>());
        w.keys.resize(num_kept);
        std::sort(w.keys.begin(), w.keys.end(),
                  [](std::uint64_t a, std::uint64_t b) { return kernels::key_index(a) < kernels::key_index(b); });
      }
      for (const std::uint64_t key : w.keys) {
        chunk.columns.push_back(static_cast<std::int32_t>(kernels::key_index(key)));
        chunk.values.push_back(kernels::key_score(key));
      }
      chunk.sizes.push_back(static_cast<std::int64_t>(w.keys.size()));
      w.scores.clear();
    }
  };
  if (watch == nullptr) parallel_for(rows, grain, num_threads, make);
  else (void)watched_for(rows, grain, num_threads, phase, *watch, make);
  return joined(chunks, rows, static_cast<std::int64_t>(cols), num_threads);
}

}  // namespace etalage::detail
