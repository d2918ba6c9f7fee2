// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/extend/candidate_source.hpp"
#include "core/scratch.hpp"

namespace etalage::serving {

/// Working memory of candidate sources, apart from what models and indexes use.
struct SourceScratch {
  std::vector<ItemScore> found;
  std::vector<ItemScore> merged;
  std::vector<ItemScore> fresh;
  std::vector<Neighbor> neighbors;
  std::vector<std::int32_t> history;
  std::vector<std::int32_t> session;
  std::vector<std::int32_t> timed;
  std::vector<std::int64_t> times;
  std::vector<float> vector;

  static SourceScratch& of(Scratch& scratch) { return scratch.impl().part<SourceScratch>(); }
};

/// More than `most` asked for is never needed.
inline std::size_t asked(std::size_t wanted, std::size_t denied, std::size_t most) noexcept {
  return std::min(most, wanted + denied);
}

/// Copies what the query allows; returns how many were written.
inline std::size_t keep_allowed(const SourceQuery& query, std::span<const ItemScore> found, std::span<ItemScore> out) noexcept {
  std::size_t n = 0;
  for (const ItemScore& s : found) {
    if (n == out.size()) break;
    if (query.allows(s.item)) out[n++] = s;
  }
  return n;
}

/// The best of `list` with the scores of equal items added up, descending, ties by lower item; `list` is reordered.
inline std::size_t add_up(std::vector<ItemScore>& list, std::span<ItemScore> out) {
  std::sort(list.begin(), list.end(), [](const ItemScore& a, const ItemScore& b) { return a.item < b.item; });
  std::size_t n = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (n != 0 && list[n - 1].item == list[i].item) list[n - 1].score += list[i].score;
    else list[n++] = list[i];
  }
  list.resize(n);
  const std::size_t k = std::min(n, out.size());
  std::partial_sort(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(k), list.end(),
                    [](const ItemScore& a, const ItemScore& b) { return a.score != b.score ? a.score > b.score : a.item < b.item; });
  std::copy_n(list.begin(), k, out.begin());
  return k;
}

inline std::span<const std::int32_t> last(std::span<const std::int32_t> items, std::size_t n) noexcept {
  return items.size() <= n ? items : items.subspan(items.size() - n);
}

/// The items of a request that a source which knows products but no shoppers asks about: the page's, else the latest.
inline std::span<const std::int32_t> subject(const RequestContext& request, std::size_t recent) noexcept {
  if (!request.anchors.empty()) return request.anchors;
  return last(request.session.empty() ? request.history : request.session, recent);
}

/// Keeps the k largest of e's contributions.
inline void keep_largest(Explanation& e, std::size_t k) {
  std::stable_sort(e.contributions.begin(), e.contributions.end(), [](const ItemScore& a, const ItemScore& b) { return a.score > b.score; });
  if (e.contributions.size() > k) e.contributions.resize(k);
}

}  // namespace etalage::serving
