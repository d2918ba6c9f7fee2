// SPDX-License-Identifier: Apache-2.0
#include "serving/rules/range_column.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace etalage::serving {
namespace {

constexpr std::size_t kQuantiles = 128;
constexpr float kInfinityF = std::numeric_limits<float>::infinity();

void flip_bit(ItemBitmap& set, std::int32_t row) noexcept {
  set.words()[static_cast<std::size_t>(row) / 64] ^= std::uint64_t{1} << (row % 64);
}

}  // namespace

RangeColumn::RangeColumn(std::span<const float> values) : values_(values.begin(), values.end()), place_(values.size(), 0) {
  std::vector<float> sorted;
  sorted.reserve(values.size());
  for (const float v : values)
    if (v == v) sorted.push_back(v);
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t q = 0; q < kQuantiles && !sorted.empty(); ++q) {
    const float v = sorted[q * sorted.size() / kQuantiles];
    // One that reaches to the next quantile is a bucket of its own, which is never read.
    const bool shared = !borders_.empty() && borders_.back() == v;
    borders_.push_back(shared ? std::nextafter(v, kInfinityF) : v);
  }
  std::sort(borders_.begin(), borders_.end());
  borders_.erase(std::unique(borders_.begin(), borders_.end()), borders_.end());
  buckets_.resize(borders_.size() + 1);
  const auto n = static_cast<std::int32_t>(values_.size());
  for (std::int32_t row = 0; row < n; ++row) {
    const float v = values_[static_cast<std::size_t>(row)];
    if (v != v) continue;
    auto& bucket = buckets_[bucket_of(v)];
    place_[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(bucket.size());
    bucket.push_back({v, row});
  }
  ItemBitmap set(n);
  for (std::size_t b = 0; b < borders_.size(); ++b) {
    for (const Member& m : buckets_[b]) set.insert(m.row);
    sets_.push_back(set);
  }
}

std::size_t RangeColumn::bucket_of(float value) const noexcept {
  return static_cast<std::size_t>(std::upper_bound(borders_.begin(), borders_.end(), value) - borders_.begin());
}

void RangeColumn::set(std::int32_t row, float value) {
  float& held = values_[static_cast<std::size_t>(row)];
  if (held == value || (held != held && value != value)) return;
  const std::size_t borders = borders_.size();
  // A number that is not known lies behind every border, in no bucket.
  const std::size_t from = held == held ? bucket_of(held) : borders;
  const std::size_t to = value == value ? bucket_of(value) : borders;
  if (value == value) buckets_[to].push_back({value, row});  // may throw: before anything changes
  if (held == held) {
    auto& bucket = buckets_[from];
    const auto place = static_cast<std::size_t>(place_[static_cast<std::size_t>(row)]);
    // The new entry may be the last of the same bucket: it takes the old one's place then.
    bucket[place] = bucket.back();
    place_[static_cast<std::size_t>(bucket[place].row)] = static_cast<std::int32_t>(place);
    bucket.pop_back();
  }
  if (value == value && (held != held || from != to)) place_[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(buckets_[to].size() - 1);
  for (std::size_t b = std::min(from, to); b < std::max(from, to); ++b) flip_bit(sets_[b], row);
  held = value;
}

void RangeColumn::below(float limit, ItemBitmap& out) const {
  const std::size_t bucket = bucket_of(limit);
  if (bucket == 0) out = ItemBitmap(static_cast<std::int32_t>(values_.size()));
  else out = sets_[bucket - 1];
  if (bucket > 0 && borders_[bucket - 1] == limit) return;
  // Without a branch: which of a bucket's numbers lie below is anybody's guess.
  std::uint64_t* words = out.words().data();
  for (const Member& m : buckets_[bucket])
    words[static_cast<std::size_t>(m.row) / 64] |= static_cast<std::uint64_t>(m.value < limit) << (m.row % 64);
}

ItemBitmap RangeColumn::between(float min, float max) const {
  ItemBitmap out;
  below(std::nextafter(max, kInfinityF), out);  // of infinity: infinity, below which every number of a product's is
  if (min == -kInfinityF) return out;
  ItemBitmap less;
  below(min, less);
  for (std::size_t w = 0; w < out.words().size(); ++w) out.words()[w] &= ~less.words()[w];
  return out;
}

}  // namespace etalage::serving
