// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/sequences.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

namespace etalage {

Sequences::Sequences(Array<std::int64_t> offsets, Array<std::int32_t> items, Array<std::int64_t> times,
                     std::int32_t num_items, Array<std::int32_t> user_index, SharedIdMap user_ids, SharedIdMap item_ids)
    : offsets_(std::move(offsets)),
      items_(std::move(items)),
      times_(std::move(times)),
      user_index_(std::move(user_index)),
      num_items_(num_items),
      user_ids_(std::move(user_ids)),
      item_ids_(std::move(item_ids)) {
  const auto refuse = [](const std::string& what) { throw std::invalid_argument(what); };
  const std::string n = std::to_string(items_.size());
  if (offsets_.empty()) {
    if (!items_.empty()) refuse("offsets is empty, must have one more entry than there are lists");
    offsets_ = Array<std::int64_t>(1);
  }
  if (offsets_[0] != 0 || offsets_.back() != static_cast<std::int64_t>(items_.size()))
    refuse("offsets runs from " + std::to_string(offsets_[0]) + " to " + std::to_string(offsets_.back()) +
           ", must run from 0 to the number of items, " + n);
  for (std::size_t i = 0; i + 1 < offsets_.size(); ++i)
    if (offsets_[i] > offsets_[i + 1]) refuse("offsets decreases at entry " + std::to_string(i + 1) + ", must never decrease");
  if (!times_.empty() && times_.size() != items_.size())
    refuse("times has " + std::to_string(times_.size()) + " entries, must be empty or have one for each of the " + n + " items");
  std::int32_t largest = -1;
  for (std::size_t j = 0; j < items_.size(); ++j) {
    if (items_[j] < 0 || (num_items >= 0 && items_[j] >= num_items))
      refuse("items holds " + std::to_string(items_[j]) + " at entry " + std::to_string(j) + ", must be in [0, " +
             (num_items >= 0 ? std::to_string(num_items) : "2147483647") + ")");
    largest = std::max(largest, items_[j]);
  }
  if (largest == std::numeric_limits<std::int32_t>::max()) refuse("items holds 2147483647, must be below it");
  if (num_items < 0) num_items_ = item_ids_ ? item_ids_->size() : largest + 1;
  if (item_ids_ && (item_ids_->size() != num_items_ || largest >= num_items_))
    refuse("item_ids has " + std::to_string(item_ids_->size()) + " keys, must have one for each of the " +
           std::to_string(std::max(num_items_, largest + 1)) + " items");
  if (!user_index_.empty() && user_index_.size() + 1 != offsets_.size())
    refuse("user_index has " + std::to_string(user_index_.size()) + " entries, must have one for each of the " +
           std::to_string(size()) + " lists");
  for (const std::int32_t u : user_index_)
    if (u < 0 || (user_ids_ && u >= user_ids_->size()))
      refuse("user_index holds " + std::to_string(u) + ", must be a user's index");
}

}  // namespace etalage
