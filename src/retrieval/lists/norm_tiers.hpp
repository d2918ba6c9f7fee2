// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/extend/state.hpp"
#include "retrieval/item_store.hpp"

namespace etalage::retrieval {

/// A partition for largest inner products: rows by length into tiers, each about as large as all longer ones together, and
/// within a tier by direction. Long rows are few and are what most queries want, so they get small lists; a tier's lists
/// are as many as its rows times their mean length squared. Rows that do not differ in length are one tier.
///
/// Source  Yan et al., NeurIPS 2018 (Norm-Ranging LSH: partition by length); Dhillon, Modha, Machine Learning 2001
///         (k-means of directions)
class NormTiers {
 public:
  /// About `nlist` lists for the live rows of the store, of which there are at least that many.
  [[nodiscard]] static std::shared_ptr<const NormTiers> train(const ItemStore& store, std::size_t nlist, std::uint64_t seed, int num_threads);
  NormTiers(const StateReader& reader, std::size_t dim, std::size_t nlist);

  [[nodiscard]] std::size_t num_lists() const noexcept { return static_cast<std::size_t>(firsts_[lows_.size()]); }
  /// Of the longest tier that x is long enough for, the list of its direction. scores [num_lists()] is working memory.
  [[nodiscard]] std::size_t list_of(const float* x, float norm2, float* scores) const noexcept;

  void save(StateWriter& writer) const;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  NormTiers() = default;
  std::size_t dim_ = 0;
  Array<float> lows_;           // [tiers], smallest squared length, falling; the last takes any
  Array<std::int32_t> firsts_;  // [tiers + 1], first list of a tier
  Array<float> directions_;     // tier by tier [dim x lists of the tier]
};

}  // namespace etalage::retrieval
