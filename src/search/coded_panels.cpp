// SPDX-License-Identifier: Apache-2.0
#include "search/coded_panels.hpp"

#include <algorithm>
#include <cstring>

#include "detail/parallel_for.hpp"
#include "etalage/core/array.hpp"
#include "search/coded_scan.hpp"
#include "search/exact.hpp"

namespace etalage::search {
namespace {

constexpr std::size_t kTails = 3;

}  // namespace

std::size_t CodedPanels::bytes(std::size_t rows, std::size_t dim) noexcept { return rows * (CodeShape(dim).width + kTails * sizeof(float)); }

CodedPanels::CodedPanels(const ScoredRows& rows, const RowOrder& order, const CodeTable& table, int num_threads)
    : table_(&table), order_(&order), shape_(rows.dim) {
  const std::size_t n = order.rows.size();
  const std::size_t panels = (n + table.panel - 1) / table.panel;
  const std::size_t size = table.panel * shape_.width;
  memory_.resize(panels * size + kAlignment);
  codes_ = memory_.data() + (kAlignment - reinterpret_cast<std::uintptr_t>(memory_.data()) % kAlignment) % kAlignment;
  tails_.resize(panels * kTails * table.panel);
  detail::parallel_for(panels, 16, num_threads, [&](std::size_t first, std::size_t last, int) {
    CodedMemory memory;
    PanelBuilder builder(table, shape_, memory);
    for (std::size_t p = first; p < last; ++p) {
      const std::size_t begin = p * table.panel;
      const std::size_t count = std::min(table.panel, n - begin);
      for (std::size_t i = 0; i < count; ++i) builder.set(i, rows.data + order.rows[begin + i] * rows.stride);
      const CodePanel made = builder.finish(count, nullptr, false);
      std::memcpy(codes_ + p * size, made.codes, size);
      float* to = &tails_[p * kTails * table.panel];
      for (const float* from : {made.scale, made.error, made.norm}) to = std::copy_n(from, table.panel, to);
    }
  });
}

CodePanel CodedPanels::at(std::size_t begin) const noexcept {
  const std::size_t panel = table_->panel;
  const std::size_t p = begin / panel;
  const float* tails = &tails_[p * kTails * panel];
  CodePanel out;
  out.codes = codes_ + p * panel * shape_.width;
  out.valid = std::min(panel, order_->rows.size() - begin);
  out.width = (shape_.dim + 3) / 4 * 4;
  out.indices = &order_->rows[begin];
  out.scale = tails;
  out.error = tails + panel;
  out.norm = tails + 2 * panel;
  return out;
}

}  // namespace etalage::search
