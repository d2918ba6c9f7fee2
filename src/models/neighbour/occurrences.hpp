// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/sequences.hpp"

namespace etalage::detail {

/// Where each item occurs: the way from an item to its places in the lists.
class Occurrences {
 public:
  explicit Occurrences(const Sequences& sequences)
      : sequences_(sequences),
        offsets_(static_cast<std::size_t>(sequences.num_items()) + 1),
        places_(sequences.items().size()),
        list_(sequences.items().size()) {
    for (const std::int32_t i : sequences.items()) ++offsets_[static_cast<std::size_t>(i) + 1];
    for (std::size_t i = 1; i < offsets_.size(); ++i) offsets_[i] += offsets_[i - 1];
    std::vector<std::size_t> next(offsets_.begin(), offsets_.end() - 1);
    std::size_t place = 0;
    for (std::int64_t s = 0; s < sequences.size(); ++s)
      for (const std::int32_t i : sequences.items_of(s)) {
        list_[place] = s;
        places_[next[static_cast<std::size_t>(i)]++] = place++;
      }
  }

  /// Places in sequences.items(), ascending.
  [[nodiscard]] std::span<const std::size_t> of(std::size_t item) const noexcept {
    return {places_.data() + offsets_[item], offsets_[item + 1] - offsets_[item]};
  }
  [[nodiscard]] std::int64_t list(std::size_t place) const noexcept { return list_[place]; }
  [[nodiscard]] std::size_t list_begin(std::size_t place) const noexcept {
    return static_cast<std::size_t>(sequences_.offsets()[static_cast<std::size_t>(list_[place])]);
  }
  [[nodiscard]] std::size_t list_end(std::size_t place) const noexcept {
    return static_cast<std::size_t>(sequences_.offsets()[static_cast<std::size_t>(list_[place]) + 1]);
  }

 private:
  const Sequences& sequences_;
  std::vector<std::size_t> offsets_;
  std::vector<std::size_t> places_;
  std::vector<std::int64_t> list_;
};

}  // namespace etalage::detail
