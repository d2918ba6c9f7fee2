// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/item_filter.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// A set of the items 0 .. size - 1, one bit each. The bits behind the last item are zero.
/// Cost   and, or, complement and count read size / 64 words
class ETALAGE_EXPORT ItemBitmap {
 public:
  ItemBitmap() = default;
  explicit ItemBitmap(std::int32_t size, bool value = false);  ///< size >= 0; value: of all bits

  [[nodiscard]] std::int32_t size() const noexcept { return size_; }
  /// False outside [0, size).
  [[nodiscard]] bool contains(std::int32_t item) const noexcept {
    return item >= 0 && item < size_ && (words_[static_cast<std::size_t>(item) / 64] >> (item % 64) & 1) != 0;
  }
  void insert(std::int32_t item) noexcept { words_[static_cast<std::size_t>(item) / 64] |= std::uint64_t{1} << (item % 64); }
  void erase(std::int32_t item) noexcept { words_[static_cast<std::size_t>(item) / 64] &= ~(std::uint64_t{1} << (item % 64)); }
  /// Of two sets of one size; std::invalid_argument otherwise.
  ItemBitmap& operator&=(const ItemBitmap& other);
  ItemBitmap& operator|=(const ItemBitmap& other);
  void flip() noexcept;
  [[nodiscard]] std::int64_t count() const noexcept;
  /// The first item >= from that is in the set, or size() when there is none.
  [[nodiscard]] std::int32_t next(std::int32_t from) const noexcept;
  /// The items in ascending order.
  [[nodiscard]] std::vector<std::int32_t> items() const;
  /// The same set as an allow list for models and indexes.
  [[nodiscard]] ItemFilter filter() const;

  /// Bit i of word w stands for item 64 w + i.
  [[nodiscard]] std::span<const std::uint64_t> words() const noexcept { return words_; }
  [[nodiscard]] std::span<std::uint64_t> words() noexcept { return words_; }
  friend bool operator==(const ItemBitmap&, const ItemBitmap&) = default;

 private:
  std::int32_t size_ = 0;
  std::vector<std::uint64_t> words_;
};

}  // namespace etalage
