// SPDX-License-Identifier: Apache-2.0
#include "serving/ranking/second_stage.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "serving/ranking/model_query.hpp"
#include "serving/ranking/source_scratch.hpp"

namespace etalage::serving {

void score_anew(const LearnedRankerModel& ranker, const SourceQuery& query, CandidateSet& c, SecondStageScratch& s) {
  s.order.clear();
  for (std::size_t i = 0; i < c.size(); ++i)
    if (c.from_fallback[i] == 0) s.order.push_back(static_cast<std::int32_t>(i));
  std::sort(s.order.begin(), s.order.end(), [&](std::int32_t a, std::int32_t b) {
    const auto x = static_cast<std::size_t>(a), y = static_cast<std::size_t>(b);
    return c.scores[x] != c.scores[y] ? c.scores[x] > c.scores[y] : c.items[x] < c.items[y];
  });
  s.known.clear();
  s.items.clear();
  for (const std::int32_t i : s.order) {
    const std::int32_t item = c.items[static_cast<std::size_t>(i)];
    if (item >= ranker.num_items()) continue;
    s.known.push_back(i);
    s.items.push_back(item);
  }
  if (s.items.empty()) return;
  s.learned.resize(s.items.size());
  ranker.rank(model_query(ranker, query, SourceScratch::of(s.scratch)), s.items, s.learned, s.scratch);
  for (std::size_t i = 0; i < s.known.size(); ++i) c.scores[static_cast<std::size_t>(s.known[i])] = s.learned[i];
  if (s.known.size() == s.order.size()) return;
  s.best.resize(s.known.size());
  std::iota(s.best.begin(), s.best.end(), 0);
  std::sort(s.best.begin(), s.best.end(), [&](std::int32_t a, std::int32_t b) {
    const auto x = static_cast<std::size_t>(a), y = static_cast<std::size_t>(b);
    return s.learned[x] != s.learned[y] ? s.learned[x] > s.learned[y] : s.items[x] < s.items[y];
  });
  // Rank for rank: an unknown product stands between the known one above it and the next one.
  std::size_t next = 0;  // in best
  for (const std::int32_t i : s.order) {
    if (c.items[static_cast<std::size_t>(i)] < ranker.num_items()) {
      ++next;
      continue;
    }
    if (next == 0) {
      c.scores[static_cast<std::size_t>(i)] = std::nextafter(s.learned[static_cast<std::size_t>(s.best[0])], std::numeric_limits<float>::infinity());
      continue;
    }
    const float above = s.learned[static_cast<std::size_t>(s.best[next - 1])];
    const float below = s.learned[static_cast<std::size_t>(s.best[std::min(next, s.best.size() - 1)])];
    c.scores[static_cast<std::size_t>(i)] = above + (below - above) / 2;
  }
}

}  // namespace etalage::serving
