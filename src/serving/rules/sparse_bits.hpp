// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace etalage::serving {

/// A set of numbers >= 0 that mostly are few of many: two bytes each up to 4096 in a block of 65,536, a bitmap of 8 KB
/// from there (Chambi, Lemire, Kaser, Godin, "Better bitmap performance with Roaring bitmaps", 2016).
/// Cost   insert, erase, contains: a binary search among at most 4096
class SparseBits {
 public:
  [[nodiscard]] bool contains(std::int32_t number) const noexcept {
    const auto [block, low] = split(number);
    if (block >= blocks_.size()) return false;
    const Block& b = blocks_[block];
    if (b.bits) return ((*b.bits)[low / 64] >> (low % 64) & 1) != 0;
    return std::binary_search(b.few.begin(), b.few.end(), low);
  }

  /// Whether it was not there.
  bool insert(std::int32_t number) {
    const auto [block, low] = split(number);
    if (block >= blocks_.size()) blocks_.resize(block + 1);
    Block& b = blocks_[block];
    if (b.bits) {
      std::uint64_t& word = (*b.bits)[low / 64];
      const std::uint64_t bit = std::uint64_t{1} << (low % 64);
      if ((word & bit) != 0) return false;
      word |= bit;
    } else {
      const auto at = std::lower_bound(b.few.begin(), b.few.end(), low);
      if (at != b.few.end() && *at == low) return false;
      if (b.few.size() == kFew) {
        auto bits = std::make_unique<std::array<std::uint64_t, kWords>>();
        for (const std::uint16_t other : b.few) (*bits)[other / 64] |= std::uint64_t{1} << (other % 64);
        (*bits)[low / 64] |= std::uint64_t{1} << (low % 64);
        b.bits = std::move(bits);
        b.few = std::vector<std::uint16_t>();  // gives its memory back, as = {} would not
      } else {
        b.few.insert(at, low);
      }
    }
    ++b.count;
    ++count_;
    return true;
  }

  /// Whether it was there.
  bool erase(std::int32_t number) {
    const auto [block, low] = split(number);
    if (block >= blocks_.size()) return false;
    Block& b = blocks_[block];
    if (b.bits) {
      std::uint64_t& word = (*b.bits)[low / 64];
      const std::uint64_t bit = std::uint64_t{1} << (low % 64);
      if ((word & bit) == 0) return false;
      word &= ~bit;
      // Half of what makes a bitmap: a block at the border does not change its form with every step.
      if (b.count - 1 <= kFew / 2) {
        std::vector<std::uint16_t> few;
        few.reserve(b.count - 1);
        for (std::size_t w = 0; w < kWords; ++w)
          for (std::uint64_t left = (*b.bits)[w]; left != 0; left &= left - 1)
            few.push_back(static_cast<std::uint16_t>(64 * w + static_cast<std::size_t>(std::countr_zero(left))));
        b.few = std::move(few);
        b.bits.reset();
      }
    } else {
      const auto at = std::lower_bound(b.few.begin(), b.few.end(), low);
      if (at == b.few.end() || *at != low) return false;
      b.few.erase(at);
    }
    --b.count;
    --count_;
    return true;
  }

  [[nodiscard]] std::size_t size() const noexcept { return count_; }

  /// visit(number), ascending.
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (std::size_t block = 0; block < blocks_.size(); ++block) {
      const Block& b = blocks_[block];
      const auto base = static_cast<std::int32_t>(block * kBlock);
      for (const std::uint16_t low : b.few) visit(base + low);
      if (!b.bits) continue;
      for (std::size_t w = 0; w < kWords; ++w)
        for (std::uint64_t left = (*b.bits)[w]; left != 0; left &= left - 1)
          visit(base + static_cast<std::int32_t>(64 * w) + std::countr_zero(left));
    }
  }

  /// Of the heap and this object.
  [[nodiscard]] std::size_t bytes() const noexcept {
    std::size_t sum = sizeof *this + blocks_.capacity() * sizeof(Block);
    for (const Block& b : blocks_) sum += b.few.capacity() * sizeof(std::uint16_t) + (b.bits ? sizeof *b.bits : 0);
    return sum;
  }

 private:
  static constexpr std::size_t kBlock = 65536;
  static constexpr std::size_t kWords = kBlock / 64;
  static constexpr std::size_t kFew = 4096;  // as much memory as the bitmap
  struct Block {
    std::vector<std::uint16_t> few;
    std::unique_ptr<std::array<std::uint64_t, kWords>> bits;
    std::uint32_t count = 0;
  };
  struct Place {
    std::size_t block;
    std::uint16_t low;
  };
  [[nodiscard]] static Place split(std::int32_t number) noexcept {
    const auto n = static_cast<std::size_t>(number);
    return {n / kBlock, static_cast<std::uint16_t>(n % kBlock)};
  }

  std::vector<Block> blocks_;
  std::size_t count_ = 0;
};

}  // namespace etalage::serving
