// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "etalage/retrieval/item_index.hpp"
#include "models/scratch.hpp"

namespace etalage::retrieval {

struct ScoredRow {
  float score;
  std::int32_t row;
};

/// Rows that a walk has seen. Clearing is one increment.
class Visited {
 public:
  void start(std::size_t rows) {
    if (marks_.size() < rows) marks_.resize(rows, 0);
    if (++epoch_ == 0) {
      std::fill(marks_.begin(), marks_.end(), std::uint16_t{0});
      epoch_ = 1;
    }
  }
  /// True the first time.
  bool insert(std::int32_t row) noexcept {
    std::uint16_t& m = marks_[static_cast<std::size_t>(row)];
    if (m == epoch_) return false;
    m = epoch_;
    return true;
  }

 private:
  std::vector<std::uint16_t> marks_;
  std::uint16_t epoch_ = 0;
};

/// The best k neighbours so far: higher score first, ties by lower id.
class TopNeighbors {
 public:
  void start(std::size_t k) {
    k_ = k;
    found_.clear();
    threshold_ = -std::numeric_limits<float>::infinity();
    full_ = false;
  }
  [[nodiscard]] bool wants(float score) const noexcept { return !full_ || score >= threshold_; }
  void push(std::int64_t id, float score) {
    found_.push_back({id, score});
    if (found_.size() >= 2 * k_ + 64) shrink();
  }
  [[nodiscard]] std::size_t finish(std::span<Neighbor> out) {
    const std::size_t n = std::min({found_.size(), k_, out.size()});
    std::partial_sort(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(n), found_.end(), before);
    std::copy_n(found_.begin(), n, out.begin());
    return n;
  }

 private:
  static bool before(const Neighbor& a, const Neighbor& b) noexcept {
    return a.score > b.score || (a.score == b.score && a.id < b.id);
  }
  void shrink() {
    if (k_ == 0) return found_.clear();
    std::nth_element(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(k_ - 1), found_.end(), before);
    found_.resize(k_);
    threshold_ = found_.back().score;
    full_ = true;
  }
  std::vector<Neighbor> found_;
  std::size_t k_ = 0;
  float threshold_ = 0;
  bool full_ = false;
};

/// One thread's working memory for searches of any index.
struct SearchScratch {
  Visited visited;
  std::vector<ScoredRow> frontier;  ///< a heap, best on top
  std::vector<ScoredRow> results;   ///< a heap, worst on top
  std::vector<std::int32_t> rows;
  std::vector<float> scores;
  std::vector<float> query;
  std::vector<float> lookup;
  std::vector<float> list_scores;
  std::vector<std::int32_t> lists;
  std::vector<std::int32_t> allowed;  ///< rows of a filter resolved for a batch
  TopNeighbors top;

  static SearchScratch& of(Scratch& scratch) {
    std::any& slot = scratch.impl().index;
    if (auto* found = std::any_cast<SearchScratch>(&slot)) return *found;
    return slot.emplace<SearchScratch>();
  }
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
