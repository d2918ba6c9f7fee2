// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace etalage {

/// A value of an enumeration and the word for it in options.
template <class E>
using OptionName = std::pair<const char*, E>;

/// The words for the values of an enumeration, as options spell them in every language; specialised beside each one.
template <class E>
inline constexpr std::array<OptionName<E>, 0> option_names{};

/// What the value of an option must be, as its error says it: "finite and > 0", "in [1, 4096]", ">= 0 (0 means all CPUs)". The words are the
/// rule: they are read when the library is compiled, and what cannot be read does not compile. A second bound, "..., at most 100000", is
/// said by itself when it is what a value breaks.
class OptionRule {
 public:
  constexpr OptionRule() noexcept = default;  ///< anything
  consteval OptionRule(std::string_view words) : words_(words) {  ///< reads them; NOLINT(google-explicit-constructor): rules are written as words
    constexpr std::string_view kMost = ", at most ";
    const std::size_t second = words.find(kMost);
    if (second != std::string_view::npos) {
      first_ = words.substr(0, second);
      most_ = words.substr(second + 2);
      std::string_view rest = words.substr(second + kMost.size());
      limit_ = number(rest);
      limited_ = true;
    } else {
      first_ = words;
    }
    std::string_view rest = first_;
    for (const std::string_view start : {std::string_view("finite and "), std::string_view("a finite number "), std::string_view("finite")})
      if (skip(rest, start)) break;
    if (skip(rest, "in ")) {
      above_ = rest.front() == '(';
      if (!above_ && rest.front() != '[') throw "an interval begins with [ or (";
      rest.remove_prefix(1);
      low_ = number(rest);
      if (!skip(rest, ", ")) throw "an interval has two ends";
      high_ = number(rest);
      below_ = rest.front() == ')';
      bounded_ = has_high_ = true;
    } else if (skip(rest, ">= ") || (above_ = skip(rest, "> "))) {
      low_ = number(rest);
      bounded_ = true;
    } else if (skip(rest, "<= ")) {
      high_ = number(rest);
      has_high_ = true;
    } else if (!rest.empty()) {
      throw "not a rule";
    }
  }

  /// The whole of it; empty for anything.
  [[nodiscard]] constexpr std::string_view words() const noexcept { return words_; }
  /// The part that a finite value breaks; empty when it is within.
  template <class T>
  [[nodiscard]] constexpr std::string_view broken_by(T value) const noexcept {
    const auto v = static_cast<double>(value);
    // Borders as the value's own type has them: .9f is not above .9.
    const auto low = static_cast<double>(static_cast<T>(low_)), high = static_cast<double>(static_cast<T>(high_));
    if (bounded_ && (above_ ? v <= low : v < low)) return first_;
    if (has_high_ && (below_ ? v >= high : v > high)) return first_;
    if (limited_ && v > limit_) return most_;
    return {};
  }
  /// As words() of a number that is not finite.
  [[nodiscard]] constexpr std::string_view first() const noexcept { return first_; }

 private:
  static constexpr bool skip(std::string_view& text, std::string_view start) {
    if (text.substr(0, start.size()) != start) return false;
    text.remove_prefix(start.size());
    return true;
  }
  static constexpr double number(std::string_view& text) {
    const bool negative = skip(text, "-");
    double value = 0, scale = 1;
    bool any = false, point = false;
    for (; !text.empty(); text.remove_prefix(1)) {
      const char c = text.front();
      if (c == '.' && !point) {
        point = true;
      } else if (c >= '0' && c <= '9') {
        any = true;
        value = 10 * value + (c - '0');
        if (point) scale *= 10;
      } else {
        break;
      }
    }
    if (!any) throw "not a number";
    if (skip(text, "e"))
      for (double tens = number(text); tens > 0; --tens) value *= 10;
    return (negative ? -value : value) / scale;
  }

  std::string_view words_, first_, most_;
  double low_ = 0, high_ = 0, limit_ = 0;
  bool above_ = false, below_ = false, bounded_ = false, has_high_ = false, limited_ = false;
};

/// visit(name, field, rule) for each name and field, in their order; a rule stands behind the field that it is about, others have none.
template <class Visit, class Field>
void visit_options(const Visit& visit, const char* name, Field& field) {
  visit(name, field, OptionRule{});
}
template <class Visit, class Field, class Next, class... More>
void visit_options(const Visit& visit, const char* name, Field& field, Next&& next, More&&... more) {
  if constexpr (std::is_same_v<std::remove_cvref_t<Next>, OptionRule>) {
    visit(name, field, next);
    if constexpr (sizeof...(more) > 0) visit_options(visit, more...);
  } else {
    visit(name, field, OptionRule{});
    visit_options(visit, next, more...);
  }
}

}  // namespace etalage
