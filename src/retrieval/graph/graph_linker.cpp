// SPDX-License-Identifier: Apache-2.0
#include "retrieval/graph/graph_linker.hpp"

#include <algorithm>
#include <limits>

#include "detail/parallel_for.hpp"
#include "retrieval/graph/graph_walk.hpp"

namespace etalage::retrieval {

namespace {

constexpr std::size_t kWalks = SearchScratch::kWalks;
constexpr std::size_t kBuckets = 64;
constexpr std::size_t kMostAtOnce = 4096;
constexpr std::size_t kShareAtOnce = 32;  // of the graph
constexpr std::size_t kWorthAThread = 12;
constexpr std::int32_t kUnreached = -2;
constexpr float kNone = -std::numeric_limits<float>::infinity();

std::size_t count_of(std::span<const std::int32_t> places) {
  return static_cast<std::size_t>(std::find(places.begin(), places.end(), -1) - places.begin());
}

}  // namespace

GraphLinker::GraphLinker(HnswGraph& graph, const LinkSpace& space, int ef_construction, int num_threads)
    : graph_(graph), arrays_(*graph.growing_), space_(space), ef_(static_cast<std::size_t>(ef_construction)), threads_(num_threads), buckets_(kBuckets) {
  for (int t = 0; t < num_threads; ++t) {
    workers_.push_back(std::make_unique<Worker>());
    workers_.back()->scorers.assign(kWalks, LinkScorer(space_));
  }
}

std::size_t GraphLinker::batch(std::size_t linked) noexcept { return std::clamp<std::size_t>(linked / kShareAtOnce, 1, kMostAtOnce); }

void GraphLinker::link(std::span<const std::int32_t> nodes) {
  // A node that becomes the new entry is linked alone: the others of its layers have to find it.
  for (std::size_t begin = 0; begin < nodes.size();) {
    std::size_t end = begin;
    while (end < nodes.size() && arrays_.levels[static_cast<std::size_t>(nodes[end])] - 1 <= graph_.top_layer_) ++end;
    if (end > begin) link_together(nodes.subspan(begin, end - begin));
    if (end < nodes.size()) {
      if (graph_.entry_ >= 0) link_together(nodes.subspan(end, 1));
      graph_.entry_ = nodes[end];
      graph_.top_layer_ = arrays_.levels[static_cast<std::size_t>(nodes[end])] - 1;
      ++end;
    }
    begin = end;
  }
}

void GraphLinker::link_together(std::span<const std::int32_t> nodes) {
  // Threads that have less to do than it takes to start them are left out.
  const int threads = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(threads_), 1 + nodes.size() / kWorthAThread));
  detail::parallel_for(nodes.size(), kWalks, threads, [&](std::size_t begin, std::size_t end, int thread) {
    choose(nodes.subspan(begin, end - begin), *workers_[static_cast<std::size_t>(thread)]);
  });
  for (auto& bucket : buckets_) bucket.clear();
  for (auto& worker : workers_) {
    for (const Edge& edge : worker->edges) buckets_[static_cast<std::size_t>(edge.target) % kBuckets].push_back(edge);
    worker->edges.clear();
  }
  detail::parallel_for(kBuckets, 1, threads, [&](std::size_t begin, std::size_t, int thread) {
    std::vector<Edge>& edges = buckets_[begin];
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
      return a.target != b.target ? a.target < b.target : a.layer != b.layer ? a.layer < b.layer : a.source < b.source;
    });
    for (std::size_t i = 0; i < edges.size();) {
      std::size_t j = i + 1;
      while (j < edges.size() && edges[j].target == edges[i].target && edges[j].layer == edges[i].layer) ++j;
      take_back(std::span(edges).subspan(i, j - i), *workers_[static_cast<std::size_t>(thread)]);
      i = j;
    }
  });
}

void GraphLinker::choose(std::span<const std::int32_t> nodes, Worker& w) {
  const GraphView view = graph_.view();
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    LinkScorer& scorer = w.scorers[i];
    WalkState& walk = w.walks[i];
    scorer.set(nodes[i]);
    walk_prepare(view, ef_, walk);
    const std::int32_t top = std::min(view.level(static_cast<std::size_t>(nodes[i])) - 1, view.top_layer);
    ScoredRow at{scorer.one(view.entry), view.entry};
    at = descend(view, scorer, at, view.top_layer, top, walk.rows.data(), walk.scores.data(), walk.scored);
    for (std::int32_t layer = top; layer > 0; --layer) {
      walk_begin_at(at, walk);
      while (walk_gather(view, scorer, walk, layer)) walk_score(view, scorer, ef_, walk);
      take_chosen(nodes[i], layer, walk, w);
      at = {walk.pool[0].score, static_cast<std::int32_t>(walk.pool[0].row & ~kFollowed)};
      walk.visited.start(view.nodes);
    }
    walk_begin_at(at, walk);
  }
  bool open[kWalks] = {};
  std::size_t left = nodes.size();
  for (std::size_t i = 0; i < nodes.size(); ++i) open[i] = walk_gather(view, w.scorers[i], w.walks[i]);
  while (left > 0) {
    left = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (!open[i]) continue;
      walk_score(view, w.scorers[i], ef_, w.walks[i]);
      open[i] = walk_gather(view, w.scorers[i], w.walks[i]);
      left += open[i];
    }
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) take_chosen(nodes[i], 0, w.walks[i], w);
}

void GraphLinker::take_chosen(std::int32_t node, std::int32_t layer, const WalkState& walk, Worker& w) {
  const std::span<std::int32_t> places = graph_.places(node, layer);
  auto& candidates = w.choice.candidates;
  candidates.clear();
  for (std::size_t i = 0; i < walk.size; ++i)
    candidates.push_back({walk.pool[i].score, static_cast<std::int32_t>(walk.pool[i].row & ~kFollowed), false});
  LinkScorer& scorer = w.scorers[static_cast<std::size_t>(&walk - w.walks.data())];
  const std::size_t n = w.choice.from_candidates(space_, scorer.one(node), places.size(), candidates);
  for (std::size_t i = 0; i < n; ++i) {
    places[i] = candidates[i].row;
    w.edges.push_back({candidates[i].row, node, layer, candidates[i].similarity});
  }
  if (layer == 0) note_chosen(node, n, n == places.size() ? candidates[n - 1].similarity : kNone);
}

void GraphLinker::note_chosen(std::int32_t node, std::size_t count, float farthest) {
  arrays_.chosen[static_cast<std::size_t>(node)] = static_cast<std::uint16_t>(count);
  arrays_.farthest[static_cast<std::size_t>(node)] = farthest;
}

void GraphLinker::take_back(std::span<const Edge> edges, Worker& w) {
  const std::int32_t node = edges[0].target;
  const auto at = static_cast<std::size_t>(node);
  const std::int32_t layer = edges[0].layer;
  const std::span<std::int32_t> places = graph_.places(node, layer);
  std::size_t count = count_of(places);
  if (count + edges.size() <= places.size()) {
    for (const Edge& edge : edges) places[count++] = edge.source;
    return;
  }
  const float farthest = layer == 0 ? arrays_.farthest[at] : kNone;
  const std::size_t chosen = layer == 0 ? arrays_.chosen[at] : 0;
  auto& candidates = w.choice.candidates;
  candidates.clear();
  for (std::size_t i = 0; i < count; ++i) candidates.push_back({0, places[i], i < chosen});
  for (const Edge& edge : edges)
    if (edge.similarity > farthest) candidates.push_back({0, edge.source, false});
  if (candidates.size() == count) return;  // all are behind a full list of which nothing would go

  LinkScorer& scorer = w.scorers[0];
  scorer.set(node);
  auto& rows = w.choice.rows;
  auto& similarities = w.choice.similarities;
  rows.resize(candidates.size());
  similarities.resize(candidates.size());
  for (std::size_t i = 0; i < candidates.size(); ++i) rows[i] = candidates[i].row;
  scorer.rows(rows.data(), rows.size(), similarities.data());
  for (std::size_t i = 0; i < candidates.size(); ++i) candidates[i].similarity = similarities[i];
  std::sort(candidates.begin(), candidates.end(), [](const LinkCandidate& a, const LinkCandidate& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.row < b.row;
  });
  const std::size_t n = w.choice.from_list(space_, scorer.one(node), places.size(), candidates);
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = i < n ? candidates[i].row : -1;
  if (layer == 0) note_chosen(node, n, n == places.size() ? candidates[n - 1].similarity : kNone);
}

void GraphLinker::reach(std::int32_t from, std::span<std::int32_t> parents, std::vector<std::int32_t>& queue) const {
  const GraphView view = graph_.view();
  queue.assign(1, from);
  for (std::size_t head = 0; head < queue.size(); ++head) {
    for (const std::int32_t link : view.links(queue[head], 0)) {
      if (link < 0) break;
      if (parents[static_cast<std::size_t>(link)] != kUnreached) continue;
      parents[static_cast<std::size_t>(link)] = queue[head];
      queue.push_back(link);
    }
  }
}

bool GraphLinker::attach(std::int32_t node, std::int32_t to, std::span<std::int32_t> parents) {
  const std::span<std::int32_t> places = graph_.places(to, 0);
  std::size_t at = count_of(places);
  if (at == places.size()) {
    do {
      if (at == 0) return false;  // every link is some node's only way
    } while (parents[static_cast<std::size_t>(places[--at])] == to);
  }
  places[at] = node;
  parents[static_cast<std::size_t>(node)] = to;
  note_chosen(to, std::min<std::size_t>(arrays_.chosen[static_cast<std::size_t>(to)], at), kNone);
  return true;
}

void GraphLinker::connect(std::span<const std::int32_t> nodes) {
  if (graph_.entry_ < 0) return;
  std::vector<std::int32_t> parents(arrays_.levels.size(), kUnreached);
  std::vector<std::int32_t> queue;
  parents[static_cast<std::size_t>(graph_.entry_)] = -1;
  reach(graph_.entry_, parents, queue);
  const GraphView view = graph_.view();
  Worker& w = *workers_[0];
  std::uint64_t turn = 1;
  for (const std::int32_t node : nodes) {
    if (parents[static_cast<std::size_t>(node)] != kUnreached) continue;
    const auto reached = [&](std::int32_t to) { return parents[static_cast<std::size_t>(to)] != kUnreached; };
    bool done = false;
    std::int32_t nearest = graph_.entry_;
    for (const std::int32_t link : view.links(node, 0)) {
      if (link < 0 || done) break;
      done = reached(link) && attach(node, link, parents);
    }
    if (!done) {
      LinkScorer& scorer = w.scorers[0];
      WalkState& walk = w.walks[0];
      scorer.set(node);
      walk_begin(view, scorer, ef_, walk);
      while (walk_gather(view, scorer, walk)) walk_score(view, scorer, ef_, walk);
      for (std::size_t i = 0; i < walk.size && !done; ++i) {
        const auto to = static_cast<std::int32_t>(walk.pool[i].row & ~kFollowed);
        if (!reached(to)) continue;
        if (nearest == graph_.entry_) nearest = to;
        done = attach(node, to, parents);
      }
    }
    // All near ones are full of links that are some node's only way, as among many copies of one vector. Down the tree of
    // those ways a node without any has room; turns differ from node to node, so that the tree stays flat.
    for (std::int32_t to = nearest; !done && !attach(node, to, parents);) {
      const std::span<const std::int32_t> children = graph_.places(to, 0);
      turn = turn * 6364136223846793005ULL + 1442695040888963407ULL;
      to = children[static_cast<std::size_t>(turn >> 33) % children.size()];
    }
    reach(node, parents, queue);
  }
}

}  // namespace etalage::retrieval
