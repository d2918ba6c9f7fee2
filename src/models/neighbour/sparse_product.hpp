// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "etalage/core/csr_matrix.hpp"
#include "kernels/rank_key.hpp"

namespace etalage {

/// v(i, j) = scale c / (a_i b_j + q_j + p_i + t c) of a product's entry c > 0: what every similarity is a case of. The
/// denominator is positive where c is.
struct Ratio {
  std::vector<float> a, p;  ///< by row
  std::vector<float> b, q;  ///< by column
  float t = 0;
  float scale = 1;          ///< > 0
};

/// W = best entries of each row of left * right: row i holds the num_kept largest v(i, j, (left * right)(i, j)) > 0,
/// j != i, columns ascending. left [n x m] and right [m x n] are sparse. Rows are independent and each is summed in the
/// order of left's row, so the result is the same for any number of threads. first: the column that is row 0's own, where
/// left and the ratio's a and p are a block of rows.
CsrMatrix top_product(const CsrView& left, const CsrView& right, const Ratio& ratio, std::size_t num_kept, int num_threads,
                      std::size_t first = 0);

/// The num_kept entries of largest size of each row, ties by lower column.
inline CsrMatrix top_entries(const CsrMatrix& m, std::size_t num_kept) {
  CsrMatrix out{m.rows, m.cols, Array<std::int64_t>(static_cast<std::size_t>(m.rows) + 1), {}, {}};
  std::int64_t* offsets = out.offsets.mutable_data();
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  std::vector<std::uint64_t> keys;
  for (std::int64_t r = 0; r < m.rows; ++r) {
    const auto c = m.view().row_columns(r);
    const auto v = m.view().row_values(r);
    std::uint64_t last = 0;
    if (c.size() > num_kept) {
      keys.resize(c.size());
      for (std::size_t p = 0; p < c.size(); ++p) keys[p] = kernels::rank_key(v[p] < 0 ? -v[p] : v[p], static_cast<std::uint32_t>(c[p]));
      std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(num_kept - 1), keys.end(), std::greater<>());
      last = keys[num_kept - 1];
    }
    for (std::size_t p = 0; p < c.size(); ++p)
      if (kernels::rank_key(v[p] < 0 ? -v[p] : v[p], static_cast<std::uint32_t>(c[p])) >= last) {
        columns.push_back(c[p]);
        values.push_back(v[p]);
      }
    offsets[r + 1] = static_cast<std::int64_t>(columns.size());
  }
  out.columns = Array<std::int32_t>(columns);
  out.values = Array<float>(values);
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
