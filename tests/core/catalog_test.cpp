// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/core/catalog.hpp"

namespace {

using etalage::Array;
using etalage::Catalog;
using etalage::IdMap;

etalage::SharedIdMap ids(std::vector<std::int64_t> keys) {
  return std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys)));
}

TEST(Catalog, MissingColumnsAnswerPlainly) {
  Catalog::Columns c;
  c.item_ids = ids({7, 9});
  const Catalog catalog(std::move(c));
  EXPECT_EQ(catalog.name(1), "9");
  EXPECT_TRUE(catalog.category(0).empty());
  EXPECT_TRUE(std::isnan(catalog.price(0)));
  EXPECT_TRUE(catalog.vector(0).empty());
  EXPECT_THROW((void)catalog.name(2), std::out_of_range);
  EXPECT_EQ(catalog.rows_of(*ids({9, 8})), (std::vector<std::int32_t>{1, -1}));
}

TEST(Catalog, KeysOfTheOtherKindAreNoKeysOfAnyProduct) {
  Catalog::Columns c;
  c.item_ids = ids({7, 9});
  const Catalog catalog(std::move(c));
  const std::vector<std::string> texts{"7"};
  EXPECT_THROW((void)catalog.rows_of(IdMap::from_strings(std::span<const std::string>(texts))), std::invalid_argument);
  EXPECT_TRUE(catalog.rows_of(IdMap()).empty());
  EXPECT_TRUE(catalog.rows_of(IdMap::from_strings(std::span<const std::string>())).empty());
}

TEST(Catalog, RefusesColumnsThatDoNotFit) {
  const auto refuses = [](auto change) {
    Catalog::Columns c;
    c.item_ids = ids({7, 9});
    change(c);
    EXPECT_THROW(Catalog(std::move(c)), std::invalid_argument);
  };
  refuses([](Catalog::Columns& c) { c.names = {"one"}; });
  refuses([](Catalog::Columns& c) { c.prices = Array<float>(std::vector<float>{1.0f, -1.0f}); });
  refuses([](Catalog::Columns& c) { c.stock = Array<float>(std::vector<float>{1.0f, std::numeric_limits<float>::infinity()}); });
  refuses([](Catalog::Columns& c) { c.dim = 2; });
  refuses([](Catalog::Columns& c) { c.item_ids = nullptr; });
}

}  // namespace
