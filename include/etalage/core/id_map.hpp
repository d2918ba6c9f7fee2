// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

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
  /// What all its keys are.
  enum class Kind : std::uint8_t { kInteger = 0, kString = 1 };
  static constexpr std::int32_t kUnknown = -1;  ///< the index of a key that is not there

  IdMap();  ///< empty, of integers
  [[nodiscard]] static IdMap from_integers(Array<std::int64_t> keys);  ///< key i is keys[i]
  [[nodiscard]] static IdMap from_strings(std::span<const std::string_view> keys);  ///< key i is keys[i]
  [[nodiscard]] static IdMap from_strings(std::span<const std::string> keys);  ///< key i is keys[i]
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

  /// A map with `more` appended behind this one's keys. A large map is shared, not copied: what is new lies beside it, in two
  /// steps that are brought together as they grow, so that it costs what is added, on average.
  [[nodiscard]] IdMap extended(std::span<const std::string_view> more) const;
  [[nodiscard]] IdMap extended(std::span<const std::int64_t> more) const;

  /// The flat arrays, for persistence. Integers: keys; strings: offsets [n + 1] and bytes; both: slots, a power of
  /// two of them, linear probing, value = index + 1, 0 = free.
  struct Parts {
    Kind kind = Kind::kInteger;  ///< what the keys are
    std::int32_t size = 0;  ///< how many there are
    Array<std::int64_t> keys;  ///< [size] of integers
    Array<std::int64_t> offsets;  ///< [size + 1] of strings
    Array<char> bytes;  ///< of strings, one behind the other
    Array<std::uint32_t> slots;  ///< [power of two above size]
  };
  [[nodiscard]] Parts parts() const;  ///< shares memory with the map
  /// Takes the arrays as they are, without hashing. With `verify` every offset and slot is checked and a broken one is
  /// a FormatError; without, the caller vouches for them (a file whose writer is trusted).
  [[nodiscard]] static IdMap from_parts(Parts parts, bool verify);

 private:
  [[nodiscard]] static IdMap beside(std::shared_ptr<const IdMap> base, IdMap own);
  template <class Key>
  [[nodiscard]] IdMap extended_by(std::span<const Key> more) const;
  template <class Key>
  void append_to(std::vector<Key>& keys, std::int32_t first) const;
  [[nodiscard]] IdMap flat() const;
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
  std::shared_ptr<const IdMap> base_;  // of the first first_ keys; the arrays above are of those behind it. Null: of all
  std::int32_t first_ = 0;
};

/// A map that models, logs and catalogues share.
using SharedIdMap = std::shared_ptr<const IdMap>;

}  // namespace etalage
