// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace etalage {

/// Sparse sums in a dense array of unspecified content: a block of kBlock is cleared and noted on its first touch, so
/// that the cost follows what is touched and not the size of the array.
class BlockSums {
 public:
  static constexpr std::size_t kBlock = 64;

  /// For n sums. `bits` is all zero between uses (Scratch::Impl::bits) and is so again after clear().
  BlockSums(std::vector<float>& floats, std::vector<std::uint64_t>& bits, std::size_t n) : words_(n / (kBlock * 64) + 1) {
    const std::size_t padded = (n + kBlock - 1) / kBlock * kBlock;
    if (floats.size() < padded) floats.resize(padded);
    if (bits.size() < words_) bits.resize(words_);
    sums_ = floats.data();
    touched_ = bits.data();
  }
  void add(std::size_t j, float value) noexcept {
    const std::size_t block = j / kBlock;
    const std::uint64_t bit = std::uint64_t{1} << (block % 64);
    if ((touched_[block / 64] & bit) == 0) {
      touched_[block / 64] |= bit;
      std::fill_n(sums_ + block * kBlock, kBlock, 0.0f);
    }
    sums_[j] += value;
  }
  [[nodiscard]] const float* sums() const noexcept { return sums_; }
  [[nodiscard]] std::span<const std::uint64_t> touched() const noexcept { return {touched_, words_}; }
  /// f(j, sum) for every sum of a touched block that is not 0, j ascending.
  template <class F>
  void for_each(const F& f) const {
    for (std::size_t word = 0; word < words_; ++word)
      for (std::uint64_t left = touched_[word]; left != 0; left &= left - 1) {
        const std::size_t begin = (word * 64 + static_cast<std::size_t>(std::countr_zero(left))) * kBlock;
        for (std::size_t j = begin; j < begin + kBlock; ++j)
          if (sums_[j] != 0.0f) f(j, sums_[j]);
      }
  }
  void clear() noexcept { std::fill_n(touched_, words_, std::uint64_t{0}); }

 private:
  float* sums_;
  std::uint64_t* touched_;
  std::size_t words_;
};

}  // namespace etalage
