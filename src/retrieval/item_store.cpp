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

ItemStore::ItemStore(const kernels::CodeShape& records, std::size_t row_capacity, bool with_norms2)
    : dim(records.dim),
      shape(records),
      vectors(row_capacity * dim, uninitialized),
      codes(row_capacity * shape.stride, uninitialized),
      norms2(with_norms2 ? row_capacity : 0, uninitialized),
      alive(row_capacity),
      keeps_norms2(with_norms2),
      // Taken once, while nobody else holds the arrays: writing behind the published rows never copies.
      write_vectors_(vectors.mutable_data()),
      write_codes_(codes.mutable_data()),
      write_norms2_(norms2.mutable_data()),
      flags_owned_(true) {
  // Read in no order by walks: fewer, larger pages.
  detail::prefer_huge_pages(write_vectors_, vectors.size() * sizeof(float));
  detail::prefer_huge_pages(write_codes_, codes.size());
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

void ItemStore::take(std::size_t row, const ItemStore& from, std::size_t from_row, std::uint8_t* flags) noexcept {
  std::memcpy(write_vectors_ + row * dim, from.vector(from_row), dim * sizeof(float));
  std::memcpy(write_codes_ + row * shape.stride, from.record(from_row), shape.stride);
  if (!ids.empty()) write_ids_[row] = from.id(from_row);
  if (keeps_norms2) write_norms2_[row] = from.norm2(from_row);
  flags[row] = from.alive[from_row];
}

ItemStore ItemStore::with_capacity(std::size_t row_capacity) const {
  ItemStore out(shape, std::max(row_capacity, rows), keeps_norms2);
  if (!ids.empty()) out.keep_ids();
  std::uint8_t* flags = out.alive.mutable_data();
  for (std::size_t r = 0; r < rows; ++r) out.take(r, *this, r, flags);
  out.settle_copied(rows);
  return out;
}

ItemStore ItemStore::gathered(std::span<const std::int32_t> chosen, int num_threads) const {
  ItemStore out(shape, chosen.size(), keeps_norms2);
  for (std::size_t r = 0; r < chosen.size() && out.ids.empty(); ++r)
    if (id(static_cast<std::size_t>(chosen[r])) != static_cast<std::int64_t>(r)) out.keep_ids();
  std::uint8_t* flags = out.alive.mutable_data();
  detail::parallel_for(chosen.size(), 4096, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) out.take(r, *this, static_cast<std::size_t>(chosen[r]), flags);
  });
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

float ItemStore::norm2_of(const float* vector) const noexcept {
  float sum = 0;
  for (std::size_t f = 0; f < dim; ++f) sum += vector[f] * vector[f];
  return sum;
}

void ItemStore::write(std::size_t row, const float* vector, std::int64_t id) {
  std::memcpy(write_vectors_ + row * dim, vector, dim * sizeof(float));
  std::memset(write_codes_ + row * shape.stride, 0, shape.stride);
  kernels::code().encode(vector, shape, write_codes_ + row * shape.stride);
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
  return vectors.size() * sizeof(float) + codes.size() + ids.size() * sizeof(std::int64_t) + norms2.size() * sizeof(float) + alive.size() +
         table.slots().size() * sizeof(std::int32_t);
}

}  // namespace etalage::retrieval
