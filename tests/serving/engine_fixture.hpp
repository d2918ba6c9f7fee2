// SPDX-License-Identifier: Apache-2.0
// A small shop: four tastes, items of each in a category of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "etalage/models/als.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/serving/engine.hpp"

namespace etalage::testing {

constexpr int kTastes = 4;
constexpr int kItems = 80;
constexpr int kUsers = 120;

inline std::string numbered(std::string prefix, std::int64_t n) { return prefix.append(std::to_string(n)); }

/// Item i is of taste i % 4; user u likes taste u % 4.
inline Interactions shop_interactions(const std::string& item_prefix = "i", unsigned seed = 1, int num_items = kItems) {
  std::mt19937 rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (int u = 0; u < kUsers; ++u) {
    std::set<std::int32_t> row;
    while (row.size() < 8) row.insert(static_cast<std::int32_t>(rng() % static_cast<unsigned>(num_items / kTastes)) * kTastes + u % kTastes);
    row.insert(static_cast<std::int32_t>(rng() % static_cast<unsigned>(num_items)));
    columns.insert(columns.end(), row.begin(), row.end());
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  CsrMatrix m;
  m.rows = kUsers;
  m.cols = num_items;
  m.offsets = Array<std::int64_t>(offsets);
  m.columns = Array<std::int32_t>(columns);
  m.values = Array<float>(std::vector<float>(columns.size(), 1.0f));
  std::vector<std::string> users, items;
  for (int u = 0; u < kUsers; ++u) users.push_back(numbered("u", u));
  for (int i = 0; i < num_items; ++i) items.push_back(numbered(item_prefix, i));
  return Interactions(m, std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(users))),
                      std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(items))));
}

inline std::shared_ptr<const Catalog> shop_catalog(const Interactions& data, int more = 0) {
  Catalog::Columns c;
  std::vector<std::string> keys;
  std::vector<float> prices, stock, vectors;
  const std::int32_t n = data.num_items() + more;
  for (std::int32_t i = 0; i < n; ++i) {
    keys.push_back(i < data.num_items() ? std::string(data.item_ids()->string_at(i)) : numbered("new", i));
    c.categories.push_back({numbered("taste", i % kTastes), numbered("shelf", i % 8)});
    c.brands.push_back(numbered("brand", i % 5));
    prices.push_back(static_cast<float>(i));
    stock.push_back(i % 2 == 0 ? 1.0f : 0.0f);
    for (int d = 0; d < kTastes; ++d) vectors.push_back(d == i % kTastes ? 1.0f : 0.01f * static_cast<float>(i % 7));
  }
  c.item_ids = std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(keys)));
  c.prices = Array<float>(prices);
  c.stock = Array<float>(stock);
  c.vectors = Array<float>(vectors);
  c.dim = kTastes;
  return std::make_shared<const Catalog>(std::move(c));
}

inline std::shared_ptr<const AlsModel> shop_als(const Interactions& data) {
  AlsOptions o;
  o.factors = 16;
  o.iterations = 8;
  o.num_threads = 1;
  auto als = std::make_shared<AlsModel>(o);
  als->fit(data);
  return als;
}

inline SnapshotParts shop_parts(const std::string& item_prefix = "i", unsigned seed = 1) {
  const Interactions data = shop_interactions(item_prefix, seed);
  auto popularity = std::make_shared<PopularityModel>();
  popularity->fit(data);
  auto knn = std::make_shared<ItemKnnModel>(ItemKnnOptions{});
  knn->fit(data);
  SnapshotParts p;
  p.catalog = shop_catalog(data);
  p.models = {{"als", shop_als(data), RecommenderSource::Ask::kShopper},
              {"item_to_item", knn, RecommenderSource::Ask::kSimilar},
              {"popularity", popularity, RecommenderSource::Ask::kAnyone}};
  return p;
}

inline std::shared_ptr<const Snapshot> shop_snapshot(const std::string& item_prefix = "i", unsigned seed = 1) {
  return std::make_shared<const Snapshot>(shop_parts(item_prefix, seed));
}

/// The number in "i17".
inline int number_of(const Key& key) {
  const std::string& text = std::get<std::string>(key);
  return std::stoi(text.substr(text.find_first_of("0123456789")));
}

}  // namespace etalage::testing
