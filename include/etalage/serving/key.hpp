// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "etalage/core/id_map.hpp"

namespace etalage {

/// The shop's own name of a user or an item: a 64-bit integer or a string.
using Key = std::variant<std::int64_t, std::string>;
/// The same without owning the text.
using KeyView = std::variant<std::int64_t, std::string_view>;

[[nodiscard]] inline KeyView view_of(const Key& key) noexcept {
  if (const auto* text = std::get_if<std::string>(&key)) return std::string_view(*text);
  return *std::get_if<std::int64_t>(&key);
}
[[nodiscard]] inline Key key_of(KeyView key) {
  if (const auto* text = std::get_if<std::string_view>(&key)) return std::string(*text);
  return std::get<std::int64_t>(key);
}
/// The key in a row of an id map, which owns the text.
[[nodiscard]] inline KeyView key_at(const IdMap& ids, std::int32_t row) {
  if (ids.kind() == IdMap::Kind::kInteger) return ids.integer_at(row);
  return ids.string_at(row);
}
[[nodiscard]] inline std::string text_of(KeyView key) {
  if (const auto* text = std::get_if<std::string_view>(&key)) return std::string(*text);
  return std::to_string(std::get<std::int64_t>(key));
}

}  // namespace etalage
