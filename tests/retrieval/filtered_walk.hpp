// SPDX-License-Identifier: Apache-2.0
// Filters that are answered by walking through what is not allowed: the index is large enough, and the settings small
// enough, that reading the allowed rows would cost more (see ItemIndex::Impl::scans).
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>

#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"

namespace etalage::test {

inline void expect_recall_under_filters(std::size_t items, ItemIndexOptions options, std::initializer_list<std::int64_t> one_in, double lowest) {
  constexpr std::size_t dim = 16;
  const auto data = clustered(items, dim, 200, 1);
  const auto queries = clustered(100, dim, 200, 2);
  ItemIndex exact(dim, IndexMetric::kCosine, IndexKind::kExact);
  ItemIndex index(dim, IndexMetric::kCosine, IndexKind::kHnsw, options);
  exact.add(data.view(), id_range(0, items));
  index.add(data.view(), id_range(0, items));
  for (const std::int64_t every : one_in) {
    const auto ids = id_range(1, items / static_cast<std::size_t>(every), every);
    const ItemFilter filter = ItemFilter::allow(std::span<const std::int64_t>(ids));
    const auto found = search_all(index, queries, 10, &filter);
    for (const auto& row : found) {
      ASSERT_EQ(row.size(), 10u);
      for (const Neighbor& n : row) ASSERT_TRUE(filter.allows(n.id));
    }
    EXPECT_GE(recall(found, search_all(exact, queries, 10, &filter)), lowest) << "one in " << every;
  }
}

}  // namespace etalage::test
