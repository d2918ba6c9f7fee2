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
    std::fill(bounds + n, bounds + padded(n), -kInfinity);
    if (keys_.size() < n) keys_.resize(n);
    const bool blind = threshold == -kInfinity;
    const float above = blind && n > k ? below_kth(bounds, n, k) : threshold;
    std::size_t count = collect(bounds, n, above);
    if (count == 0) return;
    const auto rules = rules_of();
    std::size_t known = 0;
    if (count > k + kFew || (blind && above > -kInfinity)) {
      std::nth_element(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(k - 1), keys_.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>());
      const std::uint64_t last = keys_[k - 1];
      const float least = score(rules, threshold, 0, k, row_of, out);
      threshold = std::max(threshold, std::nextafter(rules.lowest(least), -kInfinity) - rules.constant());
      if (blind) {
        count = collect(bounds, n, threshold);
        const auto end = keys_.begin() + static_cast<std::ptrdiff_t>(count);
        count = static_cast<std::size_t>(std::remove_if(keys_.begin(), end, [last](std::uint64_t key) { return key >= last; }) - keys_.begin());
      } else {
        const auto end = keys_.begin() + static_cast<std::ptrdiff_t>(count);
        const auto rest = keys_.begin() + static_cast<std::ptrdiff_t>(known = k);
        count = static_cast<std::size_t>(
            std::remove_if(rest, end, [threshold](std::uint64_t key) { return !(key_score(key) > threshold); }) - keys_.begin());
      }
    }
    if (count - known >= kManyLeft && threshold > -kInfinity) count = known + keep_closer(rules, threshold, known, count - known, row_of);
    if (count > known) score(rules, threshold, known, count - known, row_of, out);
  }

 private:
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
  static constexpr std::size_t kFew = 6;         // more than k: scored without a second look

  static constexpr std::size_t kManyLeft = 12;   // rows that pay for closer bounds

  /// Leaves those of keys [first, first + n) that closer bounds do not exclude, and returns how many these are.
  template <class Rules, class RowOf>
  std::size_t keep_closer(const Rules& rules, float threshold, std::size_t first, std::size_t n, const RowOf& row_of) {
    if (!rules.prepare(closer_)) return n;
    if (rows_.size() < n) rows_.resize(n), scores_.resize(n);
    for (std::size_t i = 0; i < n; ++i) rows_[i] = row_of(key_index(keys_[first + i]));
    rules.correct(closer_, rows_.data(), n, scores_.data());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::uint64_t key = keys_[first + i];
      keys_[first + kept] = key;
      kept += closer_.closer(key_score(key), scores_[i]) <= threshold ? 0 : 1;  // what is no number stays
    }
    return kept;
  }

  std::size_t collect(const float* bounds, std::size_t n, float above) {
    return scan().collect(bounds, padded(n), 0, above, keys_.data());
  }

  /// Something that at least k bounds are above; -infinity where there are fewer.
  float below_kth(const float* bounds, std::size_t n, std::size_t k) {
    if (const float above = below_best(bounds, padded(n), k); above > -kInfinity) return above;
    copy_.assign(bounds, bounds + n);
    const auto kth = copy_.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(copy_.begin(), kth, copy_.end(), std::greater<>());
    return std::nextafter(*kth, -kInfinity);
  }

  /// Scores keys [first, first + n). Returns the least score, -infinity when one is none.
  template <class Rules, class RowOf>
  float score(const Rules& rules, float threshold, std::size_t first, std::size_t n, const RowOf& row_of, std::vector<ScoredRow>& out) {
    if (rows_.size() < n) rows_.resize(n), scores_.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      rows_[i] = row_of(key_index(keys_[first + i]));
      rules.scorer.prefetch(rows_[i]);  // all on their way at once
    }
    rules.rescore(rows_.data(), n, scores_.data());
    float least = kInfinity;
    for (std::size_t i = 0; i < n; ++i) {
      least = scores_[i] > -kInfinity ? std::min(least, scores_[i]) : -kInfinity;
      if (scores_[i] > -kInfinity && rules.lowest(scores_[i]) - rules.constant() >= threshold) out.push_back({scores_[i], rows_[i]});
    }
    return least;
  }

  std::vector<std::uint64_t> keys_;
  std::vector<float> copy_;
  std::vector<std::int32_t> rows_;
  std::vector<float> scores_;
  CloserQuery closer_;
};

}  // namespace etalage::search
