// SPDX-License-Identifier: Apache-2.0
#include "retrieval/graph/link_choice.hpp"

#include <algorithm>

#include "core/scratch.hpp"

namespace etalage::retrieval {

namespace {

constexpr std::size_t kBlock = 32;  // candidates looked at before it is known that more are needed

void to_front(std::vector<LinkCandidate>& candidates, std::span<const std::size_t> taken) {
  for (std::size_t i = 0; i < taken.size(); ++i) candidates[i] = candidates[taken[i]];
}

}  // namespace

LinkScorer& LinkChoice::scorer(const LinkSpace& space, std::size_t i) {
  while (scorers_.size() <= i) scorers_.emplace_back(space);
  return scorers_[i];
}

std::size_t LinkChoice::from_candidates(const LinkSpace& space, float self, std::size_t limit, std::vector<LinkCandidate>& candidates) {
  taken_.clear();
  dropped_.assign(candidates.size(), 0);
  std::int32_t* rows_to = Scratch::Impl::at_least(rows, kBlock);
  float* scores = Scratch::Impl::at_least(similarities, kBlock);
  places_.resize(kBlock);
  const auto drop = [&](std::size_t taken, std::size_t begin, std::size_t end) {
    const bool copy = candidates[taken_[taken]].similarity == self;
    std::size_t n = 0;
    for (std::size_t j = begin; j < end; ++j) {
      if (dropped_[j] != 0 || (copy && candidates[j].similarity != self)) continue;
      places_[n] = j;
      rows_to[n++] = candidates[j].row;
    }
    if (n == 0) return;
    scorers_[taken].rows(rows_to, n, scores);
    for (std::size_t j = 0; j < n; ++j) dropped_[places_[j]] = scores[j] >= candidates[places_[j]].similarity;
  };
  for (std::size_t begin = 0; begin < candidates.size() && taken_.size() < limit; begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, candidates.size());
    for (std::size_t t = 0; t < taken_.size(); ++t) drop(t, begin, end);
    for (std::size_t i = begin; i < end && taken_.size() < limit; ++i) {
      if (dropped_[i] != 0) continue;
      taken_.push_back(i);
      if (taken_.size() == limit) break;
      scorer(space, taken_.size() - 1).set(candidates[i].row);
      drop(taken_.size() - 1, i + 1, end);
    }
  }
  to_front(candidates, taken_);
  return taken_.size();
}

std::size_t LinkChoice::from_list(const LinkSpace& space, float self, std::size_t limit, std::vector<LinkCandidate>& candidates) {
  const std::size_t n = candidates.size();
  taken_.clear();
  places_.clear();  // of taken_: those that are not known to stand beside the others
  rows.resize(n);
  for (std::size_t i = 0; i < n; ++i) rows[i] = candidates[i].row;
  LinkScorer& unknown = scorer(space, 0);
  for (std::size_t j = 0; j < n && taken_.size() < limit; ++j) {
    const float similarity = candidates[j].similarity;
    const bool copy = similarity == self;
    bool needless = false;
    std::size_t p = 0;
    for (; p < places_.size() && !needless; ++p) {
      const bool of_copy = candidates[places_[p]].similarity == self;
      needless = pairs_[p * n + j] >= similarity && (copy || !of_copy);
    }
    if (needless) continue;
    if (!candidates[j].chosen) {
      if (pairs_.size() < (places_.size() + 1) * n) pairs_.resize((places_.size() + 1) * n);
      float* pairs = pairs_.data() + places_.size() * n;
      unknown.set(candidates[j].row);
      unknown.rows(rows.data(), n, pairs);
      for (const std::size_t t : taken_)
        needless = needless || (candidates[t].chosen && pairs[t] >= similarity && (copy || candidates[t].similarity != self));
      if (needless) continue;
      places_.push_back(j);
    }
    taken_.push_back(j);
  }
  to_front(candidates, taken_);
  return taken_.size();
}

}  // namespace etalage::retrieval
