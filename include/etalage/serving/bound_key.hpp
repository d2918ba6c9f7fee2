// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "etalage/serving/key.hpp"

namespace etalage {

// Members of Request and Event. What outlives the call is looked at, and costs nothing; a temporary, which would be gone
// at the end of its line, is kept: Request{.user = "customer-" + std::to_string(id)} is right. Copies share what is kept.

/// A key: a view of text that lasts, or the text itself where it was a temporary.
class BoundKey : public KeyView {
 public:
  constexpr BoundKey() noexcept = default;  ///< integer 0
  /// Integers, and text that lasts: literals, string_views, strings with a name.
  template <class T>
    requires(std::convertible_to<const T&, KeyView> && !std::derived_from<T, BoundKey>)
  BoundKey(const T& key) : KeyView(key) {}  // NOLINT: a key where one is read
  /// A temporary string is kept.
  BoundKey(std::string&& key) : BoundKey(std::make_shared<const std::string>(std::move(key))) {}  // NOLINT
  /// A temporary key too.
  template <std::same_as<Key> T>
  BoundKey(T&& key) {  // NOLINT
    if (auto* text = std::get_if<std::string>(&key)) *this = BoundKey(std::move(*text));
    else *this = BoundKey(*std::get_if<std::int64_t>(&key));
  }

 private:
  explicit BoundKey(std::shared_ptr<const std::string> text) : KeyView(*text), kept_(std::move(text)) {}
  std::shared_ptr<const std::string> kept_;
};

/// The same for text that is no key: a type of event, a segment, a place.
class BoundText : public std::string_view {
 public:
  constexpr BoundText() noexcept = default;  ///< empty
  /// Text that lasts.
  template <KeyText T>
    requires(!std::derived_from<T, BoundText>)
  constexpr BoundText(const T& text) noexcept : std::string_view(text) {}  // NOLINT: text where it is read
  /// A temporary string is kept.
  BoundText(std::string&& text) : BoundText(std::make_shared<const std::string>(std::move(text))) {}  // NOLINT

 private:
  explicit BoundText(std::shared_ptr<const std::string> text) : std::string_view(*text), kept_(std::move(text)) {}
  std::shared_ptr<const std::string> kept_;
};

/// A list of them. A contiguous range of T that lasts is looked at where it lies and costs nothing; brace lists, temporary
/// containers and ranges of other keys (strings, Key, integers) are kept. T is KeyView with Held = BoundKey, or a pair of one.
template <class T, class Held>
class BoundList {
 public:
  constexpr BoundList() noexcept = default;  ///< empty
  /// {"mug", "plate"} or {7, 9}.
  BoundList(std::initializer_list<Held> list) : BoundList(std::vector<Held>(list)) {}  // NOLINT: a list where one is read
  /// Any range of keys.
  template <std::ranges::input_range R>
    requires(!std::derived_from<std::remove_cvref_t<R>, BoundList> && std::constructible_from<Held, std::ranges::range_reference_t<R>>)
  BoundList(R&& range) {  // NOLINT
    constexpr bool lasts = std::is_lvalue_reference_v<R> || std::ranges::enable_borrowed_range<std::remove_cvref_t<R>>;
    if constexpr (lasts && std::convertible_to<R, std::span<const T>>) {
      view_ = range;
    } else {
      std::vector<Held> held;
      for (auto&& element : range) {
        if constexpr (lasts) held.emplace_back(element);
        else held.emplace_back(std::move(element));
      }
      *this = BoundList(std::move(held));
    }
  }

  [[nodiscard]] const T* data() const noexcept { return view_.data(); }       ///< the first
  [[nodiscard]] std::size_t size() const noexcept { return view_.size(); }    ///< how many
  [[nodiscard]] bool empty() const noexcept { return view_.empty(); }         ///< whether there is none
  [[nodiscard]] const T* begin() const noexcept { return view_.data(); }      ///< as of a range
  [[nodiscard]] const T* end() const noexcept { return view_.data() + view_.size(); }  ///< as of a range
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return view_[i]; } ///< i < size()

 private:
  struct Kept {
    explicit Kept(std::vector<Held> list) : held(std::move(list)), views(held.begin(), held.end()) {}
    std::vector<Held> held;
    std::vector<T> views;
  };
  explicit BoundList(std::vector<Held>&& list) {
    auto kept = std::make_shared<const Kept>(std::move(list));
    view_ = kept->views;
    kept_ = std::move(kept);
  }
  std::span<const T> view_;
  std::shared_ptr<const Kept> kept_;
};

/// Keys of products.
using BoundKeys = BoundList<KeyView, BoundKey>;
/// Products with scores, such as a search's results.
using BoundScores = BoundList<std::pair<KeyView, float>, std::pair<BoundKey, float>>;

}  // namespace etalage
