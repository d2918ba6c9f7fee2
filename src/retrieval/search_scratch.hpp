// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/scratch.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "search/best.hpp"
#include "search/bound_selector.hpp"
#include "search/bounded_best.hpp"
#include "search/coded_query.hpp"
#include "search/scored_row.hpp"

namespace etalage::retrieval {

using search::BoundSelector;
using search::ScoredRow;

/// Rows that a walk has seen, one bit each, so that the marks of a large index stay in the cache. Clearing undoes what
/// was marked.
class Visited {
 public:
  void start(std::size_t rows) {
    for (std::size_t i = 0; i < count_; ++i) words_[touched_[i]] = 0;
    count_ = 0;
    if (words_.size() < (rows + 63) / 64) {
      words_.resize((rows + 63) / 64, 0);
      touched_.resize(words_.size() + 1);
    }
  }
  /// True the first time. Without a branch: whether a row was seen nobody can predict.
  bool insert(std::int32_t row) noexcept {
    const auto r = static_cast<std::uint32_t>(row);
    std::uint64_t& word = words_[r / 64];
    const std::uint64_t bit = std::uint64_t{1} << (r % 64);
    const bool fresh = (word & bit) == 0;
    touched_[count_] = r / 64;
    count_ += word == 0 ? 1 : 0;
    word |= bit;
    return fresh;
  }

 private:
  std::vector<std::uint64_t> words_;
  std::vector<std::uint32_t> touched_;  ///< [words + 1], the first count_ are words that are not 0
  std::size_t count_ = 0;
};

/// A query in eight bits with the memory of its codes.
struct PreparedCodes {
  std::vector<std::int8_t> codes;
  search::CodedQuery query;
};

/// One walk under way: several of them take turns in a batch.
struct WalkState {
  struct Entry {
    float score;
    std::uint32_t row;  ///< the top bit: its links were followed
  };
  Visited visited;
  std::vector<Entry> pool;  ///< [ef + 2 M], best first
  std::size_t size = 0;
  std::size_t next = 0;     ///< the best entry whose links were not followed
  std::vector<std::int32_t> rows;
  std::vector<float> scores;
  std::vector<Entry> news;  ///< [2 M], of the rows scored last those that get into the pool
  std::size_t pending = 0;  ///< rows that wait for their scores
  std::size_t scored = 0;   ///< vectors scored so far, over all walks
  std::vector<float> query;
  PreparedCodes codes;
};

/// One thread's working memory for searches of any index.
struct SearchScratch {
  static constexpr std::size_t kWalks = 4;  ///< that take turns, so that one computes while the others wait for memory
  std::array<WalkState, kWalks> walks;
  PreparedCodes codes;
  search::BoundedScratch bounds;
  std::vector<kernels::Bounded> candidates;
  BoundSelector selector;
  Visited visited;
  std::vector<ScoredRow> frontier;  ///< a heap, best on top
  std::vector<ScoredRow> results;   ///< a heap, worst on top
  std::vector<std::int32_t> rows;
  std::vector<float> scores;
  std::vector<float> query;
  std::vector<float> lookup;
  std::vector<float> list_scores;
  std::vector<float> list_ranks;
  std::vector<std::uint64_t> keys;
  std::vector<std::int32_t> lists;
  std::vector<std::int32_t> allowed;  ///< rows of a filter resolved for a batch
  search::BestNeighbors top;
  std::size_t scored = 0;  ///< vectors scored so far outside of `walks`, in full or in eight bits

  static SearchScratch& of(Scratch& scratch) { return scratch.impl().part<SearchScratch>(); }
};

/// Orders a heap of ScoredRow: best or worst on top; ties are broken by row, so that runs repeat.
struct BestOnTop {
  bool operator()(const ScoredRow& a, const ScoredRow& b) const noexcept {
    return a.score < b.score || (a.score == b.score && a.row > b.row);
  }
};
struct WorstOnTop {
  bool operator()(const ScoredRow& a, const ScoredRow& b) const noexcept { return BestOnTop{}(b, a); }
};

}  // namespace etalage::retrieval
