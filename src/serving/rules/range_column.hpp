// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/serving/item_bitmap.hpp"

namespace etalage::serving {

/// The products by a number, so that a limit is not a pass over all of them: some 128 borders, each with the set of the
/// products below it, and between two borders the products with their numbers. A limit is the set of the border below it
/// and a part of one bucket, and a changed number moves between the sets of the borders that it crosses.
///
/// Memory   32 bytes a product: 16 of the sets, 16 of the buckets
/// Cost     between() copies one or two sets and reads at most one bucket for each; set() touches as many words as
///          borders are crossed. A number that very many products share has borders around it, and is a bucket of its own
class RangeColumn {
 public:
  /// values [n]; NaN where it is not known.
  explicit RangeColumn(std::span<const float> values);
  [[nodiscard]] std::span<const float> values() const noexcept { return values_; }
  void set(std::int32_t row, float value);
  /// The products with min <= value <= max, bounds may be infinite.
  [[nodiscard]] ItemBitmap between(float min, float max) const;

  static constexpr std::int32_t kFewest = 16384;  // products from which a column pays

 private:
  struct Member {
    float value;
    std::int32_t row;
  };
  [[nodiscard]] std::size_t bucket_of(float value) const noexcept;
  /// The products below a limit into `out`, which is overwritten.
  void below(float limit, ItemBitmap& out) const;

  std::vector<float> values_;
  std::vector<float> borders_;                 // ascending and unique
  std::vector<ItemBitmap> sets_;               // [borders] products below
  std::vector<std::vector<Member>> buckets_;   // [borders + 1]; bucket b: borders[b - 1] <= value < borders[b]
  std::vector<std::int32_t> place_;            // [n] in its bucket
};

}  // namespace etalage::serving
