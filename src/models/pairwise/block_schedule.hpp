// SPDX-License-Identifier: Apache-2.0
// The order in which stochastic gradient descent goes over the entries of a matrix, side by side and yet repeatable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "detail/random_stream.hpp"
#include "etalage/core/csr_matrix.hpp"

namespace etalage::detail {

/// Rows and columns are cut into B random blocks each (rows once, columns anew in every epoch). A task is one pair of
/// blocks; tasks that run at the same time share no row and no column, and two tasks that share one run in the same order
/// for any number of threads (Gemulla et al., KDD 2011).
class BlockSchedule {
 public:
  struct Pair {
    std::int32_t row;
    std::int32_t column;
  };
  /// What a task does; returns its share of the loss.
  using Task = std::function<double(std::size_t row_block, std::size_t column_block)>;

  /// entries: each is gone through once an epoch; with values, value times on average.
  BlockSchedule(CsrView entries, std::uint64_t seed, int num_threads);
  /// One pass over all entries; returns the sum of the tasks' losses, in fixed order. `ready` runs once blocks are known.
  double epoch(int number, const std::function<void()>& ready, const Task& task);

  [[nodiscard]] std::size_t blocks() const noexcept { return blocks_; }
  /// Pairs of the last epoch.
  [[nodiscard]] std::size_t num_pairs() const noexcept { return pairs_.size(); }
  [[nodiscard]] std::span<const std::int32_t> columns_of(std::size_t block) const noexcept;
  /// The pairs of two blocks, in random order.
  [[nodiscard]] std::span<const Pair> pairs(std::size_t row_block, std::size_t column_block) const noexcept {
    const std::size_t at = row_block * blocks_ + column_block;
    return {pairs_.data() + begin_[at], begin_[at + 1] - begin_[at]};
  }
  /// Draws that belong to one task of one epoch.
  [[nodiscard]] RandomStream stream(int epoch, std::size_t row_block, std::size_t column_block) const noexcept;

 private:
  void arrange(std::uint64_t epoch);
  CsrView entries_;
  std::uint64_t seed_;
  int num_threads_;
  std::size_t blocks_;
  std::vector<std::int32_t> row_order_;  // block b holds an equal part
  std::vector<std::int32_t> column_order_;
  std::vector<std::uint8_t> column_block_;
  std::vector<Pair> pairs_;           // by row block, then column block
  std::vector<std::size_t> begin_;    // [blocks^2 + 1]
  std::vector<double> losses_;        // [blocks^2]
};

/// 0 .. n - 1 in random order.
[[nodiscard]] std::vector<std::int32_t> random_order(std::size_t n, RandomStream random);

/// Bell-shaped, variance 1: the sum of four uniform numbers. No mathematical library has a say in the bits.
[[nodiscard]] float bell(RandomStream& random) noexcept;

/// 1 / (1 + e^x); the same bits on every machine.
[[nodiscard]] float logistic_slope(float x) noexcept;

/// ln(1 + e^-x), for reports.
[[nodiscard]] double logistic_loss(float x) noexcept;

}  // namespace etalage::detail
