// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "retrieval/graph/link_scorer.hpp"
#include "search/coded_memory.hpp"

namespace etalage::retrieval {

/// Near rows of all rows at once, for links: rows are put in clusters, and those of a cluster are scored against the rows
/// of the clusters nearest to it, panel by panel in eight bits. A score costs a fortieth of one that a walk comes across,
/// whose row has to be waited for; so many more are affordable.
///
/// Source  Wang et al., "Scalable k-NN graph construction for visual descriptors", CVPR 2012 (neighbours by partitions);
///         Fu et al., VLDB 2019 (links chosen from near rows found beforehand)
class ClusterCandidates {
 public:
  /// Working memory of one thread.
  struct Worker {
    search::CodedMemory memory;
    std::vector<kernels::Bounded> found;
    std::vector<std::vector<kernels::Bounded>> near;  ///< [kTogether]
    std::vector<std::uint32_t> around;                ///< rows of the clusters near the one in work
    std::vector<std::uint32_t> sparse;                ///< the hubs among rows of more clusters
  };

  /// Whether rows can be scored so, and are many enough for it to be quicker.
  [[nodiscard]] static bool suit(const LinkSpace& space, std::size_t rows) noexcept;
  /// Of rows [0, is_hub.size()) of the space. Same bits for any number of threads.
  ClusterCandidates(const LinkSpace& space, std::vector<std::uint8_t> is_hub, std::uint64_t seed, int num_threads);

  [[nodiscard]] std::size_t clusters() const noexcept { return begins_.size() - 1; }
  [[nodiscard]] std::span<const std::int32_t> members(std::size_t cluster) const noexcept {
    return std::span(rows_).subspan(begins_[cluster], begins_[cluster + 1] - begins_[cluster]);
  }
  /// Calls take(row, near, hubs) for each member of a cluster with up to `keep` of its nearest rows and `keep_hubs` of its
  /// nearest hubs, itself perhaps among either, in no order. Where all near rows are in one tight group, hubs lead out of it.
  template <class Take>
  void each(std::size_t cluster, std::size_t keep, std::size_t keep_hubs, Worker& w, Take take) const {
    const std::span<const std::int32_t> rows = members(cluster);
    gather_around(cluster, keep, w);
    for (std::size_t begin = 0; begin < rows.size(); begin += kTogether) {
      const std::span<const std::int32_t> some = rows.subspan(begin, std::min(kTogether, rows.size() - begin));
      scan(some, keep, w.around, w);
      w.near.resize(kTogether);
      for (std::size_t i = 0; i < some.size(); ++i) w.near[i].assign(w.memory.found[i], w.memory.found[i] + w.memory.counts[i]);
      scan(some, keep_hubs, w.sparse, w);
      for (std::size_t i = 0; i < some.size(); ++i)
        take(some[i], std::span<const kernels::Bounded>(w.near[i]), std::span<const kernels::Bounded>(w.memory.found[i], w.memory.counts[i]));
    }
  }

 private:
  static constexpr std::size_t kTogether = 128;  ///< rows that share a panel

  void gather_around(std::size_t cluster, std::size_t keep, Worker& w) const;
  void scan(std::span<const std::int32_t> rows, std::size_t keep, std::span<const std::uint32_t> around, Worker& w) const;

  LinkSpace space_;
  std::vector<std::uint8_t> is_hub_;
  std::vector<std::int32_t> rows_;      ///< cluster by cluster
  std::vector<std::size_t> begins_;     ///< [clusters + 1]
  std::vector<std::uint32_t> nearest_;  ///< [clusters x near_], by falling nearness, itself first
  std::size_t near_ = 0;
};

}  // namespace etalage::retrieval
