// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/csr_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/parallel_for.hpp"

namespace etalage {
namespace {

[[noreturn]] void refuse(const char* argument, const std::string& what) {
  throw std::invalid_argument(std::string(argument) + what);
}

bool rows_are_canonical(const CsrView& m) {
  for (std::int64_t r = 0; r < m.rows; ++r) {
    const auto c = m.row_columns(r);
    for (std::size_t j = 1; j < c.size(); ++j)
      if (c[j - 1] >= c[j]) return false;
  }
  return true;
}

}  // namespace

void validate(const CsrView& m, const char* argument) {
  constexpr std::int64_t limit = std::numeric_limits<std::int32_t>::max();
  if (m.rows < 0 || m.rows > limit || m.cols < 0 || m.cols > limit)
    refuse(argument, " has shape (" + std::to_string(m.rows) + ", " + std::to_string(m.cols) +
                         "), both must be in [0, 2147483647]");
  if (m.offsets.size() != static_cast<std::size_t>(m.rows) + 1)
    refuse(argument, " has " + std::to_string(m.offsets.size()) + " offsets, must have rows + 1 = " + std::to_string(m.rows + 1));
  if (m.values.size() != m.columns.size())
    refuse(argument, " has " + std::to_string(m.values.size()) + " values for " + std::to_string(m.columns.size()) +
                         " columns, must have as many");
  if (m.offsets.front() != 0 || m.offsets.back() != m.nnz())
    refuse(argument, " has offsets from " + std::to_string(m.offsets.front()) + " to " + std::to_string(m.offsets.back()) +
                         ", must run from 0 to " + std::to_string(m.nnz()));
  for (std::size_t r = 0; r + 1 < m.offsets.size(); ++r)
    if (m.offsets[r] > m.offsets[r + 1])
      refuse(argument, " has decreasing offsets at row " + std::to_string(r) + ", must never decrease");
  for (std::size_t j = 0; j < m.columns.size(); ++j)
    if (m.columns[j] < 0 || m.columns[j] >= m.cols)
      refuse(argument, " has column index " + std::to_string(m.columns[j]) + " at entry " + std::to_string(j) +
                           ", must be in [0, " + std::to_string(m.cols) + ")");
  for (std::size_t j = 0; j < m.values.size(); ++j)
    if (!std::isfinite(m.values[j])) {
      const auto row = std::upper_bound(m.offsets.begin(), m.offsets.end(), static_cast<std::int64_t>(j)) - m.offsets.begin() - 1;
      refuse(argument, " has value " + std::to_string(m.values[j]) + " at row " + std::to_string(row) + ", column " +
                           std::to_string(m.columns[j]) + ", must be finite");
    }
}

CsrMatrix canonical(const CsrMatrix& matrix, const char* argument) {
  const CsrView m = matrix.view();
  validate(m, argument);
  if (rows_are_canonical(m)) return matrix;
  CsrMatrix out{m.rows, m.cols, Array<std::int64_t>(m.offsets.size()), {}, {}};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  columns.reserve(m.columns.size());
  values.reserve(m.values.size());
  std::int64_t* offsets = out.offsets.mutable_data();
  std::vector<std::pair<std::int32_t, float>> row;
  for (std::int64_t r = 0; r < m.rows; ++r) {
    const auto c = m.row_columns(r);
    const auto v = m.row_values(r);
    row.clear();
    for (std::size_t j = 0; j < c.size(); ++j) row.emplace_back(c[j], v[j]);
    // Stable, so that the float sums of duplicates do not depend on the sort.
    std::stable_sort(row.begin(), row.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t j = 0; j < row.size();) {
      double sum = 0;
      const std::int32_t column = row[j].first;
      for (; j < row.size() && row[j].first == column; ++j) sum += static_cast<double>(row[j].second);
      const auto value = static_cast<float>(sum);
      if (!std::isfinite(value))
        refuse(argument, " has duplicates at row " + std::to_string(r) + ", column " + std::to_string(column) +
                             " whose sum is " + std::to_string(sum) + ", must fit a float32");
      columns.push_back(column);
      values.push_back(value);
    }
    offsets[r + 1] = static_cast<std::int64_t>(columns.size());
  }
  out.columns = Array<std::int32_t>(columns);
  out.values = Array<float>(values);
  return out;
}

CsrMatrix transpose(const CsrView& m, int num_threads) {
  CsrMatrix out{m.cols, m.rows, Array<std::int64_t>(static_cast<std::size_t>(m.cols) + 1),
                Array<std::int32_t>(m.columns.size(), uninitialized), Array<float>(m.values.size(), uninitialized)};
  std::int64_t* offsets = out.offsets.mutable_data();
  std::int32_t* columns = out.columns.mutable_data();
  float* values = out.values.mutable_data();
  // Each thread owns a band of output rows and scans the input once: entries of a band arrive in input-row order, so
  // the result is sorted and the same for any number of threads, without atomics. Bands hold equal numbers of entries.
  for (const std::int32_t c : m.columns) ++offsets[c + 1];
  for (std::size_t c = 0; c < static_cast<std::size_t>(m.cols); ++c) offsets[c + 1] += offsets[c];
  const auto threads = static_cast<std::size_t>(detail::resolve_threads(num_threads));
  const std::size_t bands = m.nnz() < 100000 ? 1 : std::min<std::size_t>(threads, 16);
  std::vector<std::int32_t> bounds(bands + 1, 0);
  for (std::size_t b = 1; b < bands; ++b) {
    const std::int64_t target = m.nnz() * static_cast<std::int64_t>(b) / static_cast<std::int64_t>(bands);
    bounds[b] = static_cast<std::int32_t>(std::lower_bound(offsets, offsets + m.cols, target) - offsets);
  }
  bounds[bands] = static_cast<std::int32_t>(m.cols);
  std::vector<std::int64_t> cursor(offsets, offsets + m.cols);
  detail::parallel_for(bands, 1, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t b = begin; b < end; ++b) {
      const std::int32_t low = bounds[b];
      const std::int32_t high = bounds[b + 1];
      for (std::int64_t r = 0; r < m.rows; ++r) {
        const auto c = m.row_columns(r);
        const auto v = m.row_values(r);
        for (std::size_t j = 0; j < c.size(); ++j) {
          if (c[j] < low || c[j] >= high) continue;
          const auto at = static_cast<std::size_t>(cursor[static_cast<std::size_t>(c[j])]++);
          columns[at] = static_cast<std::int32_t>(r);
          values[at] = v[j];
        }
      }
    }
  });
  return out;
}

}  // namespace etalage
