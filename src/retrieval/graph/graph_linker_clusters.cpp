// SPDX-License-Identifier: Apache-2.0
// Links of all nodes at once, chosen from near rows that clusters give.
#include <algorithm>
#include <limits>
#include <numeric>

#include "detail/parallel_for.hpp"
#include "retrieval/graph/cluster_candidates.hpp"
#include "retrieval/graph/graph_linker.hpp"

namespace etalage::retrieval {

void GraphLinker::link_clusters(const ClusterCandidates& clusters) {
  std::vector<ClusterCandidates::Worker> workers(workers_.size());
  detail::parallel_for(clusters.clusters(), 1, threads_, [&](std::size_t begin, std::size_t, int thread) {
    Worker& w = *workers_[static_cast<std::size_t>(thread)];
    clusters.each(begin, ef_ + 1, 2 * graph_.M_, workers[static_cast<std::size_t>(thread)],
                  [&](std::int32_t node, std::span<const kernels::Bounded> near, std::span<const kernels::Bounded> hubs) { choose_among(node, near, hubs, w); });
  });

  // Who chose a node, in order of their numbers.
  const std::size_t nodes = arrays_.levels.size();
  std::vector<std::size_t> ends(nodes + 1);
  const auto each_link = [&](const auto& visit) {
    for (std::size_t i = 0; i < nodes; ++i)
      for (const std::int32_t link : graph_.places(static_cast<std::int32_t>(i), 0)) {
        if (link < 0) break;
        visit(static_cast<std::int32_t>(i), static_cast<std::size_t>(link));
      }
  };
  each_link([&](std::int32_t, std::size_t target) { ++ends[target + 1]; });
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<std::int32_t> sources(ends.back());
  each_link([&](std::int32_t source, std::size_t target) { sources[ends[target]++] = source; });

  detail::parallel_for(nodes, 256, threads_, [&](std::size_t begin, std::size_t end, int thread) {
    Worker& w = *workers_[static_cast<std::size_t>(thread)];
    for (std::size_t i = begin; i < end; ++i) {
      const auto node = static_cast<std::int32_t>(i);
      const std::span<const std::int32_t> places = graph_.places(node, 0);
      w.edges.clear();
      for (std::size_t at = i == 0 ? 0 : ends[i - 1]; at < ends[i]; ++at)
        if (std::find(places.begin(), places.end(), sources[at]) == places.end())
          w.edges.push_back({node, sources[at], 0, std::numeric_limits<float>::infinity()});
      if (!w.edges.empty()) take_back(w.edges, w);
    }
  });
  for (auto& w : workers_) w->edges.clear();
}

void GraphLinker::choose_among(std::int32_t node, std::span<const kernels::Bounded> near, std::span<const kernels::Bounded> hubs, Worker& w) {
  const std::span<std::int32_t> places = graph_.places(node, 0);
  auto& rows = w.choice.rows;
  rows.clear();
  for (const std::int32_t link : places) {
    if (link < 0) break;
    rows.push_back(link);
  }
  for (const auto found : {near, hubs})
    for (const kernels::Bounded& b : found) rows.push_back(static_cast<std::int32_t>(b.index));
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  std::erase(rows, node);
  LinkScorer& scorer = w.scorers[0];
  scorer.set(node);
  auto& similarities = w.choice.similarities;
  similarities.resize(rows.size());
  scorer.rows(rows.data(), rows.size(), similarities.data());
  auto& candidates = w.choice.candidates;
  candidates.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) candidates.push_back({similarities[i], rows[i], false});
  std::sort(candidates.begin(), candidates.end(), [](const LinkCandidate& a, const LinkCandidate& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.row < b.row;
  });
  const std::size_t n = w.choice.from_candidates(space_, scorer.one(node), places.size(), candidates);
  for (std::size_t i = 0; i < places.size(); ++i) places[i] = i < n ? candidates[i].row : -1;
  note_chosen(node, n, n == places.size() ? candidates[n - 1].similarity : -std::numeric_limits<float>::infinity());
}

}  // namespace etalage::retrieval
