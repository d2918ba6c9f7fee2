// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace etalage {

/// An option that a fit chooses from the shape of the data unless it is given: `options.factors = 64` gives it.
/// Reads as its value: the given one, what the last fit chose, or before any fit the one that stands where there is no data.
template <class T>
class Auto {
 public:
  /// A value that was given, which no fit changes.
  constexpr Auto(T value) noexcept : value_(value) {}  // NOLINT(google-explicit-constructor): options are set like numbers
  /// What holds unless a value is given or the fit finds a better one.
  [[nodiscard]] static constexpr Auto unless_given(T value) noexcept {
    Auto made(value);
    made.given_ = false;
    return made;
  }

  /// The value in use.
  constexpr operator T() const noexcept { return value_; }  // NOLINT(google-explicit-constructor)
  [[nodiscard]] constexpr T value() const noexcept { return value_; }  ///< the value in use
  [[nodiscard]] constexpr bool given() const noexcept { return given_; }  ///< whether somebody gave it
  /// Chooses the value where none was given; the option stays one that fits choose.
  constexpr void settle(T value) noexcept {
    if (!given_) value_ = value;
  }

 private:
  T value_;
  bool given_ = true;
};
/// Whether a type is an Auto<T>.
template <class T>
inline constexpr bool is_auto_option = false;
template <class T>
inline constexpr bool is_auto_option<Auto<T>> = true;  ///< it is

}  // namespace etalage
