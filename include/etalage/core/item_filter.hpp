// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "etalage/export.hpp"

namespace etalage {

/// Which items may appear: an allow list, a deny list, or both (allowed and not denied). Immutable and reusable; one
/// filter may be shared by any number of queries and threads.
///
/// Ids are a model's item indices or an ItemIndex's own ids; negative ids are std::invalid_argument. Ids that a
/// catalogue does not have are harmless.
class ETALAGE_EXPORT ItemFilter {
 public:
  ItemFilter() = default;  ///< allows everything
  [[nodiscard]] static ItemFilter allow(std::span<const std::int64_t> ids);
  [[nodiscard]] static ItemFilter allow(std::span<const std::int32_t> ids);
  [[nodiscard]] static ItemFilter deny(std::span<const std::int64_t> ids);
  [[nodiscard]] static ItemFilter deny(std::span<const std::int32_t> ids);
  /// Item i is allowed if and only if i < mask.size() and mask[i] != 0.
  [[nodiscard]] static ItemFilter from_mask(std::span<const std::uint8_t> mask);
  /// What both allow.
  [[nodiscard]] ItemFilter operator&(const ItemFilter& other) const;

  [[nodiscard]] bool allows(std::int64_t id) const noexcept {
    return (!has_allow_ || allow_.contains(id)) && !deny_.contains(id);
  }
  [[nodiscard]] bool allows_everything() const noexcept { return !has_allow_ && deny_.ids.empty(); }
  [[nodiscard]] bool has_allow_list() const noexcept { return has_allow_; }
  /// Sorted and unique; meaningful only with has_allow_list().
  [[nodiscard]] std::span<const std::int64_t> allowed_ids() const noexcept { return allow_.ids; }
  /// Sorted and unique.
  [[nodiscard]] std::span<const std::int64_t> denied_ids() const noexcept { return deny_.ids; }
  /// How many of the ids 0 .. num_items - 1 are allowed.
  [[nodiscard]] std::int64_t count_allowed(std::int64_t num_items) const noexcept;

 private:
  // A sorted list, with a bitmap beside it when the ids are dense enough for one to be small.
  struct ETALAGE_EXPORT IdSet {
    std::vector<std::int64_t> ids;
    std::vector<std::uint64_t> bits;
    IdSet() = default;
    explicit IdSet(std::vector<std::int64_t> values);
    [[nodiscard]] bool contains(std::int64_t id) const noexcept;
  };
  IdSet allow_;
  IdSet deny_;
  bool has_allow_ = false;
};

}  // namespace etalage
