// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "etalage/serving/event_store.hpp"

namespace etalage::test {

/// What a store tells of items, by their keys.
inline std::map<std::string, float> by_key(const EventStore& store, const std::vector<std::pair<std::int32_t, float>>& items) {
  std::map<std::string, float> out;
  for (const auto& [item, count] : items) {
    Key key;
    EXPECT_TRUE(store.item_key(item, key));
    out[text_of(view_of(key))] = count;
  }
  return out;
}

inline std::map<std::string, float> trending_of(const EventStore& store) {
  std::vector<std::pair<std::int32_t, float>> top(2000);
  top.resize(store.trending(top));
  for (std::size_t i = 1; i < top.size(); ++i) EXPECT_GE(top[i - 1].second, top[i].second);
  return by_key(store, top);
}

inline std::map<std::string, float> together_with(const EventStore& store, KeyView item) {
  std::vector<std::pair<std::int32_t, float>> top(200);
  top.resize(store.bought_together(store.find_item(item), top));
  return by_key(store, top);
}

}  // namespace etalage::test
