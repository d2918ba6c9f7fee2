// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "etalage/serving/catalog_index.hpp"

namespace etalage::test {

inline std::string numbered(const char* prefix, std::int64_t number) { return std::string(prefix).append(std::to_string(number)); }

/// A shop of n products with every column; some say nothing (no brand, no category, NaN price, NaN stock).
/// Categories "A".."C" > "a".."c" > leaf; brands b0..b9; tags new, sale, age:N, region:X, product:N.
inline Catalog::Columns shop_columns(std::int32_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t m) { return static_cast<std::int32_t>(random() % m); };
  Catalog::Columns c;
  std::vector<std::string> keys;
  std::vector<float> prices, stock;
  for (std::int32_t i = 0; i < n; ++i) {
    keys.push_back(numbered("sku", i));
    c.names.push_back(numbered("Product ", i));
    std::vector<std::string> path;
    if (below(20) != 0) {
      path.push_back(std::string(1, static_cast<char>('A' + below(3))));
      if (below(4) != 0) path.push_back(std::string(1, static_cast<char>('a' + below(3))));
      if (path.size() == 2 && below(2) != 0) path.push_back("leaf");
    }
    c.categories.push_back(path);
    c.brands.push_back(below(10) == 0 ? std::string() : numbered("b", below(10)));
    prices.push_back(below(10) == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(below(10000)) / 100);
    stock.push_back(below(12) == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(below(5)));
    std::vector<std::string> tags;
    if (below(3) == 0) tags.push_back("new");
    if (below(5) == 0) tags.push_back("sale");
    if (below(6) == 0) tags.push_back(numbered("age:", 12 + 3 * below(3)));
    if (below(3) == 0) tags.push_back(below(2) == 0 ? "region:de" : "region:fr");
    if (below(2) == 0) tags.push_back(numbered("product:", i / 3));
    c.tags.push_back(tags);
  }
  c.item_ids = std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(keys)));
  c.prices = Array<float>(prices);
  c.stock = Array<float>(stock);
  return c;
}

inline std::shared_ptr<const CatalogIndex> shop(std::int32_t n, std::uint32_t seed = 1, CatalogIndexOptions options = {}) {
  return std::make_shared<const CatalogIndex>(std::make_shared<const Catalog>(shop_columns(n, seed)), options);
}

}  // namespace etalage::test
