// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "retrieval/graph/hnsw_graph.hpp"
#include "retrieval/graph/link_choice.hpp"
#include "retrieval/graph/link_scorer.hpp"
#include "retrieval/search_scratch.hpp"

namespace etalage::retrieval {

class ClusterCandidates;

/// Links nodes into a graph, a batch at a time: all nodes of a batch choose their links in the graph as it was before the
/// batch, each on its own; then every node that was chosen takes up its links back, each on its own. So nothing is locked
/// and the graph is the same for any number of threads. Made once for a mutation: it owns working memory.
///
/// Source  Malkov, Yashunin, TPAMI 2020 (insertion, choice of links); Manohar et al., PPoPP 2024 (batches that grow with
///         the graph)
class GraphLinker {
 public:
  GraphLinker(HnswGraph& graph, const LinkSpace& space, int ef_construction, int num_threads);

  /// How many nodes to link at once to a graph of `linked` nodes: few enough that they hardly miss each other.
  [[nodiscard]] static std::size_t batch(std::size_t linked) noexcept;
  /// Allocated nodes that are not linked yet.
  void link(std::span<const std::int32_t> nodes);
  /// Gives every node a way to it from the entry on the lowest layer, in place of links that are no one's only way.
  void connect(std::span<const std::int32_t> nodes);
  /// Links all allocated nodes on the lowest layer, in place of what they have there already, which they may keep.
  void link_clusters(const ClusterCandidates& clusters);

 private:
  struct Edge {
    std::int32_t target;
    std::int32_t source;
    std::int32_t layer;
    float similarity;
  };
  struct Worker {
    std::array<WalkState, SearchScratch::kWalks> walks;
    std::vector<LinkScorer> scorers;  ///< [kWalks]
    LinkChoice choice;
    std::vector<Edge> edges;
  };

  void link_together(std::span<const std::int32_t> nodes);
  void choose(std::span<const std::int32_t> nodes, Worker& w);
  void choose_among(std::int32_t node, std::span<const kernels::Bounded> near, std::span<const kernels::Bounded> hubs, Worker& w);
  void take_chosen(std::int32_t node, std::int32_t layer, const WalkState& walk, Worker& w);
  /// The first `count` links of the lowest layer leave each other in place; nothing farther gets into a full list.
  void note_chosen(std::int32_t node, std::size_t count, float farthest);
  void take_back(std::span<const Edge> edges, Worker& w);
  void reach(std::int32_t from, std::span<std::int32_t> parents, std::vector<std::int32_t>& queue) const;
  [[nodiscard]] bool attach(std::int32_t node, std::int32_t to, std::span<std::int32_t> parents);

  HnswGraph& graph_;
  HnswGraph::Growing& arrays_;
  LinkSpace space_;
  std::size_t ef_;
  int threads_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::vector<Edge>> buckets_;
};

}  // namespace etalage::retrieval
