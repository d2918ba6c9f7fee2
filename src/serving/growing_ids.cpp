// SPDX-License-Identifier: Apache-2.0
#include "serving/growing_ids.hpp"

#include <cstring>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/hash.hpp"

namespace etalage::serving {
namespace {

std::uint64_t hash_view(KeyView key) noexcept {
  if (const auto* text = std::get_if<std::string_view>(&key)) return detail::hash_key(*text);
  return detail::hash_key(*std::get_if<std::int64_t>(&key));
}

}  // namespace

GrowingIds::GrowingIds(const char* what)
    : what_(what), chunks_(std::make_unique<std::atomic<Entry*>[]>(kChunks)), shards_(kShards), stripes_(kShards) {}

GrowingIds::~GrowingIds() = default;

bool GrowingIds::same(const Entry& e, KeyView key) const noexcept {
  if (!e.used) return false;
  if (const auto* text = std::get_if<std::string_view>(&key))
    return e.size == text->size() && e.text && std::memcmp(e.text.get(), text->data(), e.size) == 0;
  return !e.text && e.number == *std::get_if<std::int64_t>(&key);
}

std::uint64_t GrowingIds::hash_of(const Entry& e) const noexcept {
  return e.text ? detail::hash_key(std::string_view(e.text.get(), e.size)) : detail::hash_key(e.number);
}

std::uint32_t* GrowingIds::slot_of(Shard& shard, std::uint64_t hash, KeyView key) const noexcept {
  const std::size_t mask = shard.slots.size() - 1;
  for (std::size_t at = (hash >> 6) & mask;; at = (at + 1) & mask) {
    std::uint32_t& slot = shard.slots[at];
    if (slot == 0 || same(entry(slot - 1), key)) return &slot;
  }
}

std::int32_t GrowingIds::find(KeyView key) const noexcept {
  if (size() == 0) return kUnknown;
  const std::uint64_t hash = hash_view(key);
  auto& shard = const_cast<Shard&>(shards_[hash % kShards]);
  const std::shared_lock guard(shard.mutex);
  if (shard.slots.empty()) return kUnknown;
  const std::uint32_t slot = *slot_of(shard, hash, key);
  return slot == 0 ? kUnknown : static_cast<std::int32_t>(slot - 1);
}

void GrowingIds::require_kind(KeyView key) {
  const int kind = static_cast<int>(key.index());
  int known = kind_.load(std::memory_order_relaxed);
  if (known < 0 && kind_.compare_exchange_strong(known, kind)) return;
  if (known != kind)
    throw std::invalid_argument(std::string(what_) + " is the " + (kind == 1 ? "string '" : "integer ") + text_of(key).substr(0, 100) +
                                (kind == 1 ? "'" : "") + ", must be " + (known == 1 ? "a string" : "an integer") + " as the keys before it");
}

void GrowingIds::grow(Shard& shard) const {
  std::vector<std::uint32_t> old(shard.slots.empty() ? 64 : shard.slots.size() * 2, 0);
  old.swap(shard.slots);
  const std::size_t mask = shard.slots.size() - 1;
  shard.used = 0;
  for (const std::uint32_t slot : old) {
    if (slot == 0 || !entry(slot - 1).used) continue;
    std::size_t at = (hash_of(entry(slot - 1)) >> 6) & mask;
    while (shard.slots[at] != 0) at = (at + 1) & mask;
    shard.slots[at] = slot;
    ++shard.used;
  }
}

GrowingIds::Entry& GrowingIds::claim(std::uint32_t i) {
  std::atomic<Entry*>& chunk = chunks_[i / kChunk];
  if (chunk.load(std::memory_order_acquire) == nullptr) {
    const std::lock_guard guard(chunk_mutex_);
    if (chunk.load(std::memory_order_relaxed) == nullptr) {
      owned_.push_back(std::make_unique<Entry[]>(kChunk));
      chunk.store(owned_.back().get(), std::memory_order_release);
    }
  }
  return entry(i);
}

std::int32_t GrowingIds::intern(KeyView key) {
  if (const std::int32_t known = find(key); known >= 0) return known;
  require_kind(key);
  const auto* text = std::get_if<std::string_view>(&key);
  if (text != nullptr && text->size() > kMaxKeyBytes)
    throw std::invalid_argument(std::string(what_) + " has " + std::to_string(text->size()) + " bytes, must have at most " +
                                std::to_string(kMaxKeyBytes));
  const std::uint64_t hash = hash_view(key);
  Shard& shard = shards_[hash % kShards];
  const std::lock_guard guard(shard.mutex);
  if (shard.used * 2 >= shard.slots.size()) grow(shard);
  std::uint32_t* slot = slot_of(shard, hash, key);
  if (*slot != 0) return static_cast<std::int32_t>(*slot - 1);
  std::int32_t index = next_.load(std::memory_order_relaxed);
  do {
    if (index == std::numeric_limits<std::int32_t>::max())
      throw std::invalid_argument(std::string(what_) + " is the 2147483648th key, must be among 2147483647");
  } while (!next_.compare_exchange_weak(index, index + 1, std::memory_order_acq_rel));
  const auto i = static_cast<std::uint32_t>(index);
  Entry& e = claim(i);
  {
    const std::lock_guard stripe(stripes_[i % kShards]);
    if (text != nullptr) {
      e.text = std::make_unique<char[]>(text->size() + 1);
      if (!text->empty()) std::memcpy(e.text.get(), text->data(), text->size());
      e.size = static_cast<std::uint32_t>(text->size());
    } else {
      e.number = *std::get_if<std::int64_t>(&key);
    }
    e.used = true;
  }
  *slot = i + 1;
  ++shard.used;
  return index;
}

bool GrowingIds::key_at(std::int32_t index, Key& out) const {
  if (index < 0 || index >= size()) return false;
  const auto i = static_cast<std::uint32_t>(index);
  if (chunks_[i / kChunk].load(std::memory_order_acquire) == nullptr) return false;
  const std::shared_lock stripe(stripes_[i % kShards]);
  const Entry& e = entry(i);
  if (!e.used) return false;
  if (!e.text) out = e.number;
  else if (auto* text = std::get_if<std::string>(&out)) text->assign(e.text.get(), e.size);  // reuses the memory of the caller's string
  else out = std::string(e.text.get(), e.size);
  return true;
}

void GrowingIds::erase(std::int32_t index) {
  if (index < 0 || index >= size()) return;
  const auto i = static_cast<std::uint32_t>(index);
  Key key;
  if (!key_at(index, key)) return;
  Shard& shard = shards_[hash_view(view_of(key)) % kShards];
  const std::lock_guard guard(shard.mutex);
  const std::lock_guard stripe(stripes_[i % kShards]);
  Entry& e = entry(i);
  if (e.text) std::memset(e.text.get(), 0, e.size);
  e = Entry{};  // its slot stays taken, so that keys behind it are found, until the shard grows
}

}  // namespace etalage::serving
