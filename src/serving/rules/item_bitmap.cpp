// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/item_bitmap.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

namespace etalage {
namespace {

std::size_t words_for(std::int32_t size) { return (static_cast<std::size_t>(size) + 63) / 64; }

// The bits behind the last item are kept zero.
void clear_tail(std::vector<std::uint64_t>& words, std::int32_t size) noexcept {
  if (size % 64 != 0) words.back() &= (std::uint64_t{1} << (size % 64)) - 1;
}

void check_size(std::int32_t a, std::int32_t b) {
  if (a != b)
    throw std::invalid_argument("other has size " + std::to_string(b) + ", must have this one's size " + std::to_string(a));
}

}  // namespace

ItemBitmap::ItemBitmap(std::int32_t size, bool value) : size_(size) {
  if (size < 0) throw std::invalid_argument("size is " + std::to_string(size) + ", must be >= 0");
  words_.assign(words_for(size), value ? ~std::uint64_t{0} : 0);
  clear_tail(words_, size_);
}

ItemBitmap& ItemBitmap::operator&=(const ItemBitmap& other) {
  check_size(size_, other.size_);
  for (std::size_t w = 0; w < words_.size(); ++w) words_[w] &= other.words_[w];
  return *this;
}

ItemBitmap& ItemBitmap::operator|=(const ItemBitmap& other) {
  check_size(size_, other.size_);
  for (std::size_t w = 0; w < words_.size(); ++w) words_[w] |= other.words_[w];
  return *this;
}

void ItemBitmap::flip() noexcept {
  for (std::uint64_t& w : words_) w = ~w;
  clear_tail(words_, size_);
}

std::int64_t ItemBitmap::count() const noexcept {
  // Sums of bytes in a loop that the compiler makes vectors of; the baseline has no instruction that counts bits.
  constexpr std::size_t kBlock = 30;  // 30 times 8 fit a byte
  std::int64_t n = 0;
  for (std::size_t begin = 0; begin < words_.size(); begin += kBlock) {
    const std::size_t end = std::min(begin + kBlock, words_.size());
    std::uint64_t bytes = 0;
    for (std::size_t w = begin; w < end; ++w) {
      std::uint64_t v = words_[w];
      v -= (v >> 1) & 0x5555555555555555u;
      v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
      bytes += (v + (v >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    }
    const std::uint64_t pairs = (bytes & 0x00FF00FF00FF00FFu) + ((bytes >> 8) & 0x00FF00FF00FF00FFu);
    n += static_cast<std::int64_t>((pairs * 0x0001000100010001u) >> 48);
  }
  return n;
}

std::int32_t ItemBitmap::next(std::int32_t from) const noexcept {
  if (from < 0) from = 0;
  if (from >= size_) return size_;
  std::size_t w = static_cast<std::size_t>(from) / 64;
  std::uint64_t bits = words_[w] & (~std::uint64_t{0} << (from % 64));
  while (bits == 0) {
    if (++w == words_.size()) return size_;
    bits = words_[w];
  }
  return static_cast<std::int32_t>(w * 64) + std::countr_zero(bits);
}

std::vector<std::int32_t> ItemBitmap::items() const {
  std::vector<std::int32_t> out;
  out.reserve(static_cast<std::size_t>(count()));
  for (std::size_t w = 0; w < words_.size(); ++w)
    for (std::uint64_t bits = words_[w]; bits != 0; bits &= bits - 1)
      out.push_back(static_cast<std::int32_t>(w * 64) + std::countr_zero(bits));
  return out;
}

ItemFilter ItemBitmap::filter() const { return ItemFilter::allow(items()); }

}  // namespace etalage
