// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string_view>
#include <vector>

#include "etalage/serving/key.hpp"

namespace etalage::serving {

/// Hash of a key, of integers and of strings alike.
[[nodiscard]] std::uint64_t hash_of(KeyView key) noexcept;

/// Keys that keep coming: key -> dense index, and back, numbered as they appear. Keys are all integers or all strings, as
/// the first one is. The index of an erased key is given to a later one.
///
/// Threads   every member may be called concurrently
/// Memory    24 bytes an index, 4 to 16 a key, and the text of strings
class GrowingIds {
 public:
  static constexpr std::int32_t kUnknown = -1;
  static constexpr std::size_t kMaxKeyBytes = 1024;

  explicit GrowingIds(const char* what);  ///< named in messages
  ~GrowingIds();
  GrowingIds(const GrowingIds&) = delete;
  GrowingIds& operator=(const GrowingIds&) = delete;

  /// Holds a key's kind while it is not certain yet that the key will be taken, so that what is refused in the end has not
  /// settled the kind of all keys. std::invalid_argument for a key of the other kind or beyond 1024 bytes.
  class Claim {
   public:
    Claim(GrowingIds& ids, KeyView key);
    ~Claim();
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

   private:
    GrowingIds* ids_ = nullptr;  // null when the kind is settled anyway
  };

  /// The kind that a first key must have, as the keys of a published snapshot do: 0 integers, 1 strings, -1 either.
  void expect(int kind) noexcept { expected_.store(kind, std::memory_order_relaxed); }
  [[nodiscard]] std::int32_t find(KeyView key) const noexcept {
    return find(key, [](std::int32_t) {});
  }
  /// likely(index) is told of an index that is most often the key's before that is certain, so that what belongs to it can
  /// be fetched meanwhile.
  template <class Likely>
  [[nodiscard]] std::int32_t find(KeyView key, const Likely& likely) const noexcept {
    if (count() == 0) return kUnknown;
    const std::uint64_t hash = serving::hash_of(key);
    auto& shard = const_cast<Shard&>(shards_[hash % kShards]);
    const std::shared_lock guard(shard.mutex);
    if (shard.slots.empty()) return kUnknown;
    if (const std::uint32_t first = shard.slots[(hash >> 6) & (shard.slots.size() - 1)]; first != 0 && first != kDeleted) likely(static_cast<std::int32_t>(first - 1));
    const std::uint32_t slot = *slot_of(shard, hash, key);
    return slot == 0 ? kUnknown : static_cast<std::int32_t>(slot - 1);
  }
  /// std::invalid_argument for a key of the other kind or beyond 1024 bytes, or when 2^31 - 1 are taken.
  std::int32_t intern(KeyView key);
  /// The same for a key that was not there a moment ago, without looking for it first.
  std::int32_t add(KeyView key);
  /// One more than the highest index that was ever given; an index below it may be in the making still, and have no key.
  [[nodiscard]] std::int32_t size() const noexcept { return next_.load(std::memory_order_acquire); }
  /// Keys that are there.
  [[nodiscard]] std::int32_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
  /// False for an index that was erased or never given.
  bool key_at(std::int32_t index, Key& out) const;
  /// Forgets the key; its index is given to a new key.
  void erase(std::int32_t index);

 private:
  struct Entry {
    std::int64_t number = 0;
    std::unique_ptr<char[]> text;
    std::uint32_t size = 0;
    bool used = false;
  };
  struct Shard {
    mutable std::shared_mutex mutex;
    std::vector<std::uint32_t> slots;  // index + 1, 0 = free
    std::size_t used = 0;              // kDeleted ones included
    std::size_t live = 0;
  };
  static constexpr std::size_t kShards = 64;
  static constexpr std::size_t kChunk = std::size_t{1} << 15;
  static constexpr std::size_t kChunks = (std::size_t{1} << 31) / kChunk;
  static constexpr std::uint32_t kDeleted = UINT32_MAX;  // keeps the keys behind it findable

  [[nodiscard]] Entry& entry(std::uint32_t i) const noexcept { return chunks_[i / kChunk].load(std::memory_order_acquire)[i % kChunk]; }
  [[nodiscard]] bool same(const Entry& e, KeyView key) const noexcept;
  [[nodiscard]] std::uint64_t hash_of_entry(const Entry& e) const noexcept;
  [[nodiscard]] std::uint32_t* slot_of(Shard& shard, std::uint64_t hash, KeyView key) const noexcept;
  void rehash(Shard& shard) const;
  Entry& claim(std::uint32_t i);
  std::uint32_t next_index();
  void require(KeyView key, bool claim);

  const char* what_;
  std::atomic<int> kind_{-1};
  std::atomic<int> expected_{-1};
  std::atomic<bool> settled_{false};  // a key was taken: the kind stays
  std::mutex kind_mutex_;
  int claims_ = 0;
  std::atomic<std::int32_t> next_{0};
  std::atomic<std::int32_t> count_{0};
  std::unique_ptr<std::atomic<Entry*>[]> chunks_;
  std::vector<std::unique_ptr<Entry[]>> owned_;
  std::mutex index_mutex_;             // of owned_, free_ and the rise of next_
  std::vector<std::uint32_t> free_;
  std::vector<Shard> shards_;
  mutable std::vector<std::shared_mutex> stripes_;  // of entries, by index: key_at() against erase()
};

}  // namespace etalage::serving
