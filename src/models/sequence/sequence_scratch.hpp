// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/scratch.hpp"

namespace etalage::detail {

/// Sums over few of many items. Between queries all sums are zero.
class SparseScores {
 public:
  void resize(std::size_t n) {
    if (sums_.size() < n) sums_.resize(n, 0.0f);
  }
  void add(std::int32_t item, float value) {
    float& s = sums_[static_cast<std::size_t>(item)];
    // An item whose sum comes back to zero is noted twice; sort_touched() takes the duplicates out.
    if (s == 0.0f) touched_.push_back(item);
    s += value;
  }
  [[nodiscard]] float operator[](std::int32_t item) const noexcept { return sums_[static_cast<std::size_t>(item)]; }
  [[nodiscard]] const std::vector<std::int32_t>& touched() const noexcept { return touched_; }
  void set(std::int32_t item, float value) noexcept { sums_[static_cast<std::size_t>(item)] = value; }  ///< of a touched item
  void sort_touched();
  void clear() noexcept {
    for (const std::int32_t i : touched_) sums_[static_cast<std::size_t>(i)] = 0.0f;
    touched_.clear();
  }

 private:
  std::vector<float> sums_;
  std::vector<std::int32_t> touched_;
};

/// The working memory of the models on sequences.
struct SequenceScratch {
  SparseScores scores;
  std::vector<std::int32_t> items;     ///< history and session as one list
  std::vector<std::int64_t> times;
  std::vector<float> weights;          ///< of the history's places
  std::vector<std::int32_t> sessions;  ///< candidates (SessionKNN)
  std::vector<std::int32_t> slots;     ///< by session, all zero between queries (SessionKNN)
  std::vector<float> similarities;
  std::vector<std::uint64_t> keys;
  std::vector<std::int32_t> places;
};

/// The SequenceScratch inside, made on first use.
[[nodiscard]] inline SequenceScratch& sequence_scratch(Scratch& scratch) { return scratch.impl().part<SequenceScratch>(); }

}  // namespace etalage::detail
