// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "etalage/core/catalog.hpp"
#include "etalage/serving/catalog_index.hpp"

namespace etalage {

/// A catalogue's categories, brands and tags as numbers.
struct CatalogIndex::Attributes {
  explicit Attributes(const Catalog& catalog);

  // Category tree in preorder: the subtree of node c is [c, ends[c]).
  std::vector<std::int32_t> node_of;  ///< [n] the product's own node, -1 without one
  std::vector<std::int32_t> ends;     ///< [nodes]
  std::vector<std::int32_t> parents;  ///< [nodes] -1 for roots
  std::vector<std::int32_t> depths;   ///< [nodes] 1 for roots
  std::vector<std::string> names;     ///< [nodes] last name of the path
  /// -1 where there is no such path.
  [[nodiscard]] std::int32_t find_category(std::span<const std::string> path) const;
  [[nodiscard]] std::int32_t ancestor(std::int32_t node, std::int32_t depth) const noexcept;
  [[nodiscard]] std::string path_text(std::int32_t node) const;

  std::vector<std::int32_t> brand_of;  ///< [n] -1 without one; empty without the column
  std::vector<std::string> brands;
  [[nodiscard]] std::int32_t find_brand(const std::string& brand) const;

  std::map<std::string, std::vector<std::int32_t>, std::less<>> tags;  ///< ascending products of each tag
  /// Tags that begin with "name:", as a range of the map.
  [[nodiscard]] auto attribute_range(std::string_view name) const {
    return std::pair{tags.lower_bound(std::string(name) + ":"), tags.lower_bound(std::string(name) + ";")};
  }

 private:
  void read_categories(const Catalog& catalog);
  std::map<std::pair<std::int32_t, std::string>, std::int32_t> children_;  // (parent, name) -> node
  std::unordered_map<std::string, std::int32_t> brand_codes_;
};

}  // namespace etalage
