// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "detail/prefetch.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "kernels/row_scores.hpp"
#include "retrieval/item_store.hpp"
#include "retrieval/stored_rows.hpp"
#include "search/coded_query.hpp"

namespace etalage::retrieval {

/// Scales a vector to length one; a zero vector stays. out may be in.
inline void normalize(const float* in, std::size_t dim, float* out) noexcept {
  double norm2 = 0;
  for (std::size_t f = 0; f < dim; ++f) norm2 += static_cast<double>(in[f]) * in[f];
  const double scale = norm2 > 0 ? 1 / std::sqrt(norm2) : 0;
  for (std::size_t f = 0; f < dim; ++f) out[f] = static_cast<float>(in[f] * scale);
}

/// The scores of one prepared query (of length one for the cosine) against stored rows.
class Scorer {
 public:
  Scorer(IndexMetric metric, const float* query, const StoredRows& rows)
      : score_(metric == IndexMetric::kL2 ? kernels::row_scores().negative_l2 : kernels::row_scores().dot), query_(query), rows_(rows) {}
  Scorer(IndexMetric metric, const float* query, const float* data, std::size_t dim) : Scorer(metric, query, StoredRows(data, dim)) {}

  void rows(const std::int32_t* rows, std::size_t n, float* out) const noexcept {
    if (!rows_.split()) return score_(query_, rows_.data(), rows_.dim(), rows, 0, n, out);
    joined(n, out, [rows](std::size_t i) { return static_cast<std::size_t>(rows[i]); });
  }
  void range(std::size_t first, std::size_t n, float* out) const noexcept {
    if (!rows_.split()) return score_(query_, rows_.data(), rows_.dim(), nullptr, first, n, out);
    joined(n, out, [first](std::size_t i) { return first + i; });
  }
  [[nodiscard]] float one(std::int32_t row) const noexcept {
    float out = 0;
    rows(&row, 1, &out);
    return out;
  }
  /// Of rows that are about to be scored.
  void prefetch(std::int32_t row) const noexcept { rows_.prefetch(static_cast<std::size_t>(row)); }
  [[nodiscard]] const float* query() const noexcept { return query_; }

 private:
  /// A row's score depends on query and row alone, so that those of split rows are the same. Some are joined before the first is
  /// scored: what was just written piece by piece cannot be read in whole vectors yet.
  template <class RowOf>
  void joined(std::size_t n, float* out, const RowOf& row_of) const noexcept {
    constexpr std::size_t kTogether = 8;
    constexpr std::size_t kAhead = 12;
    alignas(64) float memory[kMostSplit];
    const std::size_t dim = rows_.dim();
    const std::size_t step = std::min(kTogether, kMostSplit / dim);
    for (std::size_t i = 0; i < std::min(kAhead, n); ++i) rows_.prefetch(row_of(i));
    for (std::size_t i = 0; i < n; i += step) {
      const std::size_t count = std::min(step, n - i);
      for (std::size_t j = 0; j < count; ++j) {
        if (i + j + kAhead < n) rows_.prefetch(row_of(i + j + kAhead));
        rows_.copy(row_of(i + j), memory + j * dim);
      }
      score_(query_, memory, dim, nullptr, 0, count, out + i);
    }
  }

  decltype(kernels::RowScores::dot) score_;
  const float* query_;
  StoredRows rows_;
};

inline constexpr std::size_t kFewestCodedDimensions = 8;  ///< below, eight bits save nothing

inline void prefetch_record(const std::uint8_t* records, const kernels::CodeShape& shape, std::int32_t row) noexcept {
  detail::prefetch(records + static_cast<std::size_t>(row) * shape.stride, shape.stride);
}

/// Estimates of the same order from rows in eight bits.
class CodedScorer {
 public:
  CodedScorer(const search::CodedQuery& query, const ItemStore& store)
      : table_(kernels::code()), terms_(query.estimate()), shape_(store.shape), records_(store.codes.data()) {}

  void rows(const std::int32_t* rows, std::size_t n, float* out) const noexcept {
    table_.scores(terms_, shape_, records_, rows, 0, n, out);
  }
  [[nodiscard]] float one(std::int32_t row) const noexcept {
    float out = 0;
    rows(&row, 1, &out);
    return out;
  }
  void prefetch(std::int32_t row) const noexcept { prefetch_record(records_, shape_, row); }

 private:
  const kernels::CodeTable& table_;
  kernels::CodeTerms terms_;
  const kernels::CodeShape& shape_;
  const std::uint8_t* records_;
};

}  // namespace etalage::retrieval
