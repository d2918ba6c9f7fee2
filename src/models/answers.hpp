// SPDX-License-Identifier: Apache-2.0
// What every model does with questions and answers, whatever its scores are made of.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

#include "detail/check.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage::detail {

/// Items whose scores are asked for, and room for one score each.
inline void check_scored(const Recommender& model, std::span<const std::int32_t> items, std::size_t room) {
  for (const std::int32_t i : items) require_index(i, model.num_items(), "item");
  if (room != items.size())
    throw std::invalid_argument("out has " + std::to_string(room) + " entries, must have one for each of the " + std::to_string(items.size()) + " items");
}

/// Data of the model's own shape.
inline void check_shape(const Recommender& model, std::int64_t users, std::int64_t items) {
  if (users != model.num_users() || items != model.num_items())
    throw std::invalid_argument("data has shape (" + std::to_string(users) + ", " + std::to_string(items) + "), must be the model's (" +
                                std::to_string(model.num_users()) + ", " + std::to_string(model.num_items()) + ")");
}

/// The k largest contributions, descending, ties by lower item.
inline void keep_largest(Explanation& e, std::size_t k) {
  std::sort(e.contributions.begin(), e.contributions.end(),
            [](const ItemScore& a, const ItemScore& b) { return a.score != b.score ? a.score > b.score : a.item < b.item; });
  if (e.contributions.size() > k) e.contributions.resize(k);
}

}  // namespace etalage::detail
