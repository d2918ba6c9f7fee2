// SPDX-License-Identifier: Apache-2.0
// Vectors as the store of an index holds them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "retrieval/index_data.hpp"
#include "retrieval/item_store.hpp"

namespace etalage::test {

/// Row i has the id i.
inline retrieval::ItemStore store_of(const Vectors& v) {
  retrieval::ItemStore store(v.dim, v.rows());
  for (std::size_t i = 0; i < v.rows(); ++i) {
    store.write(i, v.row(i).data(), static_cast<std::int64_t>(i));
    store.publish();
  }
  return store;
}

}  // namespace etalage::test
