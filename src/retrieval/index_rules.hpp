// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "retrieval/scorer.hpp"
#include "search/bounded_best.hpp"
#include "search/closer_query.hpp"
#include "search/coded_query.hpp"

namespace etalage::retrieval {

using kernels::Bounded;
using search::BoundedBest;

/// What a bounded selection asks of an index.
struct IndexRules {
  const std::int64_t* ids;    // null where rows are their ids
  const std::uint8_t* alive;  // null when every row of the scan is
  const std::uint8_t* records;
  const kernels::CodeShape* shape;
  Scorer scorer;
  const search::CodedQuery* query;

  [[nodiscard]] bool allowed(std::uint32_t row) const noexcept { return alive == nullptr || alive[row] != 0; }
  [[nodiscard]] std::int64_t id(std::uint32_t row) const noexcept { return ids != nullptr ? ids[row] : static_cast<std::int64_t>(row); }
  [[nodiscard]] bool before(const Bounded& a, const Bounded& b) const noexcept {
    return a.exact > b.exact || (a.exact == b.exact && id(a.index) < id(b.index));
  }
  static bool ties() noexcept { return true; }
  [[nodiscard]] float constant() const noexcept { return query->constant(); }
  [[nodiscard]] float widening(std::uint32_t row) const noexcept {
    if (!query->distance) return 0;
    kernels::CodeTail tail;
    std::memcpy(&tail, records + row * shape->stride + shape->width, sizeof tail);
    return query->widening(tail.norm2);
  }
  [[nodiscard]] float lowest(float score) const noexcept { return query->lowest(score); }
  void rescore(const std::int32_t* rows, std::size_t n, float* out) const noexcept { scorer.rows(rows, n, out); }
  /// False where closer bounds are not to be had.
  bool prepare(search::CloserQuery& closer) const { return closer.prepare(scorer.query(), *shape, kernels::code().query_max, *query); }
  void correct(const search::CloserQuery& closer, const std::int32_t* rows, std::size_t n, float* out) const {
    closer.correct(kernels::code(), *shape, records, rows, n, out);
  }
};

inline std::size_t write(BoundedBest& selection, IndexRules& rules, std::span<Neighbor> out, search::BoundedScratch& scratch) {
  const std::size_t n = selection.finish(rules, scratch);
  for (std::size_t i = 0; i < n; ++i) out[i] = {rules.id(selection.found[i].index), selection.found[i].exact};
  return n;
}

}  // namespace etalage::retrieval
