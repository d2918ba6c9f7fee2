// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "etalage/core/array.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// The shop's keys in index order, and the way back: key -> dense index in [0, size). Immutable.
///
/// Keys are all strings or all 64-bit integers. Everything, the hash table included, lies in flat arrays, so a map
/// of a million keys opens from a file without being rebuilt.
/// Threads   every member is const and safe to call concurrently
/// Errors    std::invalid_argument on duplicate keys or more than 2^31 - 1 of them
class ETALAGE_EXPORT IdMap {
 public:
  enum class Kind : std::uint8_t { kInteger = 0, kString = 1 };
  static constexpr std::int32_t kUnknown = -1;

  IdMap();  ///< empty, of integers
  [[nodiscard]] static IdMap from_integers(Array<std::int64_t> keys);
  [[nodiscard]] static IdMap from_strings(std::span<const std::string_view> keys);
  [[nodiscard]] static IdMap from_strings(std::span<const std::string> keys);
  /// Strings as Arrow holds them: key i is bytes[offsets[i], offsets[i + 1]); offsets [n + 1].
  [[nodiscard]] static IdMap from_strings(Array<std::int64_t> offsets, Array<char> bytes);

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] std::int32_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  /// Dense index of a key, -1 for an unknown one or one of the other kind.
  [[nodiscard]] std::int32_t find(std::int64_t key) const noexcept;
  [[nodiscard]] std::int32_t find(std::string_view key) const noexcept;

  /// Key at an index; std::out_of_range outside [0, size), std::invalid_argument for the other kind.
  [[nodiscard]] std::int64_t integer_at(std::int32_t index) const;
  [[nodiscard]] std::string_view string_at(std::int32_t index) const;
  /// The key as text, of either kind.
  [[nodiscard]] std::string text_at(std::int32_t index) const;

  /// A map with `more` appended behind this one's keys.
  [[nodiscard]] IdMap extended(std::span<const std::string_view> more) const;
  [[nodiscard]] IdMap extended(std::span<const std::int64_t> more) const;

  /// The flat arrays, for persistence. Integers: keys; strings: offsets [n + 1] and bytes; both: slots, a power of
  /// two of them, linear probing, value = index + 1, 0 = free.
  struct Parts {
    Kind kind = Kind::kInteger;
    std::int32_t size = 0;
    Array<std::int64_t> keys;
    Array<std::int64_t> offsets;
    Array<char> bytes;
    Array<std::uint32_t> slots;
  };
  [[nodiscard]] Parts parts() const;
  /// Takes the arrays as they are, without hashing. With `verify` every offset and slot is checked and a broken one is
  /// a FormatError; without, the caller vouches for them (a file whose writer is trusted).
  [[nodiscard]] static IdMap from_parts(Parts parts, bool verify);

 private:
  void build_slots();
  [[nodiscard]] std::string_view bytes_at(std::size_t i) const noexcept {
    const auto b = static_cast<std::size_t>(offsets_[i]);
    return {bytes_.data() + b, static_cast<std::size_t>(offsets_[i + 1]) - b};
  }

  Kind kind_ = Kind::kInteger;
  std::int32_t size_ = 0;
  Array<std::int64_t> keys_;
  Array<std::int64_t> offsets_;
  Array<char> bytes_;
  Array<std::uint32_t> slots_;
};

/// A map that models, logs and catalogues share.
using SharedIdMap = std::shared_ptr<const IdMap>;

}  // namespace etalage
