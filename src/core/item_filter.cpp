// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/item_filter.hpp"

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

namespace etalage {
namespace {

template <class Int>
std::vector<std::int64_t> copy_ids(std::span<const Int> ids, const char* argument) {
  std::vector<std::int64_t> out(ids.begin(), ids.end());
  for (const std::int64_t id : out)
    if (id < 0) throw std::invalid_argument(std::string(argument) + " holds id " + std::to_string(id) + ", must be >= 0");
  return out;
}

}  // namespace

ItemFilter::IdSet::IdSet(std::vector<std::int64_t> values) : ids(std::move(values)) {
  if (!std::is_sorted(ids.begin(), ids.end())) std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  // A bitmap answers in one load; it is kept while it is not larger than a few times the list itself.
  if (!ids.empty()) {
    const auto words = static_cast<std::uint64_t>(ids.back()) / 64 + 1;
    if (words <= 8 * static_cast<std::uint64_t>(ids.size()) + 64) {
      bits.assign(words, 0);
      for (const std::int64_t id : ids) bits[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
    }
  }
}

bool ItemFilter::IdSet::contains(std::int64_t id) const noexcept {
  if (!bits.empty()) {
    const auto word = static_cast<std::uint64_t>(id) / 64;
    return id >= 0 && word < bits.size() && (bits[word] >> (id % 64) & 1) != 0;
  }
  return std::binary_search(ids.begin(), ids.end(), id);
}

ItemFilter ItemFilter::allow(std::span<const std::int64_t> ids) {
  ItemFilter f;
  f.allow_ = IdSet(copy_ids(ids, "allow"));
  f.has_allow_ = true;
  return f;
}

ItemFilter ItemFilter::allow(std::span<const std::int32_t> ids) {
  ItemFilter f;
  f.allow_ = IdSet(copy_ids(ids, "allow"));
  f.has_allow_ = true;
  return f;
}

ItemFilter ItemFilter::deny(std::span<const std::int64_t> ids) {
  ItemFilter f;
  f.deny_ = IdSet(copy_ids(ids, "deny"));
  return f;
}

ItemFilter ItemFilter::deny(std::span<const std::int32_t> ids) {
  ItemFilter f;
  f.deny_ = IdSet(copy_ids(ids, "deny"));
  return f;
}

ItemFilter ItemFilter::from_mask(std::span<const std::uint8_t> mask) {
  std::vector<std::int64_t> ids;
  for (std::size_t i = 0; i < mask.size(); ++i)
    if (mask[i] != 0) ids.push_back(static_cast<std::int64_t>(i));
  ItemFilter f;
  f.allow_ = IdSet(std::move(ids));
  f.has_allow_ = true;
  return f;
}

ItemFilter ItemFilter::operator&(const ItemFilter& other) const {
  ItemFilter f;
  if (has_allow_ && other.has_allow_) {
    std::vector<std::int64_t> both;
    std::set_intersection(allow_.ids.begin(), allow_.ids.end(), other.allow_.ids.begin(), other.allow_.ids.end(),
                          std::back_inserter(both));
    f.allow_ = IdSet(std::move(both));
  } else if (has_allow_ || other.has_allow_) {
    f.allow_ = has_allow_ ? allow_ : other.allow_;
  }
  f.has_allow_ = has_allow_ || other.has_allow_;
  std::vector<std::int64_t> denied;
  std::set_union(deny_.ids.begin(), deny_.ids.end(), other.deny_.ids.begin(), other.deny_.ids.end(),
                 std::back_inserter(denied));
  f.deny_ = IdSet(std::move(denied));
  return f;
}

std::int64_t ItemFilter::count_allowed(std::int64_t num_items) const noexcept {
  const auto below = [num_items](const IdSet& s) {
    return static_cast<std::int64_t>(std::lower_bound(s.ids.begin(), s.ids.end(), num_items) - s.ids.begin());
  };
  if (!has_allow_) return num_items - below(deny_);
  std::int64_t count = below(allow_);
  if (!deny_.ids.empty())
    for (std::int64_t i = 0, n = below(allow_); i < n; ++i) count -= deny_.contains(allow_.ids[static_cast<std::size_t>(i)]);
  return count;
}

}  // namespace etalage
