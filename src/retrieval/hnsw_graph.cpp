// SPDX-License-Identifier: Apache-2.0
#include "retrieval/hnsw_graph.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "retrieval/graph_linker.hpp"

namespace etalage::retrieval {

namespace {

constexpr std::int32_t kMostLayers = 16;

/// splitmix64: as good as random, and the same everywhere.
std::uint64_t mix(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t x = seed + 0x9e3779b97f4a7c15ULL * (i + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// The layers of a node, from seed and number alone: a graph that was saved and loaded goes on as if it had not been.
std::int32_t layers_of(std::size_t node, std::uint64_t seed, std::size_t M) {
  const double u = (static_cast<double>(mix(~seed, node) >> 11) + 0.5) * 0x1p-53;
  const double layer = std::floor(-std::log(u) / std::log(static_cast<double>(M)));
  return 1 + static_cast<std::int32_t>(std::min(layer, static_cast<double>(kMostLayers - 1)));
}

}  // namespace

HnswGraph::HnswGraph(const ItemIndexOptions& options, std::size_t capacity)
    : growing_(std::make_unique<Growing>()), M_(static_cast<std::size_t>(options.M)) {
  Growing& g = *growing_;
  g.seed = options.seed;
  g.capacity = capacity;
  g.levels.reserve(capacity);
  g.chosen.reserve(capacity);
  g.farthest.reserve(capacity);
  g.offsets.reserve(capacity + 1);
  g.offsets.push_back(0);
  std::size_t links = 0;
  for (std::size_t i = 0; i < capacity; ++i) links += M_ * static_cast<std::size_t>(layers_of(i, g.seed, M_) + 1);
  g.neighbors.reserve(links);
}

HnswGraph::~HnswGraph() = default;

std::shared_ptr<HnswGraph> HnswGraph::grown(const ItemIndexOptions& options, std::size_t capacity) const {
  const GraphView v = view();
  auto out = std::make_shared<HnswGraph>(options, 0);
  Growing& g = *out->growing_;
  g.capacity = std::max(capacity, v.nodes);
  g.levels.reserve(g.capacity);
  g.levels.assign(v.levels, v.levels + v.nodes);
  std::size_t links = 0;
  for (std::size_t i = 0; i < g.capacity; ++i)
    links += M_ * static_cast<std::size_t>((i < v.nodes ? v.levels[i] : layers_of(i, g.seed, M_)) + 1);
  g.neighbors.reserve(links);
  g.offsets.reserve(g.capacity + 1);
  for (std::size_t i = 0; i < v.nodes; ++i) {
    const auto node = static_cast<std::int32_t>(i);
    for (std::int32_t layer = 0; layer < v.levels[i]; ++layer) {
      const auto from = v.links(node, layer);
      g.neighbors.insert(g.neighbors.end(), from.begin(), from.end());
      if (layer == 0) g.neighbors.insert(g.neighbors.end(), 2 * M_ - from.size(), -1);
    }
    // What a packed node holds of upper layers begins within the 2 M places of its lowest.
    if (v.levels[i] > 1) {
      const auto begin = g.neighbors.begin() + static_cast<std::ptrdiff_t>(g.offsets.back());
      const auto end = begin + static_cast<std::ptrdiff_t>(2 * M_);
      std::fill(std::find(begin, end, -1), end, -1);
    }
    g.offsets.push_back(g.neighbors.size());
  }
  g.chosen.reserve(g.capacity);
  g.chosen.assign(v.nodes, 0);
  g.farthest.reserve(g.capacity);
  g.farthest.assign(v.nodes, -std::numeric_limits<float>::infinity());
  out->entry_ = v.entry;
  out->top_layer_ = v.top_layer;
  return out;
}

void HnswGraph::allocate(std::size_t nodes) {
  Growing& g = *growing_;
  for (std::size_t i = g.levels.size(); i < nodes; ++i) {
    g.levels.push_back(layers_of(i, g.seed, M_));
    g.offsets.push_back(g.offsets.back() + M_ * static_cast<std::size_t>(g.levels.back() + 1));
  }
  g.neighbors.resize(g.offsets.back(), -1);
  g.chosen.resize(nodes, 0);
  g.farthest.resize(nodes, -std::numeric_limits<float>::infinity());
}

std::span<std::int32_t> HnswGraph::places(std::int32_t node, std::int32_t layer) noexcept {
  const auto links = view().links(node, layer);
  return {growing_->neighbors.data() + (links.data() - growing_->neighbors.data()), links.size()};
}

void HnswGraph::pack() {
  const GraphView v = view();
  const auto used = [&](std::size_t i) {
    const auto links = v.links(static_cast<std::int32_t>(i), 0);
    const auto count = static_cast<std::size_t>(std::find(links.begin(), links.end(), -1) - links.begin());
    // Where upper layers follow, the end has to be marked.
    return v.levels[i] > 1 ? std::min(count + 1, links.size()) : count;
  };
  Array<std::uint64_t> offsets(v.nodes == 0 ? 0 : v.nodes + 1);
  if (v.nodes != 0) {
    std::uint64_t* to = offsets.mutable_data();
    for (std::size_t i = 0; i < v.nodes; ++i) to[i + 1] = to[i] + used(i) + M_ * static_cast<std::size_t>(v.levels[i] - 1);
  }
  Array<std::int32_t> neighbors(v.nodes == 0 ? 0 : offsets.back());
  std::int32_t* to = neighbors.mutable_data();
  for (std::size_t i = 0; i < v.nodes; ++i) {
    to = std::copy_n(v.links(static_cast<std::int32_t>(i), 0).data(), used(i), to);
    for (std::int32_t layer = 1; layer < v.levels[i]; ++layer) {
      const auto from = v.links(static_cast<std::int32_t>(i), layer);
      to = std::copy(from.begin(), from.end(), to);
    }
  }
  levels_ = Array<std::int32_t>(std::span(v.levels, v.nodes));
  offsets_ = std::move(offsets);
  neighbors_ = std::move(neighbors);
  growing_.reset();
}

GraphView HnswGraph::view() const noexcept {
  if (!growing_) return {offsets_.data(), levels_.data(), neighbors_.data(), levels_.size(), M_, entry_, top_layer_};
  const Growing& g = *growing_;
  return {g.offsets.data(), g.levels.data(), g.neighbors.data(), g.levels.size(), M_, entry_, top_layer_};
}

bool HnswGraph::has_room(std::size_t nodes) const noexcept { return growing_ != nullptr && nodes <= growing_->capacity; }

std::size_t HnswGraph::memory_bytes() const noexcept {
  if (!growing_) return offsets_.size() * sizeof(std::uint64_t) + (levels_.size() + neighbors_.size()) * sizeof(std::int32_t);
  const Growing& g = *growing_;
  return g.offsets.capacity() * sizeof(std::uint64_t) + (g.levels.capacity() + g.neighbors.capacity()) * sizeof(std::int32_t) +
         g.chosen.capacity() * sizeof(std::uint16_t) + g.farthest.capacity() * sizeof(float);
}

std::shared_ptr<HnswGraph> HnswGraph::build(const ItemIndexOptions& options, const LinkSpace& space, std::size_t rows, int num_threads) {
  auto graph = std::make_shared<HnswGraph>(options, rows);
  graph->allocate(rows);
  std::vector<std::int32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    const std::uint64_t x = mix(options.seed, static_cast<std::uint64_t>(a));
    const std::uint64_t y = mix(options.seed, static_cast<std::uint64_t>(b));
    return x != y ? x < y : a < b;
  });
  GraphLinker linker(*graph, space, options.ef_construction, num_threads);
  for (std::size_t begin = 0; begin < rows;) {
    const std::size_t count = std::min(GraphLinker::batch(begin), rows - begin);
    linker.link(std::span(order).subspan(begin, count));
    begin += count;
  }
  linker.connect(order);
  graph->pack();
  return graph;
}

void HnswGraph::save(StateWriter& writer) const {
  const GraphView v = view();
  writer.put_int("graph/entry", v.entry);
  writer.put_int("graph/top_layer", v.top_layer);
  // Copies: links change in place while the file is being written.
  writer.put_array("graph/offsets", Array<std::uint64_t>(std::span(v.offsets, v.nodes == 0 ? 0 : v.nodes + 1)));
  writer.put_array("graph/levels", Array<std::int32_t>(std::span(v.levels, v.nodes)));
  writer.put_array("graph/neighbors", Array<std::int32_t>(std::span(v.neighbors, v.nodes == 0 ? 0 : v.offsets[v.nodes])));
}

HnswGraph::HnswGraph(const StateReader& reader, int M, std::size_t nodes) : M_(static_cast<std::size_t>(M)) {
  const auto n = static_cast<std::int64_t>(nodes);
  offsets_ = reader.get_array<std::uint64_t>("graph/offsets", nodes == 0 ? 0 : nodes + 1);
  levels_ = reader.get_array<std::int32_t>("graph/levels", nodes);
  neighbors_ = reader.get_array<std::int32_t>("graph/neighbors", nodes == 0 ? 0 : offsets_.back());
  entry_ = static_cast<std::int32_t>(reader.get_int("graph/entry", nodes == 0 ? -1 : 0, n - 1));
  top_layer_ = static_cast<std::int32_t>(reader.get_int("graph/top_layer", -1, 64));
  if (nodes == 0) return;
  if (offsets_[0] != 0) reader.fail("graph/offsets", "found a first offset that is not 0");
  if (levels_[static_cast<std::size_t>(entry_)] != top_layer_ + 1)
    reader.fail("graph/top_layer", "found " + std::to_string(top_layer_) + ", which is not the entry's top layer");
  if (!reader.verify()) return;
  for (std::size_t i = 0; i < nodes; ++i) {
    if (levels_[i] < 1 || levels_[i] > top_layer_ + 1)
      reader.fail("graph/levels", "found " + std::to_string(levels_[i]) + " at " + std::to_string(i) + ", expected a value in [1, " +
                                      std::to_string(top_layer_ + 1) + "]");
    // Written packed; with 2 M places for the lowest layer before there was packing, and from a graph that grows.
    const std::size_t upper = M_ * static_cast<std::size_t>(levels_[i] - 1);
    if (offsets_[i + 1] < offsets_[i] || offsets_[i + 1] - offsets_[i] < upper || offsets_[i + 1] - offsets_[i] > upper + 2 * M_)
      reader.fail("graph/offsets", "found a node of another size than its layers have, at " + std::to_string(i));
    for (std::int32_t layer = 0; layer < levels_[i]; ++layer) {
      for (const std::int32_t link : view().links(static_cast<std::int32_t>(i), layer)) {
        if (link < 0) break;
        if (link >= n || levels_[static_cast<std::size_t>(link)] <= layer)
          reader.fail("graph/neighbors", "found link " + std::to_string(link) + " at node " + std::to_string(i) +
                                             ", which is no node of that layer");
      }
    }
  }
}

}  // namespace etalage::retrieval
