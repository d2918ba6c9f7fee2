// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "detail/prefetch.hpp"

namespace etalage::retrieval {

/// Node numbers in `width` bytes each, 2 to 4; all ones is -1, which is no node. Four bytes can be read at every place,
/// the last one too.
class Links {
 public:
  static_assert(std::endian::native == std::endian::little, "numbers are cut short at their end");
  class Iterator {
   public:
    Iterator(const std::uint8_t* at, std::size_t width) noexcept : at_(at), width_(width) {}
    [[nodiscard]] std::int32_t operator*() const noexcept {
      std::uint32_t link = 0;
      std::memcpy(&link, at_, sizeof link);
      const std::uint32_t none = ~std::uint32_t{0} >> (32 - 8 * width_);
      link &= none;
      return link == none ? -1 : static_cast<std::int32_t>(link);
    }
    Iterator& operator++() noexcept {
      at_ += width_;
      return *this;
    }
    [[nodiscard]] bool operator!=(const Iterator& other) const noexcept { return at_ != other.at_; }

   private:
    const std::uint8_t* at_;
    std::size_t width_;
  };

  Links(const std::uint8_t* at, std::size_t count, std::size_t width) noexcept : at_(at), count_(count), width_(width) {}
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] Iterator begin() const noexcept { return {at_, width_}; }
  [[nodiscard]] Iterator end() const noexcept { return {at_ + count_ * width_, width_}; }
  /// How many come before the first -1.
  [[nodiscard]] std::size_t used() const noexcept {
    std::size_t n = 0;
    for (const std::int32_t link : *this) {
      if (link < 0) break;
      ++n;
    }
    return n;
  }
  void prefetch() const noexcept { detail::prefetch(at_, count_ * width_); }

 private:
  const std::uint8_t* at_;
  std::size_t count_;
  std::size_t width_;
};

/// A navigable graph as arrays, wherever they lie: node r owns places [begin_of(r), begin_of(r + 1)): first its links of
/// layer 0, at most 2 M, then M places for each further layer it is on. -1 ends a layer's links where they do not fill its
/// part. A graph that grows has 2 M places for layer 0, one at rest has no more than it needs.
struct GraphView {
  static constexpr std::size_t kBlock = std::size_t{1} << 16;  ///< nodes whose places are counted from one base

  std::size_t nodes = 0;
  std::size_t M = 0;
  std::int32_t entry = -1;
  std::int32_t top_layer = -1;
  const std::uint8_t* places = nullptr;
  std::size_t width = sizeof(std::int32_t);   ///< bytes of a place
  const std::uint64_t* offsets = nullptr;     ///< [nodes + 1]; null where there are bases and rests
  const std::int32_t* levels = nullptr;       ///< [nodes], layers that a node is on, >= 1; null where there are small ones
  const std::uint64_t* bases = nullptr;       ///< [nodes / kBlock + 1]
  const std::uint32_t* rests = nullptr;       ///< [nodes + 1]
  const std::uint8_t* small_levels = nullptr; ///< [nodes]

  [[nodiscard]] std::size_t begin_of(std::size_t node) const noexcept {
    return offsets != nullptr ? offsets[node] : bases[node / kBlock] + rests[node];
  }
  [[nodiscard]] std::int32_t level(std::size_t node) const noexcept { return levels != nullptr ? levels[node] : small_levels[node]; }
  [[nodiscard]] Links all_links() const noexcept { return {places, nodes == 0 ? 0 : begin_of(nodes), width}; }
  /// Asks for what links() reads of a node.
  void prefetch(std::size_t node) const noexcept {
    if (offsets != nullptr) __builtin_prefetch(offsets + node);
    else __builtin_prefetch(rests + node);
    detail::keep_requests();
  }
  /// Places of links; the first that is -1 ends them.
  [[nodiscard]] Links links(std::int32_t node, std::int32_t layer) const noexcept {
    const auto at = static_cast<std::size_t>(node);
    const std::size_t end = begin_of(at + 1);
    if (layer > 0) return {places + (end - M * static_cast<std::size_t>(level(at) - layer)) * width, M, width};
    const std::size_t begin = begin_of(at);
    return {places + begin * width, std::min(end - begin, 2 * M), width};
  }
};

}  // namespace etalage::retrieval
