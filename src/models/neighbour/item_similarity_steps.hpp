// SPDX-License-Identifier: Apache-2.0
// ItemKnnModel::fit and RandomWalkModel::fit in pieces, for training that is spread over processes: each call makes the
// weights of a block of consecutive items. Put together they give the bits of fit(). Options must be settled()
// (auto_settings.hpp): no step sees the whole of the data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/export.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/random_walk.hpp"

namespace etalage {

/// A block of items, and the whole rows of all who have one of them.
struct ETALAGE_EXPORT ItemBlock {
  CsrMatrix users;        ///< [users of the block x all items], the users ascending, rows sorted by column
  std::int32_t first = 0; ///< row of the block's first item
  std::int32_t count = 0; ///< items of the block, from first on
};

/// What similarities ask about all items. Spans of all items, or empty where nothing asks.
struct ETALAGE_EXPORT ItemTotals {
  std::int64_t num_users = 0;       ///< of all blocks
  std::span<const double> lengths;  ///< bm25: sum of an item's values
  double mean_length = 0;           ///< bm25: of all items, added in their order
  std::span<const double> squares;  ///< |j|^2, of item_knn_squares()
};

/// |i|^2 of the block's items: [count].
/// Errors     std::invalid_argument (options, shapes)
[[nodiscard]] ETALAGE_EXPORT std::vector<double> item_knn_squares(const ItemKnnOptions& options, const ItemBlock& block,
                                                                  const ItemTotals& totals);
/// Rows first to first + count of W: [count x all items].
[[nodiscard]] ETALAGE_EXPORT CsrMatrix item_knn_rows(const ItemKnnOptions& options, const ItemBlock& block, const ItemTotals& totals);
/// The same of P3alpha and RP3beta. users_of: of each item, how many have it.
[[nodiscard]] ETALAGE_EXPORT CsrMatrix random_walk_rows(const RandomWalkOptions& options, const ItemBlock& block,
                                                        std::span<const std::int64_t> users_of);

}  // namespace etalage
