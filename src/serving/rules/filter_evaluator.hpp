// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/serving/catalog_index.hpp"
#include "serving/rules/live_offers.hpp"
#include "serving/rules/range_column.hpp"

namespace etalage {

/// Columns of numbers in order, each made when the first limit asks for it; shared by the copies of a catalogue.
struct CatalogIndex::Ranges {
  /// Null where the catalogue is small or does not have the column.
  const std::shared_ptr<const serving::RangeColumn>& prices(const Catalog& catalog);
  const std::shared_ptr<const serving::RangeColumn>& stock(const Catalog& catalog);

 private:
  std::once_flag prices_made_, stock_made_;
  std::shared_ptr<const serving::RangeColumn> prices_, stock_;
};

/// What a predicate holds for: all products by columns, or one. Both say the same; a test compares them over every kind.
struct CatalogIndex::Evaluator {
  const CatalogIndex& index;
  std::string_view asked;  ///< place where the request is asked

  /// No LiveOffers::Reading may be held.
  [[nodiscard]] ItemBitmap all(const Predicate& predicate) const;
  /// item: the store's index of the row's product, -1 without one. A Reading is held where the catalogue is live.
  [[nodiscard]] bool holds(const Predicate& predicate, std::int32_t row, std::int32_t item) const;

 private:
  using Node = Predicate::Node;
  void require_column(bool there, const char* column, const Predicate& predicate, serving::LiveOffers::What said) const;
  [[nodiscard]] ItemBitmap leaf(const Predicate& predicate) const;
  /// Puts right the products of which something is said that bears on this leaf, in a set by the catalogue's word alone or,
  /// beside_everywhere, by that of everywhere too.
  void correct(const Predicate& predicate, ItemBitmap& out, bool beside_everywhere) const;
  [[nodiscard]] std::int32_t place_of(const Node& node) const;
  /// visit(place) for the node's place and everywhere.
  template <class Visit>
  void each_place(const Node& node, const Visit& visit) const;
  [[nodiscard]] bool leaf_holds(const Predicate& predicate, std::int32_t row, std::int32_t item) const;
  [[nodiscard]] float price(const Node& node, std::int32_t row, std::int32_t item) const;
  [[nodiscard]] bool in_stock(const Node& node, std::int32_t row, std::int32_t item) const;
  [[nodiscard]] float stock(const Node& node, std::int32_t row, std::int32_t item) const;
  /// What is said of an attribute; null where the catalogue's tags hold.
  [[nodiscard]] const std::vector<std::string>* said(const Node& node, std::int32_t item, std::string_view attribute) const;
  [[nodiscard]] bool has_tag(const Node& node, std::int32_t row, std::int32_t item, std::string_view tag) const;
  [[nodiscard]] bool suits(const Node& node, std::int32_t row, std::int32_t item) const;
};

}  // namespace etalage
