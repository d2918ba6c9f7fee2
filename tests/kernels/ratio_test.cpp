// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.hpp"
#include "kernels/rank_key.hpp"
#include "kernels/ratio_scan.hpp"

namespace etalage::kernels {
namespace {

class RatioLevels : public ::testing::TestWithParam<SimdLevel> {};
INSTANTIATE_TEST_SUITE_P(All, RatioLevels, ::testing::ValuesIn(available_levels()),
                         [](const auto& param) { return std::string(name(param.param)); });

TEST_P(RatioLevels, TakesWhatLiesAboveTheThresholdInOrderAndClearsTheSums) {
  const RatioTable& table = ratio_at(GetParam());
  std::mt19937 rng(4);
  std::uniform_real_distribution<float> uniform(0.1f, 2.0f);
  for (int round = 0; round < 50; ++round) {
    std::vector<float> c(kRatioBlock), b(kRatioBlock), q(kRatioBlock);
    for (std::size_t j = 0; j < kRatioBlock; ++j) {
      c[j] = rng() % 3 == 0 ? 0.0f : uniform(rng) - 0.3f;
      b[j] = uniform(rng);
      q[j] = uniform(rng) + 3;
    }
    const RatioRow row{b.data(), q.data(), uniform(rng), uniform(rng), -0.5f};
    const float threshold = round == 0 ? 0.0f : 0.2f * uniform(rng);
    std::vector<double> expected;
    std::vector<std::uint32_t> index;
    for (std::size_t j = 0; j < kRatioBlock; ++j) {
      const double v = static_cast<double>(c[j]) / (static_cast<double>(row.a) * static_cast<double>(b[j]) + static_cast<double>(q[j]) +
                                                    static_cast<double>(row.p) + static_cast<double>(row.t) * static_cast<double>(c[j]));
      if (v > static_cast<double>(threshold) * 1.00001) {
        expected.push_back(v);
        index.push_back(1000 + static_cast<std::uint32_t>(j));
      }
    }
    std::vector<std::uint64_t> keys(kRatioBlock);
    const std::size_t n = table.take(c.data(), row, threshold, 1000, keys.data());
    ASSERT_EQ(n, expected.size());
    for (std::size_t k = 0; k < n; ++k) {
      EXPECT_EQ(key_index(keys[k]), index[k]);
      EXPECT_NEAR(static_cast<double>(key_score(keys[k])), expected[k], 1e-6);
    }
    for (const float sum : c) EXPECT_EQ(sum, 0.0f);
  }
}

}  // namespace
}  // namespace etalage::kernels
