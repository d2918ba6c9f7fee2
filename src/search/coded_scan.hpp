// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "search/coded_memory.hpp"
#include "search/kernel_names.hpp"

namespace etalage::search {

inline constexpr std::size_t kPanelsADrain = 4;
inline constexpr std::size_t kEagerPanels = 8;
/// The most that a scan appends between two drains.
inline constexpr std::size_t kCodedStep = kMostPanel * kPanelsADrain;

/// A panel under construction: codes of up to 64 rows in lanes.
class PanelBuilder {
 public:
  PanelBuilder(const CodeTable& table, const CodeShape& shape, CodedMemory& memory);
  /// Row i of the next panel, from its record.
  void set(std::size_t i, const std::uint8_t* record) noexcept;
  /// Rows [0, count) of the next panel, from their records.
  void set_all(const std::uint8_t* const* records, std::size_t count) noexcept;
  /// Row i of the next panel, from its values.
  void set(std::size_t i, const float* row) noexcept;
  /// The panel of rows [0, count); `distance` asks for norms.
  [[nodiscard]] CodePanel finish(std::size_t count, const std::uint32_t* indices, bool distance) noexcept;

 private:
  const CodeTable& table_;
  CodeShape shape_;
  std::uint8_t* codes_;
  std::uint8_t* record_;
  float* scale_;
  float* error_;
  float* norm_;
  float* norm2_;
};

/// Queries of one block against all rows that `panels` hands out, panel by panel. make_panel(begin, count, builder,
/// indices) sets the rows; rules [queries] are those of BoundedBest; selections are begun here and left unfinished.
template <class Rules, class MakePanel>
void scan_coded_block(const CodeTable& table, const CodeShape& shape, std::span<const CodedQuery> queries, std::span<Rules> rules,
                      std::span<BoundedBest> selections, std::size_t rows, MakePanel make_panel, CodedMemory& memory) {
  const std::size_t padded = (queries.size() + table.group - 1) / table.group * table.group;
  memory.set_queries(queries, padded);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    memory.found[q] = selections[q].found;
    memory.counts[q] = selections[q].count;
    memory.thresholds[q] = selections[q].k > 0 ? selections[q].threshold : std::numeric_limits<float>::infinity();
  }
  PanelBuilder builder(table, shape, memory);
  std::uint32_t indices[kMostPanel] = {};
  std::size_t scanned = 0;
  const bool distance = !queries.empty() && queries[0].distance;
  for (std::size_t begin = 0; begin < rows; begin += table.panel) {
    const std::size_t count = std::min(table.panel, rows - begin);
    make_panel(begin, count, builder, indices);
    const CodePanel panel = builder.finish(count, indices, distance);
    table.scan_panel(panel, {queries.size(), memory.terms.data(), memory.thresholds.data(),
                             memory.found.data(), memory.counts.data()});
    // Thresholds rise quickly at first.
    if (++scanned > kEagerPanels && scanned % kPanelsADrain != 0) continue;
    for (std::size_t q = 0; q < queries.size(); ++q) {
      BoundedBest& s = selections[q];
      if (memory.counts[q] == s.checked) continue;
      s.count = memory.counts[q];
      s.drain(rules[q], memory.scratch);
      memory.counts[q] = s.count;
      memory.thresholds[q] = s.threshold;
    }
  }
  for (std::size_t q = 0; q < queries.size(); ++q) selections[q].count = memory.counts[q];
}

/// One query against records: `list` of n rows, or rows first .. first + n when it is null.
template <class Rules>
void scan_coded(const CodeTable& table, const CodeShape& shape, const std::uint8_t* records, const std::int32_t* list,
                std::size_t first, std::size_t n, const CodedQuery& query, Rules& rules, BoundedBest& s, BoundedScratch& scratch) {
  constexpr std::size_t kStep = 64;
  static_assert(kStep <= kCodedStep);
  float uppers[kStep];
  const auto row_of = [&](std::size_t i) { return list == nullptr ? first + i : static_cast<std::size_t>(list[i]); };
  for (std::size_t begin = 0; begin < n; begin += kStep) {
    const std::size_t count = std::min(kStep, n - begin);
    table.scores(query.terms, shape, records, list == nullptr ? nullptr : list + begin, first + begin, count, uppers);
    float most = uppers[0];
    for (std::size_t i = 1; i < count; ++i) most = uppers[i] > most ? uppers[i] : most;
    if (!(most > s.threshold)) continue;
    for (std::size_t i = 0; i < count; ++i) {
      if (!(uppers[i] > s.threshold)) continue;
      const std::size_t row = row_of(begin + i);
      CodeTail tail;
      __builtin_memcpy(&tail, records + row * shape.stride + shape.width, sizeof tail);
      const float wide = tail.error * query.terms.per_error + tail.norm * query.terms.per_norm;
      s.found[s.count++] = {uppers[i], uppers[i] - 2 * wide, std::numeric_limits<float>::quiet_NaN(), static_cast<std::uint32_t>(row)};
    }
    s.drain(rules, scratch);
  }
}

}  // namespace etalage::search
