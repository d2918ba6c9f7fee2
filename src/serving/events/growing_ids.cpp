// SPDX-License-Identifier: Apache-2.0
#include "serving/events/growing_ids.hpp"

#include <cstring>
#include <limits>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/hash.hpp"

namespace etalage::serving {

std::uint64_t hash_of(KeyView key) noexcept {
  if (const auto* text = std::get_if<std::string_view>(&key)) return detail::hash_key(*text);
  return detail::hash_key(*std::get_if<std::int64_t>(&key));
}

GrowingIds::GrowingIds(const char* what)
    : what_(what), chunks_(std::make_unique<std::atomic<Entry*>[]>(kChunks)), shards_(kShards), stripes_(kShards) {}

GrowingIds::~GrowingIds() = default;

GrowingIds::Claim::Claim(GrowingIds& ids, KeyView key) {
  if (ids.settled_.load(std::memory_order_acquire)) {
    ids.require(key, false);
    return;
  }
  const std::lock_guard guard(ids.kind_mutex_);
  ids.require(key, true);
  ++ids.claims_;
  ids_ = &ids;
}

GrowingIds::Claim::~Claim() {
  if (ids_ == nullptr) return;
  const std::lock_guard guard(ids_->kind_mutex_);
  if (--ids_->claims_ == 0 && !ids_->settled_.load(std::memory_order_relaxed)) ids_->kind_.store(-1, std::memory_order_relaxed);
}

void GrowingIds::require(KeyView key, bool claim) {
  const int kind = static_cast<int>(key.index());
  const int known = kind_.load(std::memory_order_relaxed);
  if (known >= 0 && known != kind)
    throw std::invalid_argument(std::string(what_) + " is the " + (kind == 1 ? "string '" : "integer ") + text_of(key).substr(0, 100) +
                                (kind == 1 ? "'" : "") + ", must be " + (known == 1 ? "a string" : "an integer") + " as the keys before it");
  const int expected = expected_.load(std::memory_order_relaxed);
  if (known < 0 && expected >= 0 && expected != kind)
    throw std::invalid_argument(std::string(what_) + " is the " + (kind == 1 ? "string '" : "integer ") + text_of(key).substr(0, 100) +
                                (kind == 1 ? "'" : "") + ", must be " + (expected == 1 ? "a string" : "an integer") + " as the keys of the published snapshot");
  const auto* text = std::get_if<std::string_view>(&key);
  if (text != nullptr && text->size() > kMaxKeyBytes)
    throw std::invalid_argument(std::string(what_) + " has " + std::to_string(text->size()) + " bytes, must have at most " +
                                std::to_string(kMaxKeyBytes));
  if (claim) kind_.store(kind, std::memory_order_relaxed);
}

bool GrowingIds::same(const Entry& e, KeyView key) const noexcept {
  if (const auto* text = std::get_if<std::string_view>(&key))
    return e.size == text->size() && e.text && std::memcmp(e.text.get(), text->data(), e.size) == 0;
  return !e.text && e.number == *std::get_if<std::int64_t>(&key);
}

std::uint64_t GrowingIds::hash_of_entry(const Entry& e) const noexcept {
  return e.text ? detail::hash_key(std::string_view(e.text.get(), e.size)) : detail::hash_key(e.number);
}

std::uint32_t* GrowingIds::slot_of(Shard& shard, std::uint64_t hash, KeyView key) const noexcept {
  const std::size_t mask = shard.slots.size() - 1;
  for (std::size_t at = (hash >> 6) & mask;; at = (at + 1) & mask) {
    std::uint32_t& slot = shard.slots[at];
    if (slot == 0 || (slot != kDeleted && same(entry(slot - 1), key))) return &slot;
  }
}

/// As many slots as the keys that are there need: erased ones give theirs back.
void GrowingIds::rehash(Shard& shard) const {
  std::size_t size = 64;
  while (size < shard.live * 4) size *= 2;
  std::vector<std::uint32_t> old(size, 0);
  old.swap(shard.slots);
  const std::size_t mask = size - 1;
  for (const std::uint32_t slot : old) {
    if (slot == 0 || slot == kDeleted) continue;
    std::size_t at = (hash_of_entry(entry(slot - 1)) >> 6) & mask;
    while (shard.slots[at] != 0) at = (at + 1) & mask;
    shard.slots[at] = slot;
  }
  shard.used = shard.live;
}

/// Under index_mutex_.
GrowingIds::Entry& GrowingIds::claim(std::uint32_t i) {
  std::atomic<Entry*>& chunk = chunks_[i / kChunk];
  if (chunk.load(std::memory_order_relaxed) == nullptr) {
    owned_.push_back(std::make_unique<Entry[]>(kChunk));
    chunk.store(owned_.back().get(), std::memory_order_release);
  }
  return entry(i);
}

std::uint32_t GrowingIds::next_index() {
  const std::lock_guard guard(index_mutex_);
  if (!free_.empty()) {
    const std::uint32_t i = free_.back();
    free_.pop_back();
    return i;
  }
  const std::int32_t index = next_.load(std::memory_order_relaxed);
  if (index == std::numeric_limits<std::int32_t>::max())
    throw std::invalid_argument(std::string(what_) + " is the 2147483648th key, must be among 2147483647");
  claim(static_cast<std::uint32_t>(index));
  next_.store(index + 1, std::memory_order_release);
  return static_cast<std::uint32_t>(index);
}

std::int32_t GrowingIds::intern(KeyView key) {
  if (const std::int32_t known = find(key); known >= 0) return known;
  return add(key);
}

std::int32_t GrowingIds::add(KeyView key) {
  const Claim claim(*this, key);
  const auto* text = std::get_if<std::string_view>(&key);
  const std::uint64_t hash = serving::hash_of(key);
  Shard& shard = shards_[hash % kShards];
  const std::lock_guard guard(shard.mutex);
  if ((shard.used + 1) * 2 > shard.slots.size()) rehash(shard);
  std::uint32_t* slot = slot_of(shard, hash, key);
  if (*slot != 0) return static_cast<std::int32_t>(*slot - 1);
  auto copy = text == nullptr ? nullptr : std::make_unique<char[]>(text->size() + 1);
  if (text != nullptr && !text->empty()) std::memcpy(copy.get(), text->data(), text->size());
  const std::uint32_t i = next_index();
  {
    const std::lock_guard stripe(stripes_[i % kShards]);
    Entry& e = entry(i);
    e.text = std::move(copy);
    e.size = text == nullptr ? 0 : static_cast<std::uint32_t>(text->size());
    e.number = text == nullptr ? *std::get_if<std::int64_t>(&key) : 0;
    e.used = true;
  }
  *slot = i + 1;
  ++shard.used;
  ++shard.live;
  count_.fetch_add(1, std::memory_order_relaxed);
  settled_.store(true, std::memory_order_release);
  return static_cast<std::int32_t>(i);
}

bool GrowingIds::key_at(std::int32_t index, Key& out) const {
  if (index < 0 || index >= size()) return false;
  const auto i = static_cast<std::uint32_t>(index);
  const std::shared_lock stripe(stripes_[i % kShards]);
  const Entry& e = entry(i);
  if (!e.used) return false;
  if (!e.text) out = e.number;
  else if (auto* text = std::get_if<std::string>(&out)) text->assign(e.text.get(), e.size);  // reuses the memory of the caller's string
  else out = std::string(e.text.get(), e.size);
  return true;
}

void GrowingIds::erase(std::int32_t index) {
  Key key;
  if (!key_at(index, key)) return;
  const auto i = static_cast<std::uint32_t>(index);
  const std::uint64_t hash = serving::hash_of(view_of(key));
  Shard& shard = shards_[hash % kShards];
  {
    const std::lock_guard guard(shard.mutex);
    std::uint32_t* slot = slot_of(shard, hash, view_of(key));
    if (*slot != i + 1) return;  // somebody else has erased it
    const std::lock_guard stripe(stripes_[i % kShards]);
    Entry& e = entry(i);
    if (e.text) std::memset(e.text.get(), 0, e.size);
    e = Entry{};
    *slot = kDeleted;
    --shard.live;
  }
  count_.fetch_sub(1, std::memory_order_relaxed);
  const std::lock_guard guard(index_mutex_);
  try {
    free_.push_back(i);
  } catch (const std::bad_alloc&) {  // the index is never given again, no harm beyond that
  }
}

}  // namespace etalage::serving
