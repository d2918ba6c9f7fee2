// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "search/kernel_names.hpp"

namespace etalage::search {

/// Working memory of selections, shared by those of one thread.
struct BoundedScratch {
  std::vector<float> lowers;
  std::vector<std::int32_t> rows;
  std::vector<float> scores;
};

/// The running top k of one query whose scores are known within bounds. A scan appends what has an upper bound above
/// `threshold` and calls drain() before the buffer can overflow. The threshold is the k-th best lower bound: what lies
/// below cannot be among the best k. finish() scores exactly those with the best upper bounds, then what these cannot
/// exclude, so the answer is that of brute force.
///
/// Rules   bool allowed(index); bool before(const Bounded&, const Bounded&), by exact score and then by tie rule;
///         float constant(), widening(index): further slack of the bounds; float lowest(score): see CodedQuery;
///         bool ties(): a later index may win a tie; void rescore(const int32_t* rows, n, float* out)
struct BoundedBest {
  static constexpr std::size_t kTracked = 16;  ///< up to this k the k best lower bounds are kept in order

  Bounded* found = nullptr;  ///< [limit(k) + the most that is appended between two drains]
  std::size_t count = 0;
  std::size_t checked = 0;   ///< found[0, checked) are allowed and have final bounds
  std::size_t k = 0;         ///< >= 1
  float threshold = -std::numeric_limits<float>::infinity();

  static constexpr std::size_t limit(std::size_t k) noexcept { return 3 * k + 96; }
  [[nodiscard]] bool full() const noexcept { return count > limit(k); }

  /// Takes in what was appended, which raises the threshold, and makes room when there is little.
  template <class Rules>
  void drain(Rules& rules, BoundedScratch& scratch) {
    if (!full() && k > kTracked) return;
    check(rules);
    if (full()) make_room(rules, scratch);
  }

  /// The same for one who wants the threshold now: a long list's k best lower bounds are looked for, not kept in order.
  template <class Rules>
  void settle(Rules& rules, BoundedScratch& scratch) {
    check(rules);
    if (k > kTracked && count > k) drop_hopeless(rules, scratch);
  }

  /// Leaves the results in found[0, returned), best first.
  template <class Rules>
  std::size_t finish(Rules& rules, BoundedScratch& scratch) {
    check(rules);
    if (count > k) drop_hopeless(rules, scratch);
    if (count > k) sharpen(rules, scratch);
    score(rules, scratch, count);
    const std::size_t n = std::min(count, k);
    const auto before = [&](const Bounded& a, const Bounded& b) { return rules.before(a, b); };
    // A heap costs several times what sorting does where it takes nearly all; equal scores are found in order.
    if (n < count && n > 0) std::nth_element(found, found + (n - 1), found + count, before);
    if (!std::is_sorted(found, found + n, before)) std::sort(found, found + n, before);
    count = checked = n;
    return n;
  }

 private:
  float floor_ = -std::numeric_limits<float>::infinity();  // the best k are not below
  std::array<float, kTracked> lowers_ = [] {               // ascending, the first k
    std::array<float, kTracked> a{};
    a.fill(-std::numeric_limits<float>::infinity());
    return a;
  }();

  void track(float lower) noexcept {
    if (!(lower > lowers_[0])) return;
    std::size_t i = 0;
    for (; i + 1 < k && lowers_[i + 1] < lower; ++i) lowers_[i] = lowers_[i + 1];
    lowers_[i] = lower;
  }

  template <class Rules>
  void check(Rules& rules) {
    const bool tracked = k <= kTracked;
    std::size_t kept = checked;
    for (std::size_t i = checked; i < count; ++i) {
      Bounded b = found[i];
      if (!rules.allowed(b.index)) continue;
      b.upper += rules.constant();
      b.lower -= rules.constant() + rules.widening(b.index);
      if (std::isnan(b.lower)) b.lower = -std::numeric_limits<float>::infinity();
      if (tracked) track(b.lower);
      found[kept++] = b;
    }
    count = checked = kept;
    if (tracked && lowers_[0] > floor_) raise(rules, lowers_[0]);
  }

  template <class Rules>
  void raise(Rules& rules, float lowest) noexcept {
    // Where a later index may win a tie, what equals the k-th best has to come through.
    const float t = rules.ties() ? std::nextafter(lowest, -std::numeric_limits<float>::infinity()) : lowest;
    threshold = std::max(threshold, t - rules.constant());
    floor_ = std::max(floor_, lowest);
  }

  template <class Rules>
  void make_room(Rules& rules, BoundedScratch& scratch) {
    const std::size_t wanted = limit(k) - limit(k) / 4;
    drop_hopeless(rules, scratch);
    if (count > wanted) sharpen(rules, scratch);
    if (count > wanted) cut(rules, scratch);
  }

  void drop(std::size_t from) noexcept {
    count = checked = static_cast<std::size_t>(
        std::remove_if(found + from, found + count, [lowest = floor_](const Bounded& b) { return b.upper < lowest; }) - found);
  }

  template <class Rules>
  void drop_hopeless(Rules& rules, BoundedScratch& scratch) {
    if (k > kTracked) {
      if (scratch.lowers.size() < count) scratch.lowers.resize(count);
      for (std::size_t i = 0; i < count; ++i) scratch.lowers[i] = found[i].lower;
      const auto kth = scratch.lowers.begin() + static_cast<std::ptrdiff_t>(k - 1);
      std::nth_element(scratch.lowers.begin(), kth, scratch.lowers.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>());
      raise(rules, *kth);
    }
    drop(0);
  }

  // The k with the best upper bounds are scored: the least of them is a better bound than any of its own.
  template <class Rules>
  void sharpen(Rules& rules, BoundedScratch& scratch) {
    const auto higher = [](const Bounded& a, const Bounded& b) { return a.upper > b.upper; };
    std::nth_element(found, found + (k - 1), found + count, higher);
    float least = std::numeric_limits<float>::infinity();
    if (score(rules, scratch, k) < k) return;
    for (std::size_t i = 0; i < k; ++i) least = std::min(least, found[i].exact);
    raise(rules, rules.lowest(least));
    drop(k);
  }

  /// Scores the first n; what has no score goes. Returns how many of the n are left.
  template <class Rules>
  std::size_t score(Rules& rules, BoundedScratch& scratch, std::size_t n) {
    if (scratch.rows.size() < n) scratch.rows.resize(n), scratch.scores.resize(n);
    std::size_t unknown = 0;
    for (std::size_t i = 0; i < n; ++i)
      if (std::isnan(found[i].exact)) scratch.rows[unknown++] = static_cast<std::int32_t>(found[i].index);
    rules.rescore(scratch.rows.data(), unknown, scratch.scores.data());
    std::size_t kept = 0;
    for (std::size_t i = 0, at = 0; i < n; ++i) {
      Bounded b = found[i];
      if (std::isnan(b.exact)) b.exact = scratch.scores[at++];
      if (b.exact > -std::numeric_limits<float>::infinity()) found[kept++] = b;
    }
    if (kept < n) std::copy(found + n, found + count, found + kept);
    count -= n - kept;
    checked = count;
    return kept;
  }

  // Bounds were not enough: scores are.
  template <class Rules>
  void cut(Rules& rules, BoundedScratch& scratch) {
    score(rules, scratch, count);
    if (count < k) return;
    const auto before = [&](const Bounded& a, const Bounded& b) { return rules.before(a, b); };
    std::nth_element(found, found + (k - 1), found + count, before);
    count = checked = k;
    for (std::size_t i = 0; i < k; ++i) found[i].lower = std::max(found[i].lower, rules.lowest(found[i].exact));
    raise(rules, rules.lowest(found[k - 1].exact));
  }
};

}  // namespace etalage::search
