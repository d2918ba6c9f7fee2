// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "etalage/extend/state.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/graph/graph_view.hpp"
#include "retrieval/graph/link_scorer.hpp"

namespace etalage::retrieval {

/// The arrays of a graph, either with room to grow or at rest: packed, or as they lie in a file. Nodes are linked by
/// GraphLinker.
class HnswGraph {
 public:
  /// Empty, with room for `capacity` nodes.
  HnswGraph(const ItemIndexOptions& options, std::size_t capacity);
  HnswGraph(const StateReader& reader, int M, std::size_t nodes);
  ~HnswGraph();
  HnswGraph(const HnswGraph&) = delete;
  HnswGraph& operator=(const HnswGraph&) = delete;

  [[nodiscard]] GraphView view() const noexcept;
  [[nodiscard]] bool has_room(std::size_t nodes) const noexcept;
  /// A graph at rest of rows [0, rows) of a store, linked in an order that has nothing to do with theirs: items often
  /// come sorted, and a graph that was linked from short vectors to long ones finds less. Every row can be reached.
  [[nodiscard]] static std::shared_ptr<HnswGraph> build(const ItemIndexOptions& options, const LinkSpace& space, std::size_t rows,
                                                        int num_threads);
  /// A copy that can be linked to, with room for `capacity` nodes.
  [[nodiscard]] std::shared_ptr<HnswGraph> grown(const ItemIndexOptions& options, std::size_t capacity) const;
  /// Appends nodes without links, up to `nodes` in all; needs room.
  void allocate(std::size_t nodes);
  /// Gives back the places that no link fills and the room to grow. A link takes as few bytes as there are nodes, but at
  /// least `narrowest`.
  void pack(std::size_t narrowest = 2);

  void save(StateWriter& writer) const;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  friend class GraphLinker;
  /// Arrays with room; they never move under a reader.
  struct Growing {
    std::uint64_t seed = 0;
    std::size_t capacity = 0;
    std::vector<std::uint64_t> offsets;
    std::vector<std::int32_t> levels;
    std::vector<std::int32_t> neighbors;
    std::vector<std::uint16_t> chosen;  ///< [nodes], first links of layer 0 of which none makes another one needless
    std::vector<float> farthest;        ///< [nodes], similarity of the last link where layer 0 is full of chosen ones, or -infinity
  };
  [[nodiscard]] std::span<std::int32_t> places(std::int32_t node, std::int32_t layer) noexcept;

  /// What a view shows, in as few bytes as it takes.
  struct Packed {
    Array<std::uint64_t> bases;
    Array<std::uint32_t> rests;
    Array<std::uint8_t> levels;
    Array<std::uint8_t> places;
    std::size_t width = 0;
  };
  /// What a view shows, in the form that files have.
  struct Mapped {
    Array<std::uint64_t> offsets;
    Array<std::int32_t> levels;
    Array<std::int32_t> neighbors;
  };

  std::unique_ptr<Growing> growing_;  // null at rest
  std::size_t M_;
  Packed packed_;
  Mapped mapped_;
  std::int32_t entry_ = -1;
  std::int32_t top_layer_ = -1;
};

}  // namespace etalage::retrieval
