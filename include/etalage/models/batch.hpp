// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "etalage/core/item_filter.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

// Many calls of one kind at once, over num_threads threads (0: all CPUs this process may use). Results are those of the
// single calls. out [n x k]; counts [n] says how many of each row were written, the rest of the row is left alone.
// std::invalid_argument when out or counts have fewer rows than there are questions; errors of the single calls.

/// filters: none, one for all items, or one an item; null entries allow everything.
ETALAGE_EXPORT void similar_items_batch(const Recommender& model, std::span<const std::int32_t> items,
                                        std::span<const ItemFilter* const> filters, MatrixView<ItemScore> out,
                                        std::span<std::size_t> counts, int num_threads = 0);

/// The same for users.
ETALAGE_EXPORT void similar_users_batch(const Recommender& model, std::span<const std::int32_t> users,
                                        MatrixView<ItemScore> out, std::span<std::size_t> counts, int num_threads = 0);

/// items [1 x m] for all queries or [n x m] with a row a query; out [n x m].
ETALAGE_EXPORT void score_batch(const Recommender& model, std::span<const Query> queries, MatrixView<const std::int32_t> items,
                                MatrixView<float> out, int num_threads = 0);

}  // namespace etalage
