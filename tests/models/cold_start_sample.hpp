// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "etalage/io/cold_start_files.hpp"
#include "etalage/models/cold_start_items.hpp"

namespace etalage::testing {

/// 24 products "p0" to "p23" with every kind of attribute.
inline Catalog attribute_catalog() {
  Catalog::Columns c;
  std::vector<std::string> keys;
  std::vector<float> prices;
  std::vector<float> vectors;
  for (int i = 0; i < 24; ++i) {
    keys.push_back(std::string("p").append(std::to_string(i)));
    c.categories.push_back(i % 3 == 0 ? std::vector<std::string>{"Home", "Kitchen"} : i % 3 == 1 ? std::vector<std::string>{"Home"} : std::vector<std::string>{"Toys"});
    c.brands.push_back(i % 2 == 0 ? "norvel" : "acme");
    c.tags.push_back(i % 4 == 0 ? std::vector<std::string>{"red"} : std::vector<std::string>{"blue", "soft"});
    c.texts.push_back(i == 5 ? "Unicorn mug" : i % 3 == 2 ? "wooden Train" : "Blue MUG, large");
    prices.push_back(static_cast<float>(1 + i));
    vectors.push_back(static_cast<float>(i % 5) - 2);
    vectors.push_back(1);
  }
  c.item_ids = std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(keys)));
  c.prices = Array<float>(prices);
  c.vectors = Array<float>(vectors);
  c.dim = 2;
  return Catalog(std::move(c));
}

/// 8 users, items "p19" down to "p0", the last of which has a zero row.
inline std::shared_ptr<VectorsModel> attribute_model() {
  Array<float> users(8 * 5);
  Array<float> items(20 * 5);
  for (std::size_t i = 0; i < users.size(); ++i) users.mutable_data()[i] = static_cast<float>((i * 37 + 11) % 29) / 14.0f - 1;
  for (std::size_t i = 0; i + 5 < items.size(); ++i) items.mutable_data()[i] = static_cast<float>((i * 53 + 7) % 31) / 15.0f - 1;
  auto model = std::make_shared<VectorsModel>(users, items, 5);
  std::vector<std::string> keys;
  for (int i = 19; i >= 0; --i) keys.push_back(std::string("p").append(std::to_string(i)));
  model->set_ids(nullptr, std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(keys))));
  CsrMatrix history;
  history.rows = 8;
  history.cols = 20;
  history.offsets = Array<std::int64_t>(std::vector<std::int64_t>{0, 2, 2, 3, 3, 3, 3, 3, 3});
  history.columns = Array<std::int32_t>(std::vector<std::int32_t>{1, 4, 2});
  history.values = Array<float>(std::vector<float>{1, 1, 1});
  model->set_history(history);
  return model;
}

inline std::shared_ptr<ColdStartItems> sample_cold_start() {
  return std::make_shared<ColdStartItems>(*attribute_model(), attribute_catalog());
}

inline std::vector<double> cold_start_answers(const ColdStartItems& cold) {
  const Catalog catalog = attribute_catalog();
  const auto f = static_cast<std::size_t>(cold.factors());
  std::vector<float> rows(24 * f);
  cold.predict(catalog, {rows.data(), 24, f});
  return {rows.begin(), rows.end()};
}

}  // namespace etalage::testing
