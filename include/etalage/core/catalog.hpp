// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// What the shop knows about its products, one row a product, every column but the keys optional. Immutable.
///
/// Threads   const members are safe to call concurrently
/// Errors    std::invalid_argument (a column of another length, prices and stock below 0, vectors that are not finite);
///           std::out_of_range for an index outside [0, size)
class ETALAGE_EXPORT Catalog {
 public:
  /// Columns of n products, or empty where there is none.
  struct Columns {
    SharedIdMap item_ids;  ///< the products' keys; null without
    std::vector<std::string> names;  ///< [n] or empty
    std::vector<std::vector<std::string>> categories;  ///< path from the root, {"Home", "Kitchen", "Mugs"}
    std::vector<std::string> brands;  ///< [n] or empty; empty text: none
    Array<float> prices;                               ///< >= 0, NaN unknown
    Array<float> stock;                                ///< >= 0, NaN unknown
    std::vector<std::vector<std::string>> tags;  ///< [n] or empty; any number a product
    std::vector<std::string> texts;  ///< [n] or empty
    Array<float> vectors;                              ///< [n x dim] row-major, finite
    std::int32_t dim = 0;  ///< width of vectors; 0 without
  };

  Catalog();
  explicit Catalog(Columns columns);  ///< std::invalid_argument names column, row and rule

  [[nodiscard]] std::int32_t size() const noexcept { return columns_.item_ids->size(); }
  [[nodiscard]] const SharedIdMap& item_ids() const noexcept { return columns_.item_ids; }
  [[nodiscard]] const Columns& columns() const noexcept { return columns_; }  ///< the columns as they were given

  /// The product's name, or its key as text where names are not kept or this one is empty.
  [[nodiscard]] std::string name(std::int32_t index) const;
  /// Empty without the column.
  [[nodiscard]] std::span<const std::string> category(std::int32_t index) const;
  [[nodiscard]] std::string_view brand(std::int32_t index) const;
  [[nodiscard]] std::span<const std::string> tags(std::int32_t index) const;
  [[nodiscard]] std::string_view text(std::int32_t index) const;
  /// NaN without the column.
  [[nodiscard]] float price(std::int32_t index) const;
  [[nodiscard]] float stock(std::int32_t index) const;
  /// [dim], empty without the column.
  [[nodiscard]] std::span<const float> vector(std::int32_t index) const;

  /// For each key of `ids` (a model's item_ids, say) the index of the product here, -1 where it is unknown.
  /// std::invalid_argument where one holds strings and the other integers.
  [[nodiscard]] std::vector<std::int32_t> rows_of(const IdMap& ids) const;

 private:
  [[nodiscard]] std::size_t checked(std::int32_t index) const;
  Columns columns_;
};

}  // namespace etalage
