// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "search/kernel_names.hpp"
#include "search/row_order.hpp"

namespace etalage::search {

struct ScoredRows;

/// All rows of an order in panels of eight bits, for the blocks of a large batch: dim + 16 bytes a row.
class CodedPanels {
 public:
  CodedPanels(const ScoredRows& rows, const RowOrder& order, const CodeTable& table, int num_threads);
  [[nodiscard]] static std::size_t bytes(std::size_t rows, std::size_t dim) noexcept;
  /// The panel that begins with row `begin` of the order.
  [[nodiscard]] CodePanel at(std::size_t begin) const noexcept;
  [[nodiscard]] const CodeTable* table() const noexcept { return table_; }

 private:
  const CodeTable* table_;
  const RowOrder* order_;
  CodeShape shape_;
  std::vector<std::uint8_t> memory_;
  std::uint8_t* codes_;       // [panels][panel x width]
  std::vector<float> tails_;  // [panels][scale, error, norm][panel]
};

}  // namespace etalage::search
