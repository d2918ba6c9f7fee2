// SPDX-License-Identifier: Apache-2.0
#include "kernels/tree_masks.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "etalage/core/array.hpp"
#include "kernels/dispatch.hpp"

namespace etalage::kernels {
namespace {

class TreeMaskLevels : public ::testing::TestWithParam<SimdLevel> {};
INSTANTIATE_TEST_SUITE_P(All, TreeMaskLevels, ::testing::ValuesIn(available_levels()),
                         [](const auto& param) { return std::string(name(param.param)); });

TEST_P(TreeMaskLevels, StrikesOutWhereARowIsAboveTheThreshold) {
  std::mt19937_64 rng(7);
  const double infinity = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 200; ++round) {
    const std::size_t n = rng() % 20;
    const std::size_t trees = 1 + rng() % 5;
    std::vector<double> threshold(n);
    std::vector<std::uint32_t> tree(n);
    std::vector<std::uint64_t> keep(n);
    for (std::size_t i = 0; i < n; ++i) {
      threshold[i] = rng() % 10 == 0 ? (rng() % 2 == 0 ? infinity : -infinity) : static_cast<double>(rng() % 9);
      tree[i] = static_cast<std::uint32_t>(rng() % trees);
      keep[i] = rng();
    }
    std::sort(threshold.begin(), threshold.end());
    Array<double> x(kTreeRows);
    for (double& v : x.mutable_view())
      v = rng() % 8 == 0 ? std::numeric_limits<double>::quiet_NaN() : rng() % 8 == 0 ? -infinity : rng() % 8 == 0 ? infinity : static_cast<double>(rng() % 9);
    Array<std::uint64_t> masks(trees * kTreeRows);
    masks.fill(~std::uint64_t{0});
    std::vector<std::uint64_t> expected(trees * kTreeRows, ~std::uint64_t{0});
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t r = 0; r < kTreeRows; ++r)
        if (x[r] > threshold[i]) expected[tree[i] * kTreeRows + r] &= keep[i];
    tree_masks_at(GetParam()).strike({threshold.data(), tree.data(), keep.data(), n}, x.data(), masks.mutable_data());
    EXPECT_EQ(std::vector<std::uint64_t>(masks.begin(), masks.end()), expected);
  }
}

}  // namespace
}  // namespace etalage::kernels
