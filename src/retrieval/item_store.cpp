// SPDX-License-Identifier: Apache-2.0
#include "retrieval/item_store.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "detail/huge_pages.hpp"

namespace etalage::retrieval {

ItemStore::ItemStore(std::size_t dimension, std::size_t row_capacity, bool with_norms2)
    : dim(dimension),
      shape(dimension),
      vectors(row_capacity * dimension, uninitialized),
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

ItemStore ItemStore::copy(std::size_t row_capacity, bool live_only) const {
  ItemStore out(dim, row_capacity, keeps_norms2);
  std::uint8_t* flags = out.alive.mutable_data();
  std::size_t count = 0;
  for (std::size_t r = 0; r < rows && out.ids.empty(); ++r)
    if ((!live_only || is_alive(r)) && id(r) != static_cast<std::int64_t>(count++)) out.keep_ids();
  for (std::size_t r = 0; r < rows; ++r) {
    if (live_only && !is_alive(r)) continue;
    const std::size_t to = out.rows++;
    std::memcpy(out.write_vectors_ + to * dim, vector(r), dim * sizeof(float));
    std::memcpy(out.write_codes_ + to * shape.stride, record(r), shape.stride);
    out.uncoded += std::isinf(tail(r).error);
    if (keeps_norms2) out.write_norms2_[to] = norm2(r);
    flags[to] = alive[r];
    out.note_norm(to);
    if (out.ids.empty()) continue;
    out.write_ids_[to] = id(r);
    if (is_alive(r)) out.table.assign(id(r), static_cast<std::int32_t>(to), out.ids.data());
  }
  out.live = live;
  return out;
}

ItemStore ItemStore::with_capacity(std::size_t row_capacity) const { return copy(std::max(row_capacity, rows), false); }

ItemStore ItemStore::compacted() const { return copy(live, true); }

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
