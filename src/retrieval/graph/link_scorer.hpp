// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "etalage/retrieval/item_index.hpp"
#include "kernels/row_scores.hpp"
#include "retrieval/scorer.hpp"
#include "search/coded_query.hpp"

namespace etalage::retrieval {

/// Where nodes lie while they are linked.
struct LinkSpace {
  IndexMetric metric = IndexMetric::kCosine;
  const float* data = nullptr;    ///< [rows x dim]
  const float* norms2 = nullptr;  ///< [rows], for kDot
  std::size_t dim = 0;
  const std::uint8_t* records = nullptr;  ///< of the same rows in eight bits; null when some have none
  kernels::CodeShape shape;
  float radius2 = 0;              ///< kDot: R^2 of the extra coordinate sqrt(max(R^2 - |x|^2, 0))
};

/// How near stored rows are to one of them, larger is nearer: the cosine, the negative squared distance, or the product
/// of the vectors with their extra coordinates. From eight bits where there are some; in one unit whatever the row, so
/// that similarities to different rows compare.
class LinkScorer {
 public:
  explicit LinkScorer(const LinkSpace& space) : space_(&space) {}

  void set(std::int32_t row) {
    row_ = row;
    if (space_->metric == IndexMetric::kDot) extra_ = extra(row);
    codes_.resize(space_->shape.width);
    coded_ = space_->records != nullptr && space_->dim >= kFewestCodedDimensions &&
             search::query_of_record(space_->records + static_cast<std::size_t>(row) * space_->shape.stride, space_->shape,
                                      kernels::code().query_max, space_->metric == IndexMetric::kL2, codes_.data(), query_);
  }
  void rows(const std::int32_t* rows, std::size_t n, float* out) const {
    const bool l2 = space_->metric == IndexMetric::kL2;
    if (coded_) {
      kernels::code().scores(query_.terms, space_->shape, space_->records, rows, 0, n, out);
      const float step = l2 ? 2 * query_.step : query_.step;
      const float offset = l2 ? -query_.norm2 : 0;
      for (std::size_t i = 0; i < n; ++i) out[i] = out[i] * step + offset;
    } else {
      const auto score = l2 ? kernels::row_scores().negative_l2 : kernels::row_scores().dot;
      score(space_->data + static_cast<std::size_t>(row_) * space_->dim, space_->data, space_->dim, rows, 0, n, out);
    }
    if (space_->metric == IndexMetric::kDot)
      for (std::size_t i = 0; i < n; ++i) out[i] += extra_ * extra(rows[i]);
  }
  [[nodiscard]] float one(std::int32_t row) const {
    float out = 0;
    rows(&row, 1, &out);
    return out;
  }
  void prefetch(std::int32_t row) const noexcept {
    if (coded_) prefetch_record(space_->records, space_->shape, row);
  }

 private:
  [[nodiscard]] float extra(std::int32_t row) const noexcept {
    return std::sqrt(std::max(space_->radius2 - space_->norms2[row], 0.0f));
  }

  const LinkSpace* space_;
  std::int32_t row_ = 0;
  float extra_ = 0;
  bool coded_ = false;
  std::vector<std::int8_t> codes_;
  search::CodedQuery query_;
};

}  // namespace etalage::retrieval
