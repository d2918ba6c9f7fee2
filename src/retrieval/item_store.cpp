// SPDX-License-Identifier: Apache-2.0
#include "retrieval/item_store.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "detail/huge_pages.hpp"
#include "detail/parallel_for.hpp"

namespace etalage::retrieval {

ItemStore::ItemStore(const kernels::CodeShape& records, std::size_t row_capacity, bool with_norms2, bool splits_rows)
    : dim(records.dim),
      shape(records),
      split(splits_rows),
      vectors(split ? 0 : row_capacity * dim, uninitialized),
      parts{.rest = Array<std::uint8_t>(split ? row_capacity * kernels::SplitShape::bytes(dim) : 0, uninitialized), .odd = {}, .odd_vectors = {}},
      codes(row_capacity * shape.stride, uninitialized),
      norms2(with_norms2 ? row_capacity : 0, uninitialized),
      alive(row_capacity),
      keeps_norms2(with_norms2),
      // Taken once, while nobody else holds the arrays: writing behind the published rows never copies.
      write_vectors_(vectors.mutable_data()),
      write_rest_(parts.rest.mutable_data()),
      write_codes_(codes.mutable_data()),
      write_norms2_(norms2.mutable_data()),
      flags_owned_(true) {
  // Read in no order by walks: fewer, larger pages.
  detail::prefer_huge_pages(write_vectors_, vectors.size() * sizeof(float));
  detail::prefer_huge_pages(write_codes_, codes.size());
  detail::prefer_huge_pages(write_rest_, parts.rest.size());
}

kernels::CodeTail ItemStore::tail(std::size_t row) const noexcept {
  kernels::CodeTail t;
  std::memcpy(&t, record(row) + shape.width, sizeof t);
  return t;
}

void ItemStore::encode_all() {
  codes = Array<std::uint8_t>(rows * shape.stride, uninitialized);
  std::uint8_t* to = codes.mutable_data();
  uncoded = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    std::memset(to + r * shape.stride, 0, shape.stride);
    kernels::code().encode(vector(r), shape, to + r * shape.stride);
    uncoded += std::isinf(tail(r).error);
  }
}

bool ItemStore::take(std::size_t row, const ItemStore& from, std::size_t from_row, std::uint8_t* flags) noexcept {
  std::memcpy(write_codes_ + row * shape.stride, from.record(from_row), shape.stride);
  if (!ids.empty()) write_ids_[row] = from.id(from_row);
  if (keeps_norms2) write_norms2_[row] = from.norm2(from_row);
  flags[row] = from.alive[from_row];
  if (!split) {
    from.stored().copy(from_row, write_vectors_ + row * dim);
    return true;
  }
  const std::size_t bytes = kernels::SplitShape::bytes(dim);
  std::uint8_t* rest = write_rest_ + row * bytes;
  if (from.split) {
    std::memcpy(rest, from.parts.rest.data() + from_row * bytes, bytes);
    return !from.stored().has_odd(from_row);
  }
  return split_row(from.vector(from_row), write_codes_ + row * shape.stride, shape, rest);
}

void ItemStore::keep_odd(std::size_t row, const float* vector) {
  const std::size_t count = parts.odd.size();
  if (count == odd_room_) {
    // By halves: an array that is large already grows by what is asked for alone.
    odd_room_ = count + count / 2 + 1;
    parts.odd_vectors.resize(odd_room_ * dim);
  }
  parts.odd_vectors.resize((count + 1) * dim);
  std::memcpy(parts.odd_vectors.mutable_data() + count * dim, vector, dim * sizeof(float));
  parts.odd.resize(count + 1);
  parts.odd.mutable_data()[count] = static_cast<std::int32_t>(row);
}

ItemStore ItemStore::with_capacity(std::size_t row_capacity) const {
  ItemStore out(shape, std::max(row_capacity, rows), keeps_norms2, split);
  if (!ids.empty()) out.keep_ids();
  std::uint8_t* flags = out.alive.mutable_data();
  for (std::size_t r = 0; r < rows; ++r) {
    float memory[kMostSplit];
    if (!out.take(r, *this, r, flags)) out.keep_odd(r, stored().row(r, memory));
  }
  out.settle_copied(rows);
  return out;
}

ItemStore ItemStore::gathered(std::span<const std::int32_t> chosen, int num_threads, bool splits_rows) const {
  ItemStore out(shape, chosen.size(), keeps_norms2, splits_rows);
  for (std::size_t r = 0; r < chosen.size() && out.ids.empty(); ++r)
    if (id(static_cast<std::size_t>(chosen[r])) != static_cast<std::int64_t>(r)) out.keep_ids();
  std::uint8_t* flags = out.alive.mutable_data();
  std::vector<std::uint8_t> odd(splits_rows ? chosen.size() : 0);
  detail::parallel_for(chosen.size(), 4096, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r)
      if (!out.take(r, *this, static_cast<std::size_t>(chosen[r]), flags)) odd[r] = 1;
  });
  if (is_too_odd(static_cast<std::size_t>(std::count(odd.begin(), odd.end(), 1)), chosen.size())) return gathered(chosen, num_threads, false);
  float memory[kMostSplit];
  for (std::size_t r = 0; r < odd.size(); ++r)
    if (odd[r] != 0) out.keep_odd(r, stored().row(static_cast<std::size_t>(chosen[r]), memory));
  out.settle_copied(chosen.size());
  return out;
}

void ItemStore::settle_copied(std::size_t count) {
  for (; rows < count; ++rows) {
    uncoded += std::isinf(tail(rows).error);
    note_norm(rows);
    live += is_alive(rows);
    if (!ids.empty() && is_alive(rows)) table.assign(ids[rows], static_cast<std::int32_t>(rows), ids.data());
  }
}

void ItemStore::own_flags() {
  (void)alive.mutable_data();
  table.own();
  flags_owned_ = true;
}

bool ItemStore::takes(std::span<const std::int64_t> next) const noexcept {
  if (!ids.empty()) return true;
  for (std::size_t i = 0; i < next.size(); ++i)
    if (next[i] != static_cast<std::int64_t>(rows + i)) return false;
  return true;
}

void ItemStore::keep_ids() {
  if (!ids.empty()) return;
  Array<std::int64_t> kept(capacity(), uninitialized);
  write_ids_ = kept.mutable_data();
  std::iota(write_ids_, write_ids_ + capacity(), std::int64_t{0});
  IdTable all(capacity());
  for (std::size_t r = 0; r < rows; ++r)
    if (is_alive(r)) all.assign(static_cast<std::int64_t>(r), static_cast<std::int32_t>(r), kept.data());
  ids = std::move(kept);
  table = std::move(all);
}

float ItemStore::summed_norm2(std::size_t row) const noexcept {
  float memory[kMostSplit];
  return norm2_of(stored().row(row, memory));
}

float ItemStore::norm2_of(const float* vector) const noexcept {
  float sum = 0;
  for (std::size_t f = 0; f < dim; ++f) sum += vector[f] * vector[f];
  return sum;
}

void ItemStore::write(std::size_t row, const float* vector, std::int64_t id) {
  std::uint8_t* record = write_codes_ + row * shape.stride;
  std::memset(record, 0, shape.stride);
  kernels::code().encode(vector, shape, record);
  if (!split) {
    std::memcpy(write_vectors_ + row * dim, vector, dim * sizeof(float));
  } else {
    // What was written before and never published.
    while (!odd_to_come_.empty() && odd_to_come_.back().first >= row) odd_to_come_.pop_back();
    if (!split_row(vector, record, shape, write_rest_ + row * kernels::SplitShape::bytes(dim)))
      odd_to_come_.emplace_back(row, std::vector<float>(vector, vector + dim));
  }
  if (!ids.empty()) write_ids_[row] = id;
  if (keeps_norms2) write_norms2_[row] = norm2_of(vector);
}

void ItemStore::note_norm(std::size_t row) noexcept {
  if (row != falling) return;
  const float norm = tail(row).norm;
  if (row > 0 && !(norm <= kFallingSlack * shortest_)) return;
  shortest_ = row == 0 ? norm : std::min(shortest_, norm);
  ++falling;
}

void ItemStore::publish() {
  if (!odd_to_come_.empty() && odd_to_come_.front().first == rows) {
    keep_odd(rows, odd_to_come_.front().second.data());
    odd_to_come_.pop_front();
  }
  const std::int32_t old = find(id(rows));
  std::uint8_t* flags = alive.mutable_data();
  if (old >= 0) flags[old] = 0;
  flags[rows] = 1;
  if (!ids.empty()) table.assign(ids[rows], static_cast<std::int32_t>(rows), ids.data());
  uncoded += std::isinf(tail(rows).error);
  note_norm(rows);
  live += old < 0;
  ++rows;
}

void ItemStore::kill(std::int64_t id) {
  alive.mutable_data()[find(id)] = 0;
  if (!ids.empty()) table.erase(id, ids.data());
  --live;
}

std::size_t ItemStore::memory_bytes() const noexcept {
  return (vectors.size() + parts.odd_vectors.size()) * sizeof(float) + parts.rest.size() + parts.odd.size() * sizeof(std::int32_t) + codes.size() + ids.size() * sizeof(std::int64_t) + norms2.size() * sizeof(float) + alive.size() +
         table.slots().size() * sizeof(std::int32_t);
}

}  // namespace etalage::retrieval
