// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "etalage/core/item_filter.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

class Scratch;

/// An id of an index with its score.
struct Neighbor {
  std::int64_t id;  ///< as it was added
  float score;  ///< larger is nearer
};

/// Vectors by id, and which of them score best against a query: what a model of vectors asks instead of reading all its
/// rows. ItemIndex is one, FaissIndex (of the target etalage::faiss, which links FAISS and a BLAS) another; a host may bring its own.
class ETALAGE_EXPORT VectorIndex : public Storable {
 public:
  ~VectorIndex() override;
  [[nodiscard]] virtual int dim() const noexcept = 0;  ///< entries of a vector
  [[nodiscard]] virtual std::size_t size() const = 0;
  /// True when results order as inner products with the query do.
  [[nodiscard]] virtual bool ranks_by_dot() const noexcept = 0;
  /// Up to out.size() ids, best first; returns how many. filter may be null. No allocation once scratch is warm, no
  /// parallel region; callable from any number of threads.
  virtual std::size_t search(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter,
                             Scratch& scratch) const = 0;
};

}  // namespace etalage
