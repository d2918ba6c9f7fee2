// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "etalage/core/scratch.hpp"
#include "etalage/extend/vector_index.hpp"

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

  /// At least n elements, content unspecified.
  template <class T>
  static T* at_least(std::vector<T>& v, std::size_t n) {
    if (v.size() < n) v.resize(n);
    return v.data();
  }

  /// The working memory of a part of the library that has more than that: its own type, made on first use, one of each.
  template <class T>
  [[nodiscard]] T& part() {
    static constexpr char kType = 0;  // its address is the type's name
    for (const Part& p : parts_)
      if (p.type == &kType) return *static_cast<T*>(p.memory.get());
    parts_.push_back({&kType, {new T(), [](void* p) { delete static_cast<T*>(p); }}});
    return *static_cast<T*>(parts_.back().memory.get());
  }

 private:
  struct Part {
    const char* type;
    std::unique_ptr<void, void (*)(void*)> memory;
  };
  std::vector<Part> parts_;  // few
};

}  // namespace etalage
