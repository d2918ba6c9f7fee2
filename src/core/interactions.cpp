// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/interactions.hpp"

#include <stdexcept>
#include <string>
#include <utility>

namespace etalage {

Interactions::Interactions(CsrMatrix user_items, SharedIdMap user_ids, SharedIdMap item_ids, std::optional<std::int64_t> newest_ms)
    : user_items_(canonical(user_items, "user_items")), user_ids_(std::move(user_ids)), item_ids_(std::move(item_ids)), newest_ms_(newest_ms) {
  const auto check = [](const SharedIdMap& ids, std::int64_t n, const char* name, const char* axis) {
    if (ids && ids->size() != n)
      throw std::invalid_argument(std::string(name) + " has " + std::to_string(ids->size()) + " keys, must have one for each of the " +
                                  std::to_string(n) + " " + axis + " of user_items");
  };
  check(user_ids_, user_items_.rows, "user_ids", "rows");
  check(item_ids_, user_items_.cols, "item_ids", "columns");
}

Interactions::Interactions(CsrMatrix user_items, SharedIdMap user_ids, SharedIdMap item_ids, std::optional<std::int64_t> newest_ms, Canonical)
    : user_items_(std::move(user_items)), user_ids_(std::move(user_ids)), item_ids_(std::move(item_ids)), newest_ms_(newest_ms) {}

}  // namespace etalage
