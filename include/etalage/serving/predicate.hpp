// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/export.hpp"

namespace etalage {

/// A condition on the products of a Catalog: leaves joined by and, or, not. Immutable and cheap to copy.
///
/// Two-valued: what a product does not say (no brand, a NaN price or stock) makes a leaf about it false and the leaf's
/// negation true. known_price() and known_stock() ask whether it says so.
/// Attributes that a Catalog has no column for are tags of the form "name:value": region("de") holds where there is a
/// tag "region:de" or no tag "region:..." at all; age(16) holds where no tag "age:N" has N > 16.
/// Errors   std::invalid_argument names the argument, the value and the rule
class ETALAGE_EXPORT Predicate {
 public:
  struct Node;

  Predicate();  ///< every product
  [[nodiscard]] static Predicate everything() { return {}; }  ///< every product passes
  /// Stock is known and above 0, or the product was set available; not when it was set unavailable. Here as in the other
  /// leaves about stock and price `place` says where it must be had, the request's own place when it is empty.
  [[nodiscard]] static Predicate in_stock(std::string_view place = {});
  /// min <= stock <= max, both optional. Where a product was set unavailable its stock is 0; where it was set available
  /// against a stock that is not above 0, its stock is not known.
  [[nodiscard]] static Predicate stock(std::optional<double> min, std::optional<double> max, std::string_view place = {});
  /// min <= price <= max, both optional.
  [[nodiscard]] static Predicate price(std::optional<double> min, std::optional<double> max, std::string_view place = {});
  [[nodiscard]] static Predicate known_stock(std::string_view place = {});
  [[nodiscard]] static Predicate known_price(std::string_view place = {});
  /// Was not set unavailable (Engine::set_available); whatever its stock.
  [[nodiscard]] static Predicate offered(std::string_view place = {});
  /// The product's category path begins with this one, from the root.
  [[nodiscard]] static Predicate category(std::vector<std::string> path);
  /// "Home/Kitchen"; names that hold a slash need the list.
  [[nodiscard]] static Predicate category(std::string_view path);
  [[nodiscard]] static Predicate brand(std::vector<std::string> any_of);
  [[nodiscard]] static Predicate tag(std::vector<std::string> any_of);
  /// Any of the tags "name:value".
  [[nodiscard]] static Predicate attribute(std::string_view name, std::vector<std::string> any_of);
  [[nodiscard]] static Predicate region(std::string_view region);
  /// Suits a shopper of this age, >= 0.
  [[nodiscard]] static Predicate age(int age);
  /// Products by key; the text of an integer key stands for it.
  [[nodiscard]] static Predicate items(std::vector<std::string> keys);

  [[nodiscard]] Predicate operator&(const Predicate& other) const;  ///< both hold
  [[nodiscard]] Predicate operator|(const Predicate& other) const;  ///< either holds
  [[nodiscard]] Predicate operator~() const;  ///< it does not hold

  /// From JSON, by the table in docs/rules.md; std::invalid_argument names the place: "predicate.price.max: ...".
  [[nodiscard]] static Predicate from_json(std::string_view json);
  /// JSON in one canonical form: equal texts mean equal predicates.
  [[nodiscard]] const std::string& to_json() const noexcept;
  friend bool operator==(const Predicate& a, const Predicate& b) noexcept { return a.to_json() == b.to_json(); }

  /// For the library's own use.
  [[nodiscard]] const Node& node() const noexcept { return *node_; }
  explicit Predicate(std::shared_ptr<const Node> node) : node_(std::move(node)) {}

 private:
  std::shared_ptr<const Node> node_;
};

}  // namespace etalage
