// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "kernels/rank_key.hpp"

namespace etalage {

/// W = best entries of each row of left * right, transformed: row i holds the num_kept largest of
/// value(i, j, (left * right)(i, j)) over the j that the product touches, j != i; entries that come out as 0 or below
/// are dropped. left [n x m] and right [m x n] are sparse. Rows are independent and each is summed in the order of
/// left's row, so the result is the same for any number of threads.
template <class Value>
CsrMatrix top_product(const CsrView& left, const CsrView& right, std::size_t num_kept, int num_threads, const Value& value) {
  const auto n = static_cast<std::size_t>(left.rows);
  constexpr std::size_t kGrain = 64;
  struct Chunk {
    std::vector<std::int32_t> columns;
    std::vector<float> values;
    std::vector<std::int64_t> sizes;
  };
  struct Workspace {
    std::vector<float> sums;
    std::vector<std::int32_t> touched;
    std::vector<std::uint64_t> keys;
  };
  std::vector<Chunk> chunks(detail::num_chunks(n, kGrain));
  std::vector<Workspace> workspaces(static_cast<std::size_t>(detail::resolve_threads(num_threads)));
  detail::parallel_for(n, kGrain, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    Workspace& w = workspaces[static_cast<std::size_t>(thread)];
    Chunk& chunk = chunks[begin / kGrain];
    w.sums.resize(static_cast<std::size_t>(right.cols), 0.0f);
    for (std::size_t i = begin; i < end; ++i) {
      w.touched.clear();
      const auto middle = left.row_columns(static_cast<std::int64_t>(i));
      const auto weight = left.row_values(static_cast<std::int64_t>(i));
      for (std::size_t p = 0; p < middle.size(); ++p) {
        const auto columns = right.row_columns(middle[p]);
        const auto values = right.row_values(middle[p]);
        for (std::size_t q = 0; q < columns.size(); ++q) {
          float& s = w.sums[static_cast<std::size_t>(columns[q])];
          if (s == 0.0f) w.touched.push_back(columns[q]);
          s += weight[p] * values[q];
        }
      }
      w.keys.clear();
      for (const std::int32_t j : w.touched) {
        float& s = w.sums[static_cast<std::size_t>(j)];
        // A column whose sum passed through zero stands twice in the list; its second visit finds 0.
        const float v = s != 0.0f && static_cast<std::size_t>(j) != i ? value(static_cast<std::int32_t>(i), j, s) : 0.0f;
        s = 0.0f;
        if (v > 0.0f) w.keys.push_back(kernels::rank_key(v, static_cast<std::uint32_t>(j)));
      }
      if (w.keys.size() > num_kept) {
        // Larger keys rank first: see rank_key.
        std::nth_element(w.keys.begin(), w.keys.begin() + static_cast<std::ptrdiff_t>(num_kept), w.keys.end(), std::greater<>());
        w.keys.resize(num_kept);
      }
      std::sort(w.keys.begin(), w.keys.end(),
                [](std::uint64_t a, std::uint64_t b) { return kernels::key_index(a) < kernels::key_index(b); });
      for (const std::uint64_t key : w.keys) {
        chunk.columns.push_back(static_cast<std::int32_t>(kernels::key_index(key)));
        chunk.values.push_back(kernels::key_score(key));
      }
      chunk.sizes.push_back(static_cast<std::int64_t>(w.keys.size()));
    }
  });
  CsrMatrix out{left.rows, right.cols, Array<std::int64_t>(n + 1), {}, {}};
  std::int64_t* offsets = out.offsets.mutable_data();
  std::size_t row = 0;
  for (const Chunk& c : chunks)
    for (const std::int64_t size : c.sizes) {
      offsets[row + 1] = offsets[row] + size;
      ++row;
    }
  out.columns = Array<std::int32_t>(static_cast<std::size_t>(offsets[n]), uninitialized);
  out.values = Array<float>(static_cast<std::size_t>(offsets[n]), uninitialized);
  std::int32_t* columns = out.columns.mutable_data();
  float* values = out.values.mutable_data();
  for (const Chunk& c : chunks) {
    columns = std::copy(c.columns.begin(), c.columns.end(), columns);
    values = std::copy(c.values.begin(), c.values.end(), values);
  }
  return out;
}

/// Each row divided by its sum of absolute values; rows without any stay as they are.
inline void normalize_rows(CsrMatrix& m) {
  float* values = m.values.mutable_data();
  for (std::int64_t r = 0; r < m.rows; ++r) {
    const auto b = static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(r)]);
    const auto e = static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(r) + 1]);
    double sum = 0;
    for (std::size_t p = b; p < e; ++p) sum += static_cast<double>(values[p] < 0 ? -values[p] : values[p]);
    if (sum > 0)
      for (std::size_t p = b; p < e; ++p) values[p] = static_cast<float>(values[p] / sum);
  }
}

}  // namespace etalage
