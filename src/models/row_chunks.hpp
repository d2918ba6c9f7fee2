// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/core/csr_matrix.hpp"

namespace etalage::detail {

/// Some rows of a sparse matrix, one behind the other, as a chunk of a parallel loop makes them.
struct RowChunk {
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  std::vector<std::int64_t> sizes;  ///< of the rows
};

/// The matrix [rows x cols] of all chunks, which are emptied; rows behind the last one made are empty.
inline CsrMatrix joined(std::vector<RowChunk>& chunks, std::size_t rows, std::int64_t cols, int num_threads) {
  CsrMatrix out{static_cast<std::int64_t>(rows), cols, Array<std::int64_t>(rows + 1), {}, {}};
  std::int64_t* offsets = out.offsets.mutable_data();
  std::size_t row = 0;
  std::vector<std::size_t> first{0};
  for (const RowChunk& c : chunks) {
    for (const std::int64_t size : c.sizes) {
      offsets[row + 1] = offsets[row] + size;
      ++row;
    }
    first.push_back(first.back() + c.columns.size());
  }
  std::fill(offsets + row, offsets + rows + 1, offsets[row]);
  out.columns = Array<std::int32_t>(static_cast<std::size_t>(offsets[rows]), uninitialized);
  out.values = Array<float>(static_cast<std::size_t>(offsets[rows]), uninitialized);
  std::int32_t* columns = out.columns.mutable_data();
  float* values = out.values.mutable_data();
  parallel_for(chunks.size(), 16, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t c = begin; c < end; ++c) {
      std::copy(chunks[c].columns.begin(), chunks[c].columns.end(), columns + first[c]);
      std::copy(chunks[c].values.begin(), chunks[c].values.end(), values + first[c]);
      chunks[c] = {};
    }
  });
  return out;
}

}  // namespace etalage::detail
