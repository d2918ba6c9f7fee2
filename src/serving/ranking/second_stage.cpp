// SPDX-License-Identifier: Apache-2.0
#include "serving/ranking/second_stage.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "serving/ranking/model_query.hpp"
#include "serving/ranking/source_scratch.hpp"

namespace etalage::serving {

namespace {

/// Writes what was learned of known candidates over the mix's scores, [candidates]. Rank for rank: an unknown product stands between the
/// known one above it and the next one.
void write_scores(std::int32_t num_items, std::span<const float> learned, std::span<const std::int32_t> candidates, SecondStageScratch& s,
                  std::span<float> scores) {
  for (std::size_t i = 0; i < s.known.size(); ++i) scores[static_cast<std::size_t>(s.known[i])] = learned[i];
  if (s.known.size() == s.order.size()) return;
  s.best.resize(s.known.size());
  std::iota(s.best.begin(), s.best.end(), 0);
  std::sort(s.best.begin(), s.best.end(), [&](std::int32_t a, std::int32_t b) {
    const auto x = static_cast<std::size_t>(a), y = static_cast<std::size_t>(b);
    return learned[x] != learned[y] ? learned[x] > learned[y] : s.items[x] < s.items[y];
  });
  std::size_t next = 0;  // in best
  for (const std::int32_t i : s.order) {
    if (candidates[static_cast<std::size_t>(i)] < num_items) {
      ++next;
      continue;
    }
    if (next == 0) {
      scores[static_cast<std::size_t>(i)] = std::nextafter(learned[static_cast<std::size_t>(s.best[0])], std::numeric_limits<float>::infinity());
      continue;
    }
    const float above = learned[static_cast<std::size_t>(s.best[next - 1])];
    const float below = learned[static_cast<std::size_t>(s.best[std::min(next, s.best.size() - 1)])];
    scores[static_cast<std::size_t>(i)] = above + (below - above) / 2;
  }
}

}  // namespace

void score_anew(const LearnedRankerModel& ranker, const SourceQuery& query, bool ask_bag, CandidateSet& c, SecondStageScratch& s) {
  s.models = ask_bag ? ranker.bag().size() : 0;
  s.by_models.clear();
  for (std::size_t m = 0; m < s.models; ++m) s.by_models.insert(s.by_models.end(), c.scores.begin(), c.scores.end());
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
  s.learned_by.resize(s.models * s.items.size());
  ranker.rank(model_query(ranker, query, SourceScratch::of(s.scratch)), s.items, s.learned, s.scratch, s.learned_by);
  write_scores(ranker.num_items(), s.learned, c.items, s, c.scores);
  for (std::size_t m = 0; m < s.models; ++m)
    write_scores(ranker.num_items(), std::span(s.learned_by).subspan(m * s.items.size(), s.items.size()), c.items, s,
                 std::span(s.by_models).subspan(m * c.size(), c.size()));
}

}  // namespace etalage::serving
