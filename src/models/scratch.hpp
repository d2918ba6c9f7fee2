// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <any>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "etalage/extend/vector_index.hpp"
#include "etalage/models/recommender.hpp"
#include "kernels/exact_scan.hpp"

namespace etalage {

/// The working memory behind Scratch. Vectors only grow; a model uses those it needs and leaves no state in them.
struct Scratch::Impl {
  std::vector<float> floats;          ///< dense scores [num_items] or the like
  std::vector<float> vector;          ///< a folded-in factor and solver temporaries
  std::vector<std::int32_t> ints;     ///< touched items, excluded items
  std::vector<std::int32_t> seen;     ///< sorted excluded items of the current query
  std::vector<std::uint64_t> bits;    ///< a bitmap over items, all zero between queries
  std::vector<ItemScore> heap;        ///< candidates
  std::vector<ItemScore> taste;       ///< the items of the current query with their weights
  std::vector<std::uint64_t> keys;    ///< scores and indices as one ordered integer, during a selection
  std::vector<float> factor;          ///< the factor row of the current query (FactorModel)
  std::vector<double> doubles;
  std::vector<Neighbor> neighbors;    ///< what an index found
  std::vector<std::size_t> sizes;     ///< rows of a dense matrix
  kernels::ScanWorkspace scan;        ///< of exact top-k over factors
  std::any solver;                    ///< a model's own working memory of folding in, created by it on first use
  std::any sequence;                  ///< of models of order (SequenceModel), created by them on first use
  std::any index;                     ///< a room's own search state (retrieval), created by it on first use
  std::any serving;                   ///< and that of candidate sources

  /// At least n elements, content unspecified.
  template <class T>
  static T* at_least(std::vector<T>& v, std::size_t n) {
    if (v.size() < n) v.resize(n);
    return v.data();
  }
};

}  // namespace etalage
