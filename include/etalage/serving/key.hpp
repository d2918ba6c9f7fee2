// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "etalage/core/id_map.hpp"

namespace etalage {

/// The shop's own name of a user or an item: a 64-bit integer or a string.
using Key = std::variant<std::int64_t, std::string>;

/// An integer of any width and sign; neither truth values nor characters.
template <class T>
concept KeyInteger = std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
                     !std::same_as<T, char8_t> && !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;
/// std::string, std::string_view, literals; not a null pointer.
template <class T>
concept KeyText = std::convertible_to<const T&, std::string_view> && !std::same_as<T, std::nullptr_t>;

/// A key without owning the text: for parameters, which a temporary outlives. Members that are kept are BoundKey.
/// std::invalid_argument for an unsigned integer beyond 2^63 - 1.
class KeyView : public std::variant<std::int64_t, std::string_view> {
 public:
  /// The alternatives.
  using Base = std::variant<std::int64_t, std::string_view>;

  constexpr KeyView() noexcept = default;  ///< integer 0
  /// From an integer of any type.
  template <KeyInteger T>
  constexpr KeyView(T key) noexcept(sizeof(T) < 8 || std::is_signed_v<T>) : Base(checked(key)) {}  // NOLINT: a key where one is read
  /// From text, which must outlive this object.
  template <KeyText T>
  constexpr KeyView(const T& key) noexcept : Base(std::string_view(key)) {}  // NOLINT
  /// From a key that owns its text, which must outlive this object.
  template <std::same_as<Key> T>  // nothing that would first become one, such as a truth value
  KeyView(const T& key) noexcept : Base(view_of_key(key)) {}  // NOLINT

 private:
  template <class T>
  static constexpr std::int64_t checked(T key) noexcept(sizeof(T) < 8 || std::is_signed_v<T>) {
    if constexpr (sizeof(T) >= 8 && !std::is_signed_v<T>)
      if (key > static_cast<T>(INT64_MAX)) throw std::invalid_argument("key is " + std::to_string(key) + ", must be at most 2^63 - 1");
    return static_cast<std::int64_t>(key);
  }
  static Base view_of_key(const Key& key) noexcept {
    if (const auto* text = std::get_if<std::string>(&key)) return std::string_view(*text);
    return *std::get_if<std::int64_t>(&key);
  }
};

/// The view of a key, which must outlive it.
[[nodiscard]] inline KeyView view_of(const Key& key) noexcept { return key; }
/// The key with its text copied.
[[nodiscard]] inline Key key_of(KeyView key) {
  if (const auto* text = std::get_if<std::string_view>(&key)) return std::string(*text);
  return std::get<std::int64_t>(key);
}
/// The key in a row of an id map, which owns the text.
[[nodiscard]] inline KeyView key_at(const IdMap& ids, std::int32_t row) {
  if (ids.kind() == IdMap::Kind::kInteger) return ids.integer_at(row);
  return ids.string_at(row);
}
/// The key as text, of either kind.
[[nodiscard]] inline std::string text_of(KeyView key) {
  if (const auto* text = std::get_if<std::string_view>(&key)) return std::string(*text);
  return std::to_string(std::get<std::int64_t>(key));
}

}  // namespace etalage
