// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "retrieval/graph/graph_view.hpp"
#include "retrieval/scorer.hpp"
#include "retrieval/search_scratch.hpp"

namespace etalage::retrieval {

/// Copies the links of a node that `take` accepts, to where there is room for all; returns how many.
template <class Take>
std::size_t gather_links(const GraphView& graph, std::int32_t node, std::int32_t layer, std::int32_t* out, Take take) {
  std::size_t n = 0;
  for (const std::int32_t link : graph.links(node, layer)) {
    if (link < 0) break;
    out[n] = link;
    n += take(link) ? 1 : 0;
  }
  return n;
}

/// From `best` on layer `from` down to the layer above `to`, always to the best neighbour.
template <class Scorer>
ScoredRow descend(const GraphView& graph, const Scorer& scorer, ScoredRow best, std::int32_t from, std::int32_t to, std::int32_t* rows,
                  float* scores, std::size_t& scored) {
  for (std::int32_t layer = from; layer > to; --layer) {
    for (bool moved = true; moved;) {
      moved = false;
      const std::size_t n = gather_links(graph, best.row, layer, rows, [](std::int32_t) { return true; });
      scorer.rows(rows, n, scores);
      scored += n;
      for (std::size_t i = 0; i < n; ++i) {
        if (scores[i] > best.score) {
          best = {scores[i], rows[i]};
          moved = true;
        }
      }
    }
  }
  return best;
}

/// From the entry down to the lowest layer.
template <class Scorer>
ScoredRow descend(const GraphView& graph, const Scorer& scorer, std::int32_t* rows, float* scores, std::size_t& scored) {
  ++scored;
  return descend(graph, scorer, {scorer.one(graph.entry), graph.entry}, graph.top_layer, 0, rows, scores, scored);
}

/// The same search as walk() where every row counts, in steps that end where memory is waited for: walk_begin(), then
/// walk_gather() and walk_score() in turn until walk_gather() says no. Results are in pool[0, size), best first.
inline void walk_prepare(const GraphView& graph, std::size_t ef, WalkState& w) {
  w.visited.start(graph.nodes);
  Scratch::Impl::at_least(w.pool, ef + 2 * graph.M);
  Scratch::Impl::at_least(w.news, 2 * graph.M);
  Scratch::Impl::at_least(w.rows, 2 * graph.M);
  Scratch::Impl::at_least(w.scores, 2 * graph.M);
}
inline void walk_begin_at(ScoredRow best, WalkState& w) {
  w.visited.insert(best.row);
  w.pool[0] = {best.score, static_cast<std::uint32_t>(best.row)};
  w.size = 1;
  w.next = 0;
  w.pending = 0;
}
template <class Scorer>
void walk_begin(const GraphView& graph, const Scorer& scorer, std::size_t ef, WalkState& w) {
  walk_prepare(graph, ef, w);
  walk_begin_at(descend(graph, scorer, w.rows.data(), w.scores.data(), w.scored), w);
}

inline constexpr std::uint32_t kFollowed = std::uint32_t{1} << 31;
inline constexpr std::size_t kLinksAhead = 3;

/// Takes the links of the best open entry and asks for the rows behind them. False when there is no open entry.
template <class Scorer>
bool walk_gather(const GraphView& graph, const Scorer& scorer, WalkState& w, std::int32_t layer = 0) {
  if (w.next >= w.size) return false;
  WalkState::Entry& entry = w.pool[w.next];
  const auto row = static_cast<std::int32_t>(entry.row);
  entry.row |= kFollowed;
  w.pending = gather_links(graph, row, layer, w.rows.data(), [&](std::int32_t r) { return w.visited.insert(r); });
  for (std::size_t i = 0; i < w.pending; ++i) scorer.prefetch(w.rows[i]);
  return true;
}

/// Behind all entries that are at least as good; without a branch that nobody can predict.
inline std::size_t walk_place(const WalkState::Entry* pool, std::size_t size, float score) noexcept {
  const WalkState::Entry* at = pool;
  while (size > 1) {
    const std::size_t half = size / 2;
    at += at[half - 1].score >= score ? half : 0;
    size -= half;
  }
  return static_cast<std::size_t>(at - pool) + (size == 1 && at->score >= score ? 1 : 0);
}

/// Scores what walk_gather() took and asks for the links of the entry that is now the best open one, and a few more.
template <class Scorer>
void walk_score(const GraphView& graph, const Scorer& scorer, std::size_t ef, WalkState& w) {
  scorer.rows(w.rows.data(), w.pending, w.scores.data());
  w.scored += w.pending;
  WalkState::Entry* pool = w.pool.data();
  WalkState::Entry* news = w.news.data();
  const float worst = w.size == ef ? pool[w.size - 1].score : -std::numeric_limits<float>::infinity();
  std::size_t n = 0;
  for (std::size_t i = 0; i < w.pending; ++i) {
    news[n] = {w.scores[i], static_cast<std::uint32_t>(w.rows[i])};
    n += w.scores[i] > worst ? 1 : 0;
  }
  for (std::size_t i = 0; i < n; ++i) {
    graph.prefetch(news[i].row);
    const WalkState::Entry e = news[i];
    std::size_t at = i;
    for (; at > 0 && news[at - 1].score < e.score; --at) news[at] = news[at - 1];
    news[at] = e;
  }
  // From the last one on, so that every entry of the pool moves once, past all that get in before it.
  std::size_t end = w.size;
  for (std::size_t i = n; i-- > 0;) {
    const std::size_t at = walk_place(pool, end, news[i].score);
    std::copy_backward(pool + at, pool + end, pool + end + i + 1);
    pool[at + i] = news[i];
    end = at;
  }
  if (n > 0) w.next = std::min(w.next, end);
  w.size = std::min(w.size + n, ef);
  while (w.next < w.size && (pool[w.next].row & kFollowed) != 0) ++w.next;
  // Those after it are often the next ones.
  for (std::size_t i = w.next; i < std::min(w.next + kLinksAhead, w.size); ++i)
    if ((pool[i].row & kFollowed) == 0) graph.links(static_cast<std::int32_t>(pool[i].row), 0).prefetch();
}

/// Best-first search with `ef` kept results among the rows that `allowed` accepts (Malkov and Yashunin, algorithms 2 and
/// 5); rows that are not allowed are walked through. Leaves them in scratch.results, unordered. False when more than
/// `budget` scores would be needed: the caller knows a cheaper way.
template <class Scorer, class Allowed>
bool walk(const GraphView& graph, const Scorer& scorer, std::size_t ef, std::size_t budget, Allowed allowed,
          SearchScratch& scratch) {
  scratch.results.clear();
  scratch.frontier.clear();
  if (graph.entry < 0) return true;
  scratch.visited.start(graph.nodes);
  std::int32_t* rows = Scratch::Impl::at_least(scratch.rows, 2 * graph.M);
  float* scores = Scratch::Impl::at_least(scratch.scores, 2 * graph.M);

  const ScoredRow best = descend(graph, scorer, rows, scores, scratch.scored);
  auto& frontier = scratch.frontier;
  auto& results = scratch.results;
  const auto consider = [&](ScoredRow c) {
    if (results.size() >= ef && c.score <= results.front().score) return;
    frontier.push_back(c);
    std::push_heap(frontier.begin(), frontier.end(), BestOnTop{});
    if (!allowed(c.row)) return;
    results.push_back(c);
    std::push_heap(results.begin(), results.end(), WorstOnTop{});
    if (results.size() > ef) {
      std::pop_heap(results.begin(), results.end(), WorstOnTop{});
      results.pop_back();
    }
  };
  scratch.visited.insert(best.row);
  consider(best);
  std::size_t scored = 0;
  while (!frontier.empty()) {
    const ScoredRow c = frontier.front();
    if (results.size() >= ef && c.score < results.front().score) break;
    std::pop_heap(frontier.begin(), frontier.end(), BestOnTop{});
    frontier.pop_back();
    const std::size_t n =
        gather_links(graph, c.row, 0, rows, [&](std::int32_t row) { return scratch.visited.insert(row); });
    if (n > budget - scored) return false;
    scored += n;
    scratch.scored += n;
    scorer.rows(rows, n, scores);
    for (std::size_t i = 0; i < n; ++i) consider({scores[i], rows[i]});
  }
  return true;
}

}  // namespace etalage::retrieval
