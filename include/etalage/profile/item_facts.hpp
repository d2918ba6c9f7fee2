// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/catalog.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// What profiles need to know of products, by item index and as small numbers: category node, brand, price, price band.
///
/// Categories are the nodes of the catalogue's paths, parents before children; a node's number never changes in
/// updated(), so profiles that hold numbers stay right when the catalogue does not.
/// Bands      a product's price level is the share of cheaper ones (ties count half) in its category, or in the nearest
///            ancestor with at least kMinPriced priced products, or in the shop; the band is its fifth of that
/// Unknown    an item outside the table (a new product) has no category, brand or price: kNone, NaN. Never an error.
/// Threads    immutable; safe to call concurrently
class ETALAGE_EXPORT ItemFacts {
 public:
  static constexpr std::int32_t kNone = -1;  ///< stands for no category, brand or band
  static constexpr std::int32_t kPriceBands = 5;  ///< fifths of the price level
  static constexpr std::int32_t kMinPriced = 20;  ///< priced products from which a category is a scale of its own

  ItemFacts() = default;
  /// Row i is the product with key i of item_ids (a log's, say), or row i of the catalogue when that is null.
  explicit ItemFacts(const Catalog& catalog, const IdMap* item_ids = nullptr);
  /// The same for another catalogue or more items; categories and brands keep their numbers, new ones follow.
  [[nodiscard]] ItemFacts updated(const Catalog& catalog, const IdMap* item_ids = nullptr) const;

  [[nodiscard]] std::int32_t num_items() const noexcept { return static_cast<std::int32_t>(categories_.size()); }
  [[nodiscard]] std::int32_t num_categories() const noexcept { return static_cast<std::int32_t>(parents_.size()); }  ///< of the tree, inner ones too
  [[nodiscard]] std::int32_t num_brands() const noexcept { return static_cast<std::int32_t>(brand_names_.size()); }  ///< different ones

  /// The deepest node of the product's path.
  [[nodiscard]] std::int32_t category(std::int32_t item) const noexcept { return known(item) ? categories_[at(item)] : kNone; }
  [[nodiscard]] std::int32_t brand(std::int32_t item) const noexcept { return known(item) ? brands_[at(item)] : kNone; }
  [[nodiscard]] float price(std::int32_t item) const noexcept;
  [[nodiscard]] std::int32_t price_band(std::int32_t item) const noexcept;
  /// In [0, 1]; NaN unknown.
  [[nodiscard]] float price_level(std::int32_t item) const noexcept;

  /// kNone for a root; std::out_of_range outside [0, num_categories).
  [[nodiscard]] std::int32_t parent(std::int32_t category) const;
  [[nodiscard]] const std::string& category_name(std::int32_t category) const;
  /// "Home > Kitchen > Mugs"
  [[nodiscard]] std::string category_path(std::int32_t category) const;
  [[nodiscard]] const std::string& brand_name(std::int32_t brand) const;

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static ItemFacts from_state(const StateReader& reader);

 private:
  [[nodiscard]] bool known(std::int32_t item) const noexcept { return item >= 0 && item < num_items(); }
  [[nodiscard]] static std::size_t at(std::int32_t index) noexcept { return static_cast<std::size_t>(index); }
  void build(const Catalog& catalog, const IdMap* item_ids);
  void rank_prices();

  Array<std::int32_t> categories_;  // [items]
  Array<std::int32_t> brands_;      // [items]
  Array<float> prices_;             // [items]
  Array<float> price_levels_;       // [items]
  std::vector<std::int32_t> parents_;
  std::vector<std::string> category_names_;
  std::vector<std::string> brand_names_;
};

}  // namespace etalage
