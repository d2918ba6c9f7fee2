// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
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
  [[nodiscard]] static ItemFilter allow(std::span<const std::int64_t> ids);  ///< these alone; any order, repeats are harmless
  [[nodiscard]] static ItemFilter allow(std::span<const std::int32_t> ids);  ///< these alone; any order, repeats are harmless
  [[nodiscard]] static ItemFilter deny(std::span<const std::int64_t> ids);  ///< all but these; any order, repeats are harmless
  [[nodiscard]] static ItemFilter deny(std::span<const std::int32_t> ids);  ///< all but these; any order, repeats are harmless
  /// Brace lists: allow({3, 5}).
  [[nodiscard]] static ItemFilter allow(std::initializer_list<std::int64_t> ids) { return allow(std::span(ids.begin(), ids.size())); }
  [[nodiscard]] static ItemFilter deny(std::initializer_list<std::int64_t> ids) { return deny(std::span(ids.begin(), ids.size())); }
  /// Item i is allowed if and only if i < mask.size() and mask[i] != 0.
  [[nodiscard]] static ItemFilter from_mask(std::span<const std::uint8_t> mask);
  /// The ids whose bits are set: bit i of word w stands for id 64 w + i, `count` of them. Nothing is copied: the words are
  /// shared. Where a list is wanted all the same, allowed_ids() makes one and adds its bytes to `account` while it lives.
  [[nodiscard]] static ItemFilter from_bits(std::shared_ptr<const std::uint64_t> words, std::size_t num_words, std::int64_t count,
                                            std::shared_ptr<std::atomic<std::size_t>> account = nullptr);
  /// What both allow.
  [[nodiscard]] ItemFilter operator&(const ItemFilter& other) const;

  /// Whether an id passes.
  [[nodiscard]] bool allows(std::int64_t id) const noexcept {
    return (!has_allow_ || allow_.contains(id)) && (deny_.count == 0 || !deny_.contains(id));
  }
  /// Bit i of word w says whether id 64 w + i passes, ids behind the last do not. Empty where no bitmap says it all: without
  /// an allow list, with a sparse one, and where ids are denied.
  [[nodiscard]] std::span<const std::uint64_t> allowed_bits() const noexcept {
    return has_allow_ && deny_.count == 0 ? allow_.bits : std::span<const std::uint64_t>();
  }
  [[nodiscard]] bool allows_everything() const noexcept { return !has_allow_ && deny_.ids.empty(); }  ///< whether every id passes
  [[nodiscard]] bool has_allow_list() const noexcept { return has_allow_; }  ///< whether only listed ids pass
  /// Sorted and unique; meaningful only with has_allow_list(). Of from_bits() it is made by the first call and kept.
  [[nodiscard]] std::span<const std::int64_t> allowed_ids() const { return allow_.list(); }
  /// allowed_ids().size(), without making a list.
  [[nodiscard]] std::size_t num_allowed_ids() const noexcept { return allow_.count; }
  /// Whether walking the allowed ids is quicker than looking all of num_items up: always for a list, for bits when they
  /// are few. False without an allow list.
  [[nodiscard]] bool is_walked(std::size_t num_items) const noexcept {
    return has_allow_ && (allow_.listed == nullptr || allow_.count < num_items / 8);
  }
  /// visit(id) for each of allowed_ids() in ascending order, without making a list; ends when it returns false.
  template <class Visit>
  void for_each_allowed_id(const Visit& visit) const {
    if (allow_.listed == nullptr) {
      for (const std::int64_t id : allow_.ids)
        if (!visit(id)) return;
      return;
    }
    for (std::size_t w = 0; w < allow_.bits.size(); ++w)
      for (std::uint64_t left = allow_.bits[w]; left != 0; left &= left - 1)
        if (!visit(static_cast<std::int64_t>(64 * w) + std::countr_zero(left))) return;
  }
  /// Sorted and unique.
  [[nodiscard]] std::span<const std::int64_t> denied_ids() const noexcept { return deny_.ids; }
  /// How many of the ids 0 .. num_items - 1 are allowed.
  [[nodiscard]] std::int64_t count_allowed(std::int64_t num_items) const noexcept;

 private:
  // A list that is made of bits when somebody asks for it; shared by copies.
  struct Listed;
  // A sorted list, with a bitmap beside it when the ids are dense enough for one to be small; or bits alone.
  struct ETALAGE_EXPORT IdSet {
    std::vector<std::int64_t> ids;               // empty where `listed` is there
    std::shared_ptr<const std::uint64_t> words;  // owns what `bits` shows
    std::span<const std::uint64_t> bits;
    std::size_t count = 0;
    std::shared_ptr<Listed> listed;
    IdSet() = default;
    explicit IdSet(std::vector<std::int64_t> values);
    [[nodiscard]] bool contains(std::int64_t id) const noexcept {
      if (bits.empty()) return contains_listed(id);
      const auto word = static_cast<std::uint64_t>(id) / 64;
      return id >= 0 && word < bits.size() && (bits[word] >> (id % 64) & 1) != 0;
    }
    [[nodiscard]] bool contains_listed(std::int64_t id) const noexcept;
    [[nodiscard]] std::span<const std::int64_t> list() const;
    [[nodiscard]] std::size_t count_below(std::int64_t end) const noexcept;
  };
  IdSet allow_;
  IdSet deny_;
  bool has_allow_ = false;
};

}  // namespace etalage
