// SPDX-License-Identifier: Apache-2.0
#include "retrieval/item_store.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "detail/huge_pages.hpp"

namespace etalage::retrieval {

ItemStore::ItemStore(std::size_t dimension, std::size_t row_capacity)
    : dim(dimension),
      shape(dimension),
      vectors(row_capacity * dimension, uninitialized),
      codes(row_capacity * shape.stride, uninitialized),
      ids(row_capacity, uninitialized),
      norms2(row_capacity, uninitialized),
      alive(row_capacity),
      table(row_capacity),
      // Taken once, while nobody else holds the arrays: writing behind the published rows never copies.
      write_vectors_(vectors.mutable_data()),
      write_codes_(codes.mutable_data()),
      write_ids_(ids.mutable_data()),
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
  ItemStore out(dim, row_capacity);
  std::uint8_t* flags = out.alive.mutable_data();
  for (std::size_t r = 0; r < rows; ++r) {
    if (live_only && !is_alive(r)) continue;
    const std::size_t to = out.rows++;
    std::memcpy(out.write_vectors_ + to * dim, vector(r), dim * sizeof(float));
    std::memcpy(out.write_codes_ + to * shape.stride, record(r), shape.stride);
    out.uncoded += std::isinf(tail(r).error);
    out.write_ids_[to] = ids[r];
    out.write_norms2_[to] = norms2[r];
    flags[to] = alive[r];
    if (is_alive(r)) out.table.assign(ids[r], static_cast<std::int32_t>(to), out.ids.data());
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

void ItemStore::write(std::size_t row, const float* vector, std::int64_t id) {
  float norm2 = 0;
  for (std::size_t f = 0; f < dim; ++f) norm2 += vector[f] * vector[f];
  std::memcpy(write_vectors_ + row * dim, vector, dim * sizeof(float));
  std::memset(write_codes_ + row * shape.stride, 0, shape.stride);
  kernels::code().encode(vector, shape, write_codes_ + row * shape.stride);
  write_ids_[row] = id;
  write_norms2_[row] = norm2;
}

void ItemStore::publish() {
  const std::int64_t id = ids[rows];
  const std::int32_t old = find(id);
  std::uint8_t* flags = alive.mutable_data();
  if (old >= 0) flags[old] = 0;
  flags[rows] = 1;
  table.assign(id, static_cast<std::int32_t>(rows), ids.data());
  uncoded += std::isinf(tail(rows).error);
  live += old < 0;
  ++rows;
}

void ItemStore::kill(std::int64_t id) {
  alive.mutable_data()[find(id)] = 0;
  table.erase(id, ids.data());
  --live;
}

std::size_t ItemStore::memory_bytes() const noexcept {
  return vectors.size() * sizeof(float) + codes.size() + ids.size() * sizeof(std::int64_t) + norms2.size() * sizeof(float) + alive.size() +
         table.slots().size() * sizeof(std::int32_t);
}

}  // namespace etalage::retrieval
