// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/batch.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "detail/parallel_for.hpp"

namespace etalage {
namespace {

/// one(i, scratch) for every i in [0, n), one Scratch a thread.
template <class F>
void for_each(std::size_t n, int num_threads, const F& one) {
  const auto threads = static_cast<std::size_t>(detail::resolve_threads(num_threads));
  std::vector<Scratch> scratch(threads);
  const std::size_t grain = std::clamp<std::size_t>(n / (threads * 16), 1, 64);
  detail::parallel_for(n, grain, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    for (std::size_t i = begin; i < end; ++i) one(i, scratch[static_cast<std::size_t>(thread)]);
  });
}

void require_rows(const char* name, std::size_t rows, std::size_t needed) {
  if (rows < needed)
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(rows) + " rows, must have one for each of the " +
                                std::to_string(needed) + " questions");
}

}  // namespace

void similar_items_batch(const Recommender& model, std::span<const std::int32_t> items,
                         std::span<const ItemFilter* const> filters, MatrixView<ItemScore> out, std::span<std::size_t> counts,
                         int num_threads) {
  require_rows("out", out.rows(), items.size());
  require_rows("counts", counts.size(), items.size());
  if (filters.size() > 1) require_rows("filters", filters.size(), items.size());
  for_each(items.size(), num_threads, [&](std::size_t i, Scratch& scratch) {
    const ItemFilter* filter = filters.empty() ? nullptr : filters[filters.size() == 1 ? 0 : i];
    counts[i] = model.similar_items(items[i], out.row(i), scratch, filter);
  });
}

void similar_users_batch(const Recommender& model, std::span<const std::int32_t> users, MatrixView<ItemScore> out,
                         std::span<std::size_t> counts, int num_threads) {
  require_rows("out", out.rows(), users.size());
  require_rows("counts", counts.size(), users.size());
  for_each(users.size(), num_threads, [&](std::size_t i, Scratch& scratch) {
    counts[i] = model.similar_users(users[i], out.row(i), scratch);
  });
}

void score_batch(const Recommender& model, std::span<const Query> queries, MatrixView<const std::int32_t> items,
                 MatrixView<float> out, int num_threads) {
  require_rows("out", out.rows(), queries.size());
  if (items.rows() != 1) require_rows("items", items.rows(), queries.size());
  for_each(queries.size(), num_threads, [&](std::size_t i, Scratch& scratch) {
    model.score(queries[i], items.row(items.rows() == 1 ? 0 : i), out.row(i), scratch);
  });
}

}  // namespace etalage
