// SPDX-License-Identifier: Apache-2.0
// Skip-gram with negative sampling over a matrix of neighbouring items.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/models/item2vec.hpp"
#include "models/pairwise/block_schedule.hpp"

namespace etalage::skip_gram {

/// Draws from [0, weights.size()) in proportion to weights (Vose's alias method), in O(1).
class AliasTable {
 public:
  void build(std::span<const float> weights);
  [[nodiscard]] std::size_t draw(detail::RandomStream& random) const noexcept;

 private:
  std::vector<float> keep_;
  std::vector<std::uint32_t> other_;
};

class Trainer {
 public:
  /// neighbors [num_items x num_items]: how often an epoch should meet each pair (center, context), on average.
  /// counts [num_items]: occurrences, by whose power negatives are drawn.
  Trainer(const Item2VecOptions& options, CsrView neighbors, std::span<const float> counts);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  /// Mean loss of the epoch's pairs before their steps, 0 unless computed.
  double epoch(int number);
  /// Center vectors of unit length [num_items x factors]; items that never occurred have a zero one.
  [[nodiscard]] Array<float> unit_vectors() const;

 private:
  double run(std::size_t center_block, std::size_t context_block, int epoch, float rate);

  Item2VecOptions options_;
  std::span<const float> counts_;
  detail::BlockSchedule schedule_;
  std::size_t n_;
  Array<float> center_rows_;
  Array<float> context_rows_;
  float* centers_;
  float* contexts_;
  std::vector<AliasTable> negatives_;  // by context block
};

}  // namespace etalage::skip_gram
