// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "search/below_best.hpp"
#include "search/closer_query.hpp"
#include "search/kernel_names.hpp"
#include "search/scored_row.hpp"

namespace etalage::search {

/// Which rows of a stretch can be among a query's best k, from upper bounds of all of them. The k with the highest bounds
/// are scored; what does not reach the least of these scores is out, by closer bounds as well where many are left, and the others
/// are scored too. So the best k of several stretches are among what take() hands out, whatever their order and whatever the thresholds were.
class BoundSelector {
 public:
  /// Bounds behind the last, up to a whole number of columns, are written to.
  [[nodiscard]] static constexpr std::size_t padded(std::size_t n) noexcept { return (n + kBestColumns - 1) / kBestColumns * kBestColumns; }

  /// bounds [padded(n)], in steps of the query; -infinity means no. `threshold`, of BoundedBest's kind, may rise.
  /// Appends rows with their scores. rules_of() makes the query's rules, where they are needed.
  template <class RulesOf, class RowOf>
  void take(const RulesOf& rules_of, float& threshold, float* bounds, std::size_t n, std::size_t k, const RowOf& row_of,
            std::vector<ScoredRow>& out) {
    start(rules_of, threshold, bounds, n, k, row_of);
    narrow(rules_of, threshold, row_of, out);
    finish(rules_of, threshold, out);
  }

  // take() in three steps, with the same arguments. Rows that the next step scores are on their way after each: between steps there is
  // time for the steps of other queries. The bounds stay as they are meanwhile.
  template <class RulesOf, class RowOf>
  void start(const RulesOf& rules_of, float threshold, float* bounds, std::size_t n, std::size_t k, const RowOf& row_of) {
    std::fill(bounds + n, bounds + padded(n), -kInfinity);
    if (keys_.size() < n) keys_.resize(n);
    bounds_ = bounds;
    n_ = n;
    k_ = k;
    blind_ = threshold == -kInfinity;
    const float above = blind_ && n > k ? below_kth(bounds, n, k) : threshold;
    count_ = collect(above);
    narrows_ = count_ > k + kFew || (blind_ && above > -kInfinity && count_ > 0);
    if (count_ == 0) return;
    const auto rules = rules_of();
    if (narrows_) {
      std::nth_element(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(k - 1), keys_.begin() + static_cast<std::ptrdiff_t>(count_), std::greater<>());
      ask(rules, 0, k, row_of);
    } else {
      count_ = keep_closer(rules, threshold, 0, count_, row_of);
      ask(rules, 0, count_, row_of);
    }
  }
  template <class RulesOf, class RowOf>
  void narrow(const RulesOf& rules_of, float& threshold, const RowOf& row_of, std::vector<ScoredRow>& out) {
    if (!narrows_) return;
    const auto rules = rules_of();
    const std::uint64_t last = keys_[k_ - 1];
    const float least = score(rules, threshold, k_, out);
    threshold = std::max(threshold, std::nextafter(rules.lowest(least), -kInfinity) - rules.constant());
    std::size_t first = 0;
    if (blind_) {
      count_ = collect(threshold);
      const auto end = keys_.begin() + static_cast<std::ptrdiff_t>(count_);
      count_ = static_cast<std::size_t>(std::remove_if(keys_.begin(), end, [last](std::uint64_t key) { return key >= last; }) - keys_.begin());
    } else {
      const auto end = keys_.begin() + static_cast<std::ptrdiff_t>(count_);
      const auto rest = keys_.begin() + static_cast<std::ptrdiff_t>(first = k_);
      count_ = static_cast<std::size_t>(
          std::remove_if(rest, end, [limit = threshold](std::uint64_t key) { return !(key_score(key) > limit); }) - rest);
    }
    count_ = keep_closer(rules, threshold, first, count_, row_of);
    ask(rules, first, count_, row_of);
  }
  template <class RulesOf>
  void finish(const RulesOf& rules_of, float threshold, std::vector<ScoredRow>& out) {
    if (count_ > 0) score(rules_of(), threshold, count_, out);
  }

 private:
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
  static constexpr std::size_t kFew = 6;         // more than k: scored without a second look

  static constexpr std::size_t kManyLeft = 12;   // rows that pay for closer bounds

  std::size_t collect(float above) { return scan().collect(bounds_, padded(n_), 0, above, keys_.data()); }

  template <class RowOf>
  void name_rows(std::size_t first, std::size_t n, const RowOf& row_of) {
    if (rows_.size() < n) rows_.resize(n), scores_.resize(n);
    for (std::size_t i = 0; i < n; ++i) rows_[i] = row_of(key_index(keys_[first + i]));
  }

  /// Leaves those of keys [first, first + n) that closer bounds do not exclude, and returns how many these are.
  template <class Rules, class RowOf>
  std::size_t keep_closer(const Rules& rules, float threshold, std::size_t first, std::size_t n, const RowOf& row_of) {
    if (n < kManyLeft || threshold == -kInfinity || !rules.prepare(closer_)) return n;
    name_rows(first, n, row_of);
    rules.correct(closer_, rows_.data(), n, scores_.data());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t key = keys_[first + i];
      keys_[first + kept] = key;
      kept += closer_.closer(key_score(key), scores_[i]) <= threshold ? 0 : 1;  // what is no number stays
    }
    return kept;
  }

  /// Of keys [first, first + n) the rows, all on their way at once.
  template <class Rules, class RowOf>
  void ask(const Rules& rules, std::size_t first, std::size_t n, const RowOf& row_of) {
    name_rows(first, n, row_of);
    for (std::size_t i = 0; i < n; ++i) rules.scorer.prefetch(rows_[i]);
  }

  /// Something that at least k bounds are above; -infinity where there are fewer.
  float below_kth(const float* bounds, std::size_t n, std::size_t k) {
    if (const float above = below_best(bounds, padded(n), k); above > -kInfinity) return above;
    copy_.assign(bounds, bounds + n);
    const auto kth = copy_.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(copy_.begin(), kth, copy_.end(), std::greater<>());
    return std::nextafter(*kth, -kInfinity);
  }

  /// Scores the first n rows asked for. Returns the least score, -infinity when one is none.
  template <class Rules>
  float score(const Rules& rules, float threshold, std::size_t n, std::vector<ScoredRow>& out) {
    rules.rescore(rows_.data(), n, scores_.data());
    float least = kInfinity;
    for (std::size_t i = 0; i < n; ++i) {
      least = scores_[i] > -kInfinity ? std::min(least, scores_[i]) : -kInfinity;
      if (scores_[i] > -kInfinity && rules.lowest(scores_[i]) - rules.constant() >= threshold) out.push_back({scores_[i], rows_[i]});
    }
    return least;
  }

  const float* bounds_ = nullptr;
  std::size_t n_ = 0;
  std::size_t k_ = 0;
  std::size_t count_ = 0;  // rows that are to be looked at
  bool blind_ = false;     // nothing was known before
  bool narrows_ = false;   // the best k tell which others
  std::vector<std::uint64_t> keys_;
  std::vector<float> copy_;
  std::vector<std::int32_t> rows_;
  std::vector<float> scores_;
  CloserQuery closer_;
};

}  // namespace etalage::search
