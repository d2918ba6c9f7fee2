// SPDX-License-Identifier: Apache-2.0
#include "serving/rules/range_column.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <vector>

#include "serving/rules/sparse_bits.hpp"

namespace etalage::serving {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

void expect_ranges(const RangeColumn& column, const std::vector<float>& values, std::mt19937& rng) {
  std::vector<float> limits{-kInfinity, 0, kInfinity, std::numeric_limits<float>::max()};
  for (int i = 0; i < 12; ++i) {
    const float v = values[rng() % values.size()];
    if (v == v) limits.insert(limits.end(), {v, std::nextafter(v, kInfinity), std::nextafter(v, -kInfinity)});
  }
  for (const float min : limits)
    for (const float max : limits) {
      if (min > max) continue;
      const ItemBitmap set = column.between(min, max);
      for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(set.contains(static_cast<std::int32_t>(i)), values[i] >= min && values[i] <= max) << values[i] << " in " << min << ", " << max;
    }
}

TEST(RangeColumn, SaysWhatAPassSays) {
  std::mt19937 rng(5);
  for (const int kind : {0, 1, 2, 3, 4}) {
    std::vector<float> values;
    for (int i = 0; i < 700; ++i) {
      float v = static_cast<float>(rng() % 10000) / 100;
      if (kind == 1) v = static_cast<float>(rng() % 3);                   // few numbers
      if (kind == 2) v = rng() % 10 < 6 ? 9.99f : v;                      // one that most products share
      if (kind == 3 || (kind == 0 && rng() % 7 == 0)) v = kNaN;           // nothing known, or here and there
      if (kind == 4) v = 5;
      values.push_back(v);
    }
    RangeColumn column(values);
    expect_ranges(column, values, rng);
    for (int step = 0; step < 3000; ++step) {
      const auto row = static_cast<std::int32_t>(rng() % values.size());
      const float to = rng() % 5 == 0 ? kNaN : rng() % 5 == 0 ? values[rng() % values.size()] : static_cast<float>(rng() % 20000) / 100;
      values[static_cast<std::size_t>(row)] = to;
      column.set(row, to);
    }
    expect_ranges(column, values, rng);
    RangeColumn copy = column;
    copy.set(0, 1e9f);
    expect_ranges(column, values, rng);
  }
  EXPECT_EQ(RangeColumn(std::vector<float>{}).between(0, 1).size(), 0);
}

TEST(SparseBits, AreASetInLittleMemory) {
  std::mt19937 rng(6);
  SparseBits bits;
  std::set<std::int32_t> model;
  for (int step = 0; step < 60'000; ++step) {
    // One block becomes dense and is thinned out again.
    const auto n = static_cast<std::int32_t>(step % 2 == 0 ? rng() % 9000 : rng() % 400'000);
    const bool add = step < 40'000 || n >= 9000;
    const bool changed = add ? bits.insert(n) : bits.erase(n);
    ASSERT_EQ(changed, add ? model.insert(n).second : model.erase(n) == 1);
    ASSERT_EQ(bits.contains(n), add);
    ASSERT_EQ(bits.size(), model.size());
  }
  std::vector<std::int32_t> listed;
  bits.for_each([&](std::int32_t n) { listed.push_back(n); });
  EXPECT_TRUE(std::equal(listed.begin(), listed.end(), model.begin(), model.end()));
  EXPECT_FALSE(bits.contains(2'000'000'000));
  EXPECT_FALSE(bits.erase(2'000'000'000));
}

}  // namespace
}  // namespace etalage::serving
