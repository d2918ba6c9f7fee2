// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "etalage/core/state.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "kernels/code_kernels.hpp"
#include "retrieval/graph_walk.hpp"

namespace etalage::retrieval {

/// Where nodes lie and how far apart they are while they are linked.
struct LinkSpace {
  IndexMetric metric = IndexMetric::kCosine;
  const float* data = nullptr;    ///< [rows x dim]
  const float* norms2 = nullptr;  ///< [rows]
  std::size_t dim = 0;
  const std::uint8_t* records = nullptr;  ///< of the same rows in eight bits; null when some have none
  kernels::CodeShape shape;
  float radius2 = 0;              ///< kDot: R^2 of the extra coordinate sqrt(max(R^2 - |x|^2, 0))
};

/// False in a build without FAISS: graphs can be searched there, not built.
[[nodiscard]] bool can_build_graphs() noexcept;

/// The graph, either FAISS's own, which grows, or arrays of a file, which are only read.
class HnswGraph {
 public:
  /// Empty, with room for `capacity` nodes. UnsupportedError without FAISS.
  HnswGraph(const ItemIndexOptions& options, std::size_t capacity);
  HnswGraph(const StateReader& reader, int M, std::size_t nodes);
  ~HnswGraph();
  HnswGraph(const HnswGraph&) = delete;
  HnswGraph& operator=(const HnswGraph&) = delete;

  [[nodiscard]] GraphView view() const noexcept;
  [[nodiscard]] bool has_room(std::size_t nodes) const noexcept;
  /// A graph of rows [0, rows) of a store, linked in an order that has nothing to do with theirs:
  /// items often come sorted, and a graph that was linked from short vectors to long ones finds less.
  [[nodiscard]] static std::shared_ptr<HnswGraph> build(const ItemIndexOptions& options, const LinkSpace& space, std::size_t rows,
                                                        std::size_t capacity, int num_threads);
  /// A copy that can be linked to, with room for `capacity` nodes.
  [[nodiscard]] std::shared_ptr<HnswGraph> grown(const ItemIndexOptions& options, std::size_t capacity) const;
  /// Appends nodes without links, up to `nodes` in all; needs room.
  void allocate(std::size_t nodes);

  void save(StateWriter& writer) const;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

  /// Links nodes; made once for a whole mutation, because it owns per-thread working memory.
  class Linker {
   public:
    Linker(HnswGraph& graph, const LinkSpace& space, std::size_t capacity, int num_threads);
    ~Linker();
    Linker(const Linker&) = delete;
    Linker& operator=(const Linker&) = delete;
    /// Allocated nodes that are not linked yet.
    void link(std::span<const std::int32_t> nodes);
    /// How many nodes make a turn of link() worth while.
    [[nodiscard]] std::size_t batch() const noexcept;

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };

 private:
  struct Built;
  std::unique_ptr<Built> built_;  // null for a graph in a file
  std::size_t M_;
  Array<std::uint64_t> offsets_;
  Array<std::int32_t> levels_;
  Array<std::int32_t> neighbors_;
  std::int32_t entry_ = -1;
  std::int32_t top_layer_ = -1;
};

}  // namespace etalage::retrieval
