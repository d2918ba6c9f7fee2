// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "etalage/core/array.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Items in the order in which they happened, one list a user or a session: oldest first, repeats kept. Immutable.
class ETALAGE_EXPORT Sequences {
 public:
  Sequences() = default;
  /// offsets int64 [n + 1], items int32 [nnz] in [0, num_items), times int64 [nnz] UTC milliseconds or empty.
  /// num_items < 0 means largest item + 1. user_index int32 [n] says whose each list is; empty means list i is user i.
  /// std::invalid_argument names the argument, the value and the rule.
  Sequences(Array<std::int64_t> offsets, Array<std::int32_t> items, Array<std::int64_t> times = {},
            std::int32_t num_items = -1, Array<std::int32_t> user_index = {}, SharedIdMap user_ids = nullptr,
            SharedIdMap item_ids = nullptr);

  [[nodiscard]] std::int64_t size() const noexcept {
    return offsets_.empty() ? 0 : static_cast<std::int64_t>(offsets_.size()) - 1;
  }
  [[nodiscard]] std::int32_t num_items() const noexcept { return num_items_; }
  [[nodiscard]] bool has_times() const noexcept { return !times_.empty(); }  ///< whether each entry has a time
  /// Items of list i, oldest first; not checked.
  [[nodiscard]] std::span<const std::int32_t> items_of(std::int64_t i) const noexcept { return part(items_, i); }
  /// Times of list i, UTC milliseconds; empty without times.
  [[nodiscard]] std::span<const std::int64_t> times_of(std::int64_t i) const noexcept {
    return times_.empty() ? std::span<const std::int64_t>{} : part(times_, i);
  }
  /// Whose list i is.
  [[nodiscard]] std::int32_t user_of(std::int64_t i) const noexcept {
    return user_index_.empty() ? static_cast<std::int32_t>(i) : user_index_[static_cast<std::size_t>(i)];
  }

  [[nodiscard]] const Array<std::int64_t>& offsets() const noexcept { return offsets_; }  ///< [size + 1]
  [[nodiscard]] const Array<std::int32_t>& items() const noexcept { return items_; }  ///< [entries], all lists one behind the other
  [[nodiscard]] const Array<std::int64_t>& times() const noexcept { return times_; }  ///< [entries], or empty
  [[nodiscard]] const Array<std::int32_t>& user_index() const noexcept { return user_index_; }  ///< [size], or empty where list i is user i's
  [[nodiscard]] const SharedIdMap& user_ids() const noexcept { return user_ids_; }
  [[nodiscard]] const SharedIdMap& item_ids() const noexcept { return item_ids_; }

 private:
  template <class T>
  [[nodiscard]] std::span<const T> part(const Array<T>& a, std::int64_t i) const noexcept {
    const auto b = static_cast<std::size_t>(offsets_[static_cast<std::size_t>(i)]);
    const auto e = static_cast<std::size_t>(offsets_[static_cast<std::size_t>(i) + 1]);
    return a.view().subspan(b, e - b);
  }
  Array<std::int64_t> offsets_;
  Array<std::int32_t> items_;
  Array<std::int64_t> times_;
  Array<std::int32_t> user_index_;
  std::int32_t num_items_ = 0;
  SharedIdMap user_ids_;
  SharedIdMap item_ids_;
};

}  // namespace etalage
