// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include "core/column.hpp"

namespace etalage::detail {

// A key longer than this is a broken file, not a key.
inline constexpr std::size_t kMaxKeyBytes = std::size_t{1} << 20;

/// Number -> key; false where it is no 64-bit integer.
template <class T>
bool to_integer(T v, std::int64_t& key) noexcept {
  if constexpr (std::is_floating_point_v<T>) {
    // 2^53 bounds the integers that every double tells apart.
    if (!(v == std::floor(v) && std::abs(static_cast<double>(v)) <= 9007199254740992.0)) return false;
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return false;
  }
  key = static_cast<std::int64_t>(v);
  return true;
}

template <class Policy, class Read>
bool read_key(const Read& read, std::int64_t i, typename Policy::Key& key) {
  if constexpr (std::is_same_v<typename Policy::Key, std::int64_t>) {
    return to_integer(read(i), key);
  } else {
    const std::string_view s = read(i);
    if (s.empty() || s.size() > kMaxKeyBytes) return false;
    key = {s.data(), static_cast<std::uint32_t>(s.size())};
    return true;
  }
}

template <class Policy, class F>
void with_values(const ColumnChunk& chunk, F&& f) {
  if constexpr (std::is_same_v<typename Policy::Key, std::int64_t>) with_numbers(chunk, f);
  else with_strings(chunk, f);
}

/// Calls use(row, key) or, where there is no usable key, lacks(row) for rows [b, e) of a chunk without a dictionary.
template <class Policy, class Use, class Lacks>
void for_keys(const ColumnChunk& chunk, std::int64_t b, std::int64_t e, Use&& use, Lacks&& lacks) {
  if (chunk.type == ColumnType::kNull) {
    for (std::int64_t i = b; i < e; ++i) lacks(i);
    return;
  }
  with_values<Policy>(chunk, [&](auto read) {
    const bool nullable = chunk.validity != nullptr || chunk.type == ColumnType::kFieldRefs;
    typename Policy::Key key{};
    for (std::int64_t i = b; i < e; ++i) {
      if ((nullable && !chunk.valid(i)) || !read_key<Policy>(read, i, key)) lacks(i);
      else use(i, key);
    }
  });
}

}  // namespace etalage::detail
