// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "search/bounded_best.hpp"
#include "search/coded_query.hpp"
#include "search/kernel_names.hpp"

namespace etalage::search {

/// Working memory only grows.
template <class T>
T* at_least(std::vector<T>& v, std::size_t n) {
  if (v.size() < n) v.resize(n);
  return v.data();
}

/// Working memory of coded scans of one thread; only grows.
struct CodedMemory {
  std::vector<std::int8_t> codes;  ///< of queries, one after the other
  std::vector<CodedQuery> queries;
  std::vector<BoundedBest> selections;
  std::vector<Bounded> candidates;
  std::vector<CodeTerms> terms;
  std::vector<float> thresholds;
  std::vector<Bounded*> found;
  std::vector<std::size_t> counts;
  std::vector<std::uint8_t> panel;
  std::vector<float> tails;
  BoundedScratch scratch;

  /// Queries of a block and their padding up to `padded`, as CodeBlock wants them. The queries' codes are not copied.
  void set_queries(std::span<const CodedQuery> from, std::size_t padded);
};

}  // namespace etalage::search
