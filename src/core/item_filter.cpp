// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/item_filter.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>
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

struct ItemFilter::Listed {
  explicit Listed(std::shared_ptr<std::atomic<std::size_t>> of) : account(std::move(of)) {}
  ~Listed() {
    if (account) account->fetch_sub(ids.size() * sizeof(std::int64_t), std::memory_order_relaxed);
  }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;
  std::once_flag made;
  std::vector<std::int64_t> ids;
  std::shared_ptr<std::atomic<std::size_t>> account;
};

ItemFilter::IdSet::IdSet(std::vector<std::int64_t> values) : ids(std::move(values)) {
  if (!std::is_sorted(ids.begin(), ids.end())) std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  count = ids.size();
  // A bitmap answers in one load; it is kept while it is not larger than a few times the list itself.
  if (!ids.empty()) {
    const auto num_words = static_cast<std::uint64_t>(ids.back()) / 64 + 1;
    if (num_words <= 8 * static_cast<std::uint64_t>(ids.size()) + 64) {
      auto made = std::make_shared<std::vector<std::uint64_t>>(num_words, 0);
      for (const std::int64_t id : ids) (*made)[static_cast<std::size_t>(id) / 64] |= std::uint64_t{1} << (id % 64);
      bits = *made;
      words = std::shared_ptr<const std::uint64_t>(made, made->data());
    }
  }
}

bool ItemFilter::IdSet::contains_listed(std::int64_t id) const noexcept { return std::binary_search(ids.begin(), ids.end(), id); }

std::span<const std::int64_t> ItemFilter::IdSet::list() const {
  if (listed == nullptr) return ids;
  std::call_once(listed->made, [&] {
    std::vector<std::int64_t> all;
    all.reserve(count);
    for (std::size_t w = 0; w < bits.size(); ++w)
      for (std::uint64_t left = bits[w]; left != 0; left &= left - 1) all.push_back(static_cast<std::int64_t>(64 * w) + std::countr_zero(left));
    listed->ids = std::move(all);
    if (listed->account) listed->account->fetch_add(count * sizeof(std::int64_t), std::memory_order_relaxed);
  });
  return listed->ids;
}

std::size_t ItemFilter::IdSet::count_below(std::int64_t end) const noexcept {
  if (listed == nullptr) return static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.end(), end) - ids.begin());
  if (end <= 0) return 0;
  const auto whole = static_cast<std::size_t>(end) / 64;
  if (whole >= bits.size() || (whole + 1 == bits.size() && bits[whole] >> (end % 64) == 0)) return count;
  std::size_t below = static_cast<std::size_t>(std::popcount(bits[whole] & ((std::uint64_t{1} << (end % 64)) - 1)));
  for (std::size_t w = 0; w < whole; ++w) below += static_cast<std::size_t>(std::popcount(bits[w]));
  return below;
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

ItemFilter ItemFilter::from_bits(std::shared_ptr<const std::uint64_t> words, std::size_t num_words, std::int64_t count,
                                 std::shared_ptr<std::atomic<std::size_t>> account) {
  if (!words && num_words != 0) throw std::invalid_argument("words is null, must point to " + std::to_string(num_words) + " words");
  ItemFilter f;
  f.has_allow_ = true;
  f.allow_.bits = {words.get(), num_words};
  f.allow_.words = std::move(words);
  f.allow_.count = static_cast<std::size_t>(count);
  f.allow_.listed = std::make_shared<Listed>(std::move(account));
  return f;
}

ItemFilter ItemFilter::operator&(const ItemFilter& other) const {
  ItemFilter f;
  if (has_allow_ && other.has_allow_) {
    std::vector<std::int64_t> both;
    for_each_allowed_id([&](std::int64_t id) {
      if (other.allow_.contains(id)) both.push_back(id);
      return true;
    });
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
  if (!has_allow_) return num_items - static_cast<std::int64_t>(deny_.count_below(num_items));
  auto count = static_cast<std::int64_t>(allow_.count_below(num_items));
  for (const std::int64_t id : deny_.ids)
    if (id < num_items && allow_.contains(id)) --count;
  return count;
}

}  // namespace etalage
