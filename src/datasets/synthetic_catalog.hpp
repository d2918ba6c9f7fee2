// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "etalage/datasets/synthetic_store.hpp"

namespace etalage::detail {

inline constexpr std::int32_t kStyles = 6;
inline constexpr std::int32_t kTiers = 4;

/// What a shopper's choice depends on, small enough to stay in cache.
struct ItemTraits {
  std::int32_t leaf;
  std::int32_t companion;   ///< what is often looked at next
  std::uint16_t brand;
  std::int16_t launch_day;
  std::uint8_t style;
  std::uint8_t tier;        ///< 0 cheap .. 3 dear
  bool in_stock;
};

struct Leaf {
  std::int32_t begin;       ///< its items are by_leaf[begin, begin + count), most popular first
  std::int32_t count;
  std::int32_t neighbor;    ///< the leaf that goes with it
  std::int8_t season;       ///< quarter of its peak, -1 for none
  std::int16_t cycle_days;  ///< how often it runs out, 0 for what lasts
};

struct CatalogModel {
  std::vector<ItemTraits> items;
  std::vector<Leaf> leaves;
  std::vector<std::int32_t> by_leaf;
  std::uint32_t num_brands = 0;
  std::vector<std::vector<std::uint16_t>> brands_of_department;
};

CatalogModel make_catalog(const SyntheticStoreOptions& options, SyntheticStore::CatalogColumns& columns);

/// Department of a leaf.
inline constexpr std::int32_t kDepartments = 8;
inline std::int32_t department_of(std::int32_t leaf) noexcept { return leaf % kDepartments; }

/// "prefix" and the number with leading zeros to `digits`, for every index.
SharedIdMap numbered_ids(const char* prefix, std::int32_t n, int digits);

}  // namespace etalage::detail
