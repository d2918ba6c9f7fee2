// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/code_kernels.hpp"

namespace etalage::kernels {

/// Working memory of selections, shared by those of one thread.
struct BoundedScratch {
  std::vector<float> lowers;
  std::vector<std::int32_t> rows;
  std::vector<float> scores;
};

/// The running top k of one query whose scores are known within bounds. A scan appends what has an upper bound above
/// `threshold` and calls drain() before the buffer can overflow. The threshold is the k-th best lower bound: what lies
/// below cannot be among the best k. finish() scores the survivors exactly, so the answer is that of brute force.
///
/// Rules   bool allowed(index); bool before(const Bounded&, const Bounded&), by exact score and then by tie rule;
///         float constant(), widening(index): further slack of the bounds; float lowest(score): see CodedQuery;
///         bool ties(): a later index may win a tie; void rescore(const int32_t* rows, n, float* out)
struct BoundedSelection {
  Bounded* found = nullptr;  ///< [limit(k) + the most that is appended between two drains]
  std::size_t count = 0;
  std::size_t checked = 0;   ///< found[0, checked) are allowed and have final bounds
  std::size_t k = 0;         ///< >= 1
  float threshold = -std::numeric_limits<float>::infinity();

  static constexpr std::size_t limit(std::size_t k) noexcept { return 3 * k + 96; }
  [[nodiscard]] bool full() const noexcept { return count > limit(k); }

  template <class Rules>
  void drain(Rules& rules, BoundedScratch& scratch) {
    check(rules);
    if (count <= k) return;
    drop_hopeless(rules, scratch);
    if (count > limit(k) - limit(k) / 4) cut(rules, scratch);
  }

  /// Leaves the results in found[0, returned), best first.
  template <class Rules>
  std::size_t finish(Rules& rules, BoundedScratch& scratch) {
    check(rules);
    if (count > k) drop_hopeless(rules, scratch);
    score(rules, scratch);
    const std::size_t n = std::min(count, k);
    const auto before = [&](const Bounded& a, const Bounded& b) { return rules.before(a, b); };
    std::partial_sort(found, found + n, found + count, before);
    count = checked = n;
    return n;
  }

 private:
  template <class Rules>
  void check(Rules& rules) {
    std::size_t kept = checked;
    for (std::size_t i = checked; i < count; ++i) {
      Bounded b = found[i];
      if (!rules.allowed(b.index)) continue;
      b.upper += rules.constant();
      b.lower -= rules.constant() + rules.widening(b.index);
      if (std::isnan(b.lower)) b.lower = -std::numeric_limits<float>::infinity();
      found[kept++] = b;
    }
    count = checked = kept;
  }

  template <class Rules>
  void raise(Rules& rules, float lowest) noexcept {
    // Where a later index may win a tie, what equals the k-th best has to come through.
    const float t = rules.ties() ? std::nextafter(lowest, -std::numeric_limits<float>::infinity()) : lowest;
    threshold = std::max(threshold, t - rules.constant());
  }

  template <class Rules>
  void drop_hopeless(Rules& rules, BoundedScratch& scratch) {
    if (scratch.lowers.size() < count) scratch.lowers.resize(count);
    for (std::size_t i = 0; i < count; ++i) scratch.lowers[i] = found[i].lower;
    const auto kth = scratch.lowers.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(scratch.lowers.begin(), kth, scratch.lowers.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>());
    const float lowest = *kth;
    raise(rules, lowest);
    count = checked = static_cast<std::size_t>(
        std::remove_if(found, found + count, [lowest](const Bounded& b) { return b.upper < lowest; }) - found);
  }

  template <class Rules>
  void score(Rules& rules, BoundedScratch& scratch) {
    if (scratch.rows.size() < count) scratch.rows.resize(count), scratch.scores.resize(count);
    std::size_t unknown = 0;
    for (std::size_t i = 0; i < count; ++i)
      if (std::isnan(found[i].exact)) scratch.rows[unknown++] = static_cast<std::int32_t>(found[i].index);
    rules.rescore(scratch.rows.data(), unknown, scratch.scores.data());
    std::size_t kept = 0;
    for (std::size_t i = 0, at = 0; i < count; ++i) {
      Bounded b = found[i];
      if (std::isnan(b.exact)) b.exact = scratch.scores[at++];
      if (b.exact > -std::numeric_limits<float>::infinity()) found[kept++] = b;
    }
    count = checked = kept;
  }

  // Bounds were not enough: scores are.
  template <class Rules>
  void cut(Rules& rules, BoundedScratch& scratch) {
    score(rules, scratch);
    if (count < k) return;
    const auto before = [&](const Bounded& a, const Bounded& b) { return rules.before(a, b); };
    std::nth_element(found, found + (k - 1), found + count, before);
    count = checked = k;
    for (std::size_t i = 0; i < k; ++i) found[i].lower = std::max(found[i].lower, rules.lowest(found[i].exact));
    raise(rules, rules.lowest(found[k - 1].exact));
  }
};

}  // namespace etalage::kernels
