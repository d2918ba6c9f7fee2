// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "retrieval/graph/link_scorer.hpp"

namespace etalage::retrieval {

/// A node that another one may link to.
struct LinkCandidate {
  float similarity;  ///< to the node that links
  std::int32_t row;
  bool chosen;       ///< one of a list whose members are known to leave each other in place
};

/// The choice of links (Malkov and Yashunin, algorithm 4): from the nearest on, a candidate is taken unless one that was
/// taken before is at least as near to it as the linking node is. Copies of the linking node itself, which are as near to
/// everything as it is, displace only each other. One thread's working memory.
class LinkChoice {
 public:
  /// Of candidates, sorted, at most `limit`, to the front of `candidates`; returns how many. `self` is the linking
  /// node's similarity to itself. Few candidates of which none is known to stand beside another.
  std::size_t from_candidates(const LinkSpace& space, float self, std::size_t limit, std::vector<LinkCandidate>& candidates);
  /// The same where most are known to stand beside each other: each of the others is held against all.
  std::size_t from_list(const LinkSpace& space, float self, std::size_t limit, std::vector<LinkCandidate>& candidates);

  std::vector<LinkCandidate> candidates;
  std::vector<std::int32_t> rows;
  std::vector<float> similarities;

 private:
  LinkScorer& scorer(const LinkSpace& space, std::size_t i);

  std::vector<LinkScorer> scorers_;  ///< of the candidates taken
  std::vector<std::size_t> taken_;
  std::vector<std::uint8_t> dropped_;
  std::vector<std::size_t> places_;
  std::vector<float> pairs_;         ///< [taken and not known][candidates]
};

}  // namespace etalage::retrieval
