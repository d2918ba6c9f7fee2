// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/column.hpp"
#include "core/hash.hpp"
#include "detail/huge_pages.hpp"
#include "detail/prefetch.hpp"
#include "detail/probing.hpp"

namespace etalage::detail {

/// Zeroed memory for a hash table. Large ones ask for huge pages: random probes otherwise miss the TLB each time.
class ZeroedPages {
 public:
  ZeroedPages() = default;
  explicit ZeroedPages(std::size_t bytes) : bytes_(bytes) {
    data_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) throw std::bad_alloc();
    if (bytes >= (std::size_t{4} << 20)) ::madvise(data_, bytes, MADV_HUGEPAGE);
  }
  ZeroedPages(ZeroedPages&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  ZeroedPages& operator=(ZeroedPages&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~ZeroedPages() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }
  [[nodiscard]] void* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

[[noreturn]] inline void too_many_keys() {
  throw std::invalid_argument("a column holds more than 2147483647 different keys, which is the limit");
}

/// Strings in a slot: up to 16 bytes lie in the slot itself (two words that overlap cover any length from 8 on), so a
/// probe touches one cache line; longer ones are a hash and a pointer to their first appearance.
struct StringPolicy {
  using Key = StringRef;
  struct Slot {
    std::uint64_t a;
    std::uint64_t b;
    std::uint32_t size;
    std::uint32_t index;  // + 1; 0 is free
  };
  static Slot prepare(StringRef key) noexcept {
    Slot s{0, 0, key.size, 0};
    const char* p = key.data;
    const std::size_t n = key.size;
    if (n > 16) {
      s.a = hash_key(key.view());
      s.b = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(p));
    } else if (n >= 8) {
      std::memcpy(&s.a, p, 8);
      std::memcpy(&s.b, p + n - 8, 8);
    } else if (n >= 4) {
      std::uint32_t low = 0;
      std::uint32_t high = 0;
      std::memcpy(&low, p, 4);
      std::memcpy(&high, p + n - 4, 4);
      s.a = low | static_cast<std::uint64_t>(high) << 32;
    } else if (n > 0) {
      const auto byte = [p](std::size_t i) { return static_cast<std::uint64_t>(static_cast<unsigned char>(p[i])); };
      s.a = byte(0) | byte(n / 2) << 8 | byte(n - 1) << 16;
    }
    return s;
  }
  static void prefetch(const Slot& s) noexcept {
    if (s.size > 16) __builtin_prefetch(reinterpret_cast<const void*>(static_cast<std::uintptr_t>(s.b)));
    keep_requests();
  }
  static std::uint64_t hash(const Slot& s) noexcept {
    if (s.size > 16) return s.a;
    __extension__ using u128 = unsigned __int128;
    const u128 p = static_cast<u128>(s.a ^ 0x9e3779b97f4a7c15ULL ^ s.size) * (s.b ^ 0xd6e8feb86659fd93ULL);
    const std::uint64_t h = static_cast<std::uint64_t>(p) ^ static_cast<std::uint64_t>(p >> 64);
    return h ^ (h >> 29);
  }
  static bool same(const Slot& x, const Slot& y) noexcept {
    if (x.a != y.a || x.size != y.size) return false;
    if (x.size <= 16) return x.b == y.b;
    return std::memcmp(reinterpret_cast<const void*>(static_cast<std::uintptr_t>(x.b)),
                       reinterpret_cast<const void*>(static_cast<std::uintptr_t>(y.b)), x.size) == 0;
  }
};

struct IntegerPolicy {
  using Key = std::int64_t;
  struct Slot {
    std::int64_t key;
    std::uint32_t index;
  };
  static Slot prepare(std::int64_t key) noexcept { return {key, 0}; }
  static void prefetch(const Slot&) noexcept {}
  static std::uint64_t hash(const Slot& s) noexcept { return hash_key(s.key); }
  static bool same(const Slot& x, const Slot& y) noexcept { return x.key == y.key; }
};

/// Keys of one thread's rows -> numbers in order of first appearance.
template <class Policy>
class InternTable {
 public:
  using Key = typename Policy::Key;
  using Slot = typename Policy::Slot;

  explicit InternTable(std::size_t expected_keys = 0) {
    allocate(std::bit_ceil(std::max<std::size_t>(1024, expected_keys * 2)));
    keys_.reserve(expected_keys);
    prefer_huge_pages(keys_.data(), keys_.capacity() * sizeof(Key));
  }

  /// Numbers a batch: out[j] for keys[j]. Slots are fetched kAhead keys before they are looked at, since a table of many
  /// keys is larger than cache.
  static constexpr std::size_t kBatch = 512;
  void add(const Key* keys, std::size_t n, std::int32_t* out) {
    if ((keys_.size() + n) * 2 > mask_ + 1) grow();
    std::array<Slot, kAhead> slots;
    std::array<std::size_t, kAhead> at;
    const std::size_t ahead = std::min(n, kAhead);
    for (std::size_t j = 0; j < n + ahead; ++j) {
      if (j >= ahead) {
        const std::size_t k = (j - ahead) % kAhead;
        const std::size_t s = probe(at[k], mask_ + 1, [&](std::size_t slot) { return table_[slot].index == 0 || Policy::same(table_[slot], slots[k]); });
        if (table_[s].index == 0) {
          if (keys_.size() >= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) too_many_keys();
          keys_.push_back(keys[j - ahead]);
          slots[k].index = static_cast<std::uint32_t>(keys_.size());
          table_[s] = slots[k];
        }
        out[j - ahead] = static_cast<std::int32_t>(table_[s].index - 1);
      }
      if (j < n) {
        const std::size_t k = j % kAhead;
        slots[k] = Policy::prepare(keys[j]);
        at[k] = static_cast<std::size_t>(Policy::hash(slots[k])) & mask_;
        const auto* slot = reinterpret_cast<const char*>(table_ + at[k]);
        __builtin_prefetch(slot, 1);
        __builtin_prefetch(slot + sizeof(Slot) - 1, 1);  // it may lie across two lines
      }
    }
  }

  [[nodiscard]] const std::vector<Key>& keys() const noexcept { return keys_; }
  [[nodiscard]] std::vector<Key> take_keys() { return std::move(keys_); }
  void release_slots() { pages_ = ZeroedPages(); }

 private:
  static constexpr std::size_t kAhead = 32;

  void allocate(std::size_t slots) {
    pages_ = ZeroedPages(slots * sizeof(Slot));
    table_ = static_cast<Slot*>(pages_.data());
    mask_ = slots - 1;
  }
  void grow() {
    ZeroedPages old = std::move(pages_);
    const Slot* from = table_;
    const std::size_t n = mask_ + 1;
    allocate(n < 65536 ? n * 4 : n * 2);
    for (std::size_t i = 0; i < n; ++i) {
      if (from[i].index == 0) continue;
      table_[probe(Policy::hash(from[i]), mask_ + 1, [&](std::size_t slot) { return table_[slot].index == 0; })] = from[i];
    }
  }

  ZeroedPages pages_;
  Slot* table_ = nullptr;
  std::size_t mask_ = 0;
  std::vector<Key> keys_;
};

}  // namespace etalage::detail
