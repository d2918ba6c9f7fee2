// SPDX-License-Identifier: Apache-2.0
#include "search/coded_scan.hpp"

#include <cstring>

#include "etalage/core/array.hpp"

namespace etalage::search {
namespace {

template <class T>
T* aligned(T* p) noexcept {
  const auto a = reinterpret_cast<std::uintptr_t>(p);
  return p + (kAlignment - a % kAlignment) % kAlignment / sizeof(T);
}

}  // namespace

void CodedMemory::set_queries(std::span<const CodedQuery> from, std::size_t padded) {
  at_least(terms, padded);
  at_least(thresholds, padded);
  at_least(found, padded);
  at_least(counts, padded);
  for (std::size_t q = 0; q < padded; ++q) {
    terms[q] = from[std::min(q, from.size() - 1)].terms;
    thresholds[q] = std::numeric_limits<float>::infinity();
    found[q] = nullptr;
    counts[q] = 0;
  }
}

PanelBuilder::PanelBuilder(const CodeTable& table, const CodeShape& shape, CodedMemory& memory)
    : table_(table),
      shape_(shape),
      codes_(aligned(at_least(memory.panel, table.panel * shape.width + shape.stride + 2 * kAlignment))),
      record_(codes_ + (table.panel * shape.width + kAlignment - 1) / kAlignment * kAlignment),
      scale_(at_least(memory.tails, 4 * kMostPanel)),  // as CodeTable::pack lays them
      error_(scale_ + kMostPanel),
      norm_(error_ + kMostPanel),
      norm2_(norm_ + kMostPanel) {
  std::memset(codes_, 128, table.panel * shape.width);
}

void PanelBuilder::set(std::size_t i, const std::uint8_t* record) noexcept {
  std::uint8_t* to = codes_ + 4 * i;
  const std::size_t step = 4 * table_.panel;
  for (std::size_t f = 0; f < shape_.width; f += 4, to += step) std::memcpy(to, record + f, 4);
  CodeTail tail;
  std::memcpy(&tail, record + shape_.width, sizeof tail);
  scale_[i] = tail.scale;
  error_[i] = tail.error;
  norm_[i] = tail.norm;
  norm2_[i] = tail.norm2;
}

void PanelBuilder::set_all(const std::uint8_t* const* records, std::size_t count) noexcept {
  if (table_.pack != nullptr) return table_.pack(records, count, shape_.width, codes_, scale_);
  for (std::size_t i = 0; i < count; ++i) set(i, records[i]);
}

void PanelBuilder::set(std::size_t i, const float* row) noexcept {
  table_.encode(row, shape_, record_);
  set(i, record_);
}

CodePanel PanelBuilder::finish(std::size_t count, const std::uint32_t* indices, bool distance) noexcept {
  for (float* values : {scale_, error_, norm_, norm2_}) std::fill(values + count, values + table_.panel, 0.0f);
  return {codes_, count, (shape_.dim + 3) / 4 * 4, indices, scale_, error_, norm_, distance ? norm2_ : nullptr};
}

}  // namespace etalage::search
