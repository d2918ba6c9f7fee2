// SPDX-License-Identifier: Apache-2.0
#include "retrieval/graph/hnsw_graph.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "detail/huge_pages.hpp"
#include "detail/random_stream.hpp"
#include "retrieval/graph/cluster_candidates.hpp"
#include "retrieval/graph/graph_linker.hpp"

namespace etalage::retrieval {

namespace {

constexpr std::int32_t kMostLayers = 16;

/// splitmix64: as good as random, and the same everywhere.
std::uint64_t mix(std::uint64_t seed, std::uint64_t i) { return detail::split_mix(seed + detail::kSplitMixStep * (i + 1)); }

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
  for (std::size_t i = 0; i < v.nodes; ++i) g.levels.push_back(v.level(i));
  std::size_t links = 0;
  for (std::size_t i = 0; i < g.capacity; ++i)
    links += M_ * static_cast<std::size_t>((i < v.nodes ? g.levels[i] : layers_of(i, g.seed, M_)) + 1);
  g.neighbors.reserve(links);
  g.offsets.reserve(g.capacity + 1);
  for (std::size_t i = 0; i < v.nodes; ++i) {
    const auto node = static_cast<std::int32_t>(i);
    for (std::int32_t layer = 0; layer < g.levels[i]; ++layer) {
      const Links from = v.links(node, layer);
      for (const std::int32_t link : from) g.neighbors.push_back(link);
      if (layer == 0) g.neighbors.insert(g.neighbors.end(), 2 * M_ - from.size(), -1);
    }
    // What a packed node holds of upper layers begins within the 2 M places of its lowest.
    if (g.levels[i] > 1) {
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
  Growing& g = *growing_;
  const auto at = static_cast<std::size_t>(node);
  if (layer == 0) return {g.neighbors.data() + g.offsets[at], 2 * M_};
  return {g.neighbors.data() + g.offsets[at + 1] - M_ * static_cast<std::size_t>(g.levels[at] - layer), M_};
}

void HnswGraph::pack(std::size_t narrowest) {
  const GraphView v = view();
  Packed to;
  // All ones is no node.
  for (to.width = narrowest; to.width < sizeof(std::int32_t) && v.nodes >= std::size_t{1} << (8 * to.width);) ++to.width;
  if (v.nodes != 0) {
    to.bases = Array<std::uint64_t>(v.nodes / GraphView::kBlock + 1);
    to.rests = Array<std::uint32_t>(v.nodes + 1);
    to.levels = Array<std::uint8_t>(v.nodes);
  }
  const auto used = [&](std::size_t i) {
    const Links links = v.links(static_cast<std::int32_t>(i), 0);
    // Where upper layers follow, the end has to be marked.
    return v.level(i) > 1 ? std::min(links.used() + 1, links.size()) : links.used();
  };
  std::uint64_t* bases = to.bases.mutable_data();
  std::uint32_t* rests = to.rests.mutable_data();
  std::uint8_t* levels = to.levels.mutable_data();
  std::uint64_t count = 0;
  for (std::size_t i = 0; v.nodes != 0 && i <= v.nodes; ++i) {
    if (i % GraphView::kBlock == 0) bases[i / GraphView::kBlock] = count;
    rests[i] = static_cast<std::uint32_t>(count - bases[i / GraphView::kBlock]);
    if (i == v.nodes) break;
    levels[i] = static_cast<std::uint8_t>(v.level(i));
    count += used(i) + M_ * static_cast<std::size_t>(v.level(i) - 1);
  }
  to.places = Array<std::uint8_t>(count * to.width + sizeof(std::int32_t), uninitialized);
  std::uint8_t* place = to.places.mutable_data();
  detail::prefer_huge_pages(place, to.places.size());  // read in no order by walks
  std::memset(place + count * to.width, 0, sizeof(std::int32_t));
  const auto put = [&](std::int32_t link) {
    std::memcpy(place, &link, to.width);
    place += to.width;
  };
  for (std::size_t i = 0; i < v.nodes; ++i) {
    std::size_t left = used(i);
    for (const std::int32_t link : v.links(static_cast<std::int32_t>(i), 0)) {
      if (left-- == 0) break;
      put(link);
    }
    for (std::int32_t layer = 1; layer < v.level(i); ++layer)
      for (const std::int32_t link : v.links(static_cast<std::int32_t>(i), layer)) put(link);
  }
  packed_ = std::move(to);
  growing_.reset();
}

GraphView HnswGraph::view() const noexcept {
  GraphView v;
  v.M = M_;
  v.entry = entry_;
  v.top_layer = top_layer_;
  const auto show = [&v](const auto& offsets, const auto& levels, const auto& neighbors) {
    v.nodes = levels.size();
    v.places = reinterpret_cast<const std::uint8_t*>(neighbors.data());
    v.offsets = offsets.data();
    v.levels = levels.data();
  };
  if (growing_) {
    show(growing_->offsets, growing_->levels, growing_->neighbors);
  } else if (packed_.width == 0) {
    show(mapped_.offsets, mapped_.levels, mapped_.neighbors);
  } else {
    v.nodes = packed_.levels.size();
    v.places = packed_.places.data();
    v.width = packed_.width;
    v.bases = packed_.bases.data();
    v.rests = packed_.rests.data();
    v.small_levels = packed_.levels.data();
  }
  return v;
}

bool HnswGraph::has_room(std::size_t nodes) const noexcept { return growing_ != nullptr && nodes <= growing_->capacity; }

std::size_t HnswGraph::memory_bytes() const noexcept {
  if (!growing_)
    return (packed_.bases.size() + mapped_.offsets.size()) * sizeof(std::uint64_t) + packed_.rests.size() * sizeof(std::uint32_t) +
           packed_.levels.size() + packed_.places.size() + (mapped_.levels.size() + mapped_.neighbors.size()) * sizeof(std::int32_t);
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
  std::span<const std::int32_t> walked = order;
  const bool clustered = ClusterCandidates::suit(space, rows);
  if (clustered) {
    // Walks link the nodes that are on upper layers too: these make the ways that lead far.
    const auto upper = std::stable_partition(order.begin(), order.end(), [&](std::int32_t r) { return graph->growing_->levels[static_cast<std::size_t>(r)] > 1; });
    walked = std::span(order).first(static_cast<std::size_t>(upper - order.begin()));
  }
  for (std::size_t begin = 0; begin < walked.size();) {
    const std::size_t count = std::min(GraphLinker::batch(begin), walked.size() - begin);
    linker.link(walked.subspan(begin, count));
    begin += count;
  }
  if (clustered) {
    std::vector<std::uint8_t> is_hub(rows);
    for (const std::int32_t r : walked) is_hub[static_cast<std::size_t>(r)] = 1;
    linker.link_clusters(ClusterCandidates(space, std::move(is_hub), options.seed, num_threads));
  }
  linker.connect(order);
  graph->pack();
  return graph;
}

void HnswGraph::save(StateWriter& writer) const {
  const GraphView v = view();
  writer.put_int("graph/entry", v.entry);
  writer.put_int("graph/top_layer", v.top_layer);
  // Copies: links change in place while the file is being written. Files have one form, whatever the graph's is.
  const Links links = v.all_links();
  Array<std::uint64_t> offsets(v.nodes == 0 ? 0 : v.nodes + 1, uninitialized);
  Array<std::int32_t> levels(v.nodes, uninitialized);
  Array<std::int32_t> neighbors(links.size(), uninitialized);
  for (std::size_t i = 0; std::uint64_t& offset : offsets.mutable_view()) offset = v.begin_of(i++);
  for (std::size_t i = 0; std::int32_t& level : levels.mutable_view()) level = v.level(i++);
  std::int32_t* to = neighbors.mutable_data();
  for (const std::int32_t link : links) *to++ = link;
  writer.put_array("graph/offsets", offsets);
  writer.put_array("graph/levels", levels);
  writer.put_array("graph/neighbors", neighbors);
}

HnswGraph::HnswGraph(const StateReader& reader, int M, std::size_t nodes) : M_(static_cast<std::size_t>(M)) {
  const auto n = static_cast<std::int64_t>(nodes);
  auto& [offsets, levels, neighbors] = mapped_;
  offsets = reader.get_array<std::uint64_t>("graph/offsets", nodes == 0 ? 0 : nodes + 1);
  levels = reader.get_array<std::int32_t>("graph/levels", nodes);
  neighbors = reader.get_array<std::int32_t>("graph/neighbors", nodes == 0 ? 0 : offsets.back());
  entry_ = static_cast<std::int32_t>(reader.get_int("graph/entry", nodes == 0 ? -1 : 0, n - 1));
  top_layer_ = static_cast<std::int32_t>(reader.get_int("graph/top_layer", -1, 64));
  if (nodes == 0) return;
  if (offsets[0] != 0) reader.fail("graph/offsets", "found a first offset that is not 0");
  if (levels[static_cast<std::size_t>(entry_)] != top_layer_ + 1)
    reader.fail("graph/top_layer", "found " + std::to_string(top_layer_) + ", which is not the entry's top layer");
  if (!reader.verify()) return;
  for (std::size_t i = 0; i < nodes; ++i) {
    if (levels[i] < 1 || levels[i] > top_layer_ + 1)
      reader.fail("graph/levels", "found " + std::to_string(levels[i]) + " at " + std::to_string(i) + ", expected a value in [1, " +
                                      std::to_string(top_layer_ + 1) + "]");
    // Written packed; with 2 M places for the lowest layer before there was packing, and from a graph that grows.
    const std::size_t upper = M_ * static_cast<std::size_t>(levels[i] - 1);
    if (offsets[i + 1] < offsets[i] || offsets[i + 1] - offsets[i] < upper || offsets[i + 1] - offsets[i] > upper + 2 * M_)
      reader.fail("graph/offsets", "found a node of another size than its layers have, at " + std::to_string(i));
    for (std::int32_t layer = 0; layer < levels[i]; ++layer) {
      // Behind the -1 that ends a layer's links too, where nobody should look but one who copies whole parts. The lowest layer's
      // places may run into those of the layers above, whose nodes are on it as well.
      for (const std::int32_t link : view().links(static_cast<std::int32_t>(i), layer)) {
        if (link == -1) continue;
        if (link < 0 || link >= n || levels[static_cast<std::size_t>(link)] <= layer)
          reader.fail("graph/neighbors", "found link " + std::to_string(link) + " at node " + std::to_string(i) +
                                             ", which is no node of that layer");
      }
    }
  }
}

}  // namespace etalage::retrieval
