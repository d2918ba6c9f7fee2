// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "search/coded_query.hpp"
#include "search/kernel_names.hpp"

namespace etalage::search {

/// What the codes of a query leave out, in codes of its own. Upper bounds of rows come closer by it, from their records alone: with
/// q = step (d + u d') + e' and x = scale c + r, q.x <= step scale (d + u d').c + (|q| + |e'|) |r| + |e'| |x|, where |e'| is about
/// a hundredth of what d leaves out: bounds are about half as wide.
class CloserQuery {
 public:
  /// For a query as encode_query() left it. False where nothing would come closer.
  bool prepare(const float* query, const CodeShape& shape, int query_max, const CodedQuery& coded);

  /// Into corrections [n], of rows that `records` tells of: closer(upper bound, correction) is an upper bound as well.
  void correct(const CodeTable& table, const CodeShape& shape, const std::uint8_t* records, const std::int32_t* rows, std::size_t n,
               float* corrections) const {
    table.scores(terms_, shape, records, rows, 0, n, corrections);
  }
  /// NaN for a row without bounds.
  [[nodiscard]] float closer(float upper, float correction) const noexcept { return upper + unit_ * correction; }

 private:
  CodeTerms terms_;
  float unit_ = 0;  // u
  std::vector<std::int8_t> codes_;
  std::vector<float> rest_;
};

}  // namespace etalage::search
