// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string_view>
#include <vector>

#include "etalage/serving/key.hpp"

namespace etalage::serving {

/// Keys that keep coming: key -> dense index, and back, numbered as they appear. Keys are all integers or all strings, as
/// the first one is.
///
/// Threads   every member may be called concurrently
class GrowingIds {
 public:
  static constexpr std::int32_t kUnknown = -1;
  static constexpr std::size_t kMaxKeyBytes = 1024;

  explicit GrowingIds(const char* what);  ///< named in messages
  ~GrowingIds();
  GrowingIds(const GrowingIds&) = delete;
  GrowingIds& operator=(const GrowingIds&) = delete;

  [[nodiscard]] std::int32_t find(KeyView key) const noexcept;
  /// std::invalid_argument for a key of the other kind or beyond 1024 bytes, or when 2^31 - 1 are taken.
  std::int32_t intern(KeyView key);
  [[nodiscard]] std::int32_t size() const noexcept { return next_.load(std::memory_order_acquire); }
  /// False for an index that was erased or never given.
  bool key_at(std::int32_t index, Key& out) const;
  /// Forgets the key; its index is never given again.
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
    std::size_t used = 0;
  };
  static constexpr std::size_t kShards = 64;
  static constexpr std::size_t kChunk = std::size_t{1} << 15;
  static constexpr std::size_t kChunks = (std::size_t{1} << 31) / kChunk;

  [[nodiscard]] Entry& entry(std::uint32_t i) const noexcept { return chunks_[i / kChunk].load(std::memory_order_acquire)[i % kChunk]; }
  [[nodiscard]] bool same(const Entry& e, KeyView key) const noexcept;
  [[nodiscard]] std::uint64_t hash_of(const Entry& e) const noexcept;
  [[nodiscard]] std::uint32_t* slot_of(Shard& shard, std::uint64_t hash, KeyView key) const noexcept;
  void grow(Shard& shard) const;
  Entry& claim(std::uint32_t i);
  void require_kind(KeyView key);

  const char* what_;
  std::atomic<int> kind_{-1};
  std::atomic<std::int32_t> next_{0};
  std::unique_ptr<std::atomic<Entry*>[]> chunks_;
  std::vector<std::unique_ptr<Entry[]>> owned_;
  std::shared_mutex chunk_mutex_;
  std::vector<Shard> shards_;
  mutable std::vector<std::shared_mutex> stripes_;  // of entries, by index: key_at() against erase()
};

}  // namespace etalage::serving
