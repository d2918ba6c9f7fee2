// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"

namespace etalage {

/// For each item the num_candidates items that share the most with it, by the cosine c_ij / (|i| |j|) > 0, c = X^T X: rows sorted by item.
CsrMatrix candidate_items(const CsrView& user_items, const CsrView& item_users, std::size_t num_candidates, int num_threads);

/// The Gram matrix of a few items, made from the rows of their users. One a thread; memory 4 (m + 16)^2 + O(num_users).
class LocalGram {
 public:
  LocalGram(const CsrView& item_users, std::size_t max_items);

  /// gram() (i, j) = x_i . x_j for the items of the list (distinct), at most max_items. Deterministic.
  void build(std::span<const std::int32_t> items);
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Row stride: size() rounded up to a multiple of 16; padding is 0.
  [[nodiscard]] std::size_t stride() const noexcept { return stride_; }
  /// [stride x stride], 64-byte aligned; the upper triangle is filled, what lies below is left undefined.
  [[nodiscard]] float* gram() noexcept { return gram_data_; }

 private:
  struct Entry {
    std::int32_t item;
    float value;
  };
  CsrView item_users_;
  std::vector<std::int64_t> place_;      // [num_users], 0 between builds
  std::vector<std::int32_t> users_;      // those that the items touch
  std::vector<Entry> entries_;           // their items, user after user
  Array<float> gram_;
  float* gram_data_;
  std::size_t size_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace etalage
