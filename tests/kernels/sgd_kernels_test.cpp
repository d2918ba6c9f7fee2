// SPDX-License-Identifier: Apache-2.0
// Every SIMD level against the plain twin: equal to the bit on small integers, close on anything else.
#include "kernels/sgd_kernels.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "etalage/core/array.hpp"

namespace etalage::kernels {
namespace {

Array<float> numbers(std::size_t n, std::uint32_t seed, bool integers) {
  std::mt19937 rng(seed);
  Array<float> a(n);
  float* p = a.mutable_data();
  for (std::size_t i = 0; i < n; ++i)
    p[i] = integers ? static_cast<float>(static_cast<int>(rng() % 7u) - 3) : static_cast<float>(rng() % 2000u) / 1000.0f - 1;
  return a;
}

class SgdKernels : public testing::TestWithParam<SimdLevel> {
 protected:
  const SgdTable& simd = sgd_at(GetParam());
  const SgdTable& plain = sgd_at(SimdLevel::kScalar);
  static void expect_near(const Array<float>& a, const Array<float>& b, float tolerance) {
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << "at " << i << " of " << a.size();
  }
};

INSTANTIATE_TEST_SUITE_P(Levels, SgdKernels, testing::ValuesIn(available_levels()),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST_P(SgdKernels, ProductsEqualThePlainTwin) {
  for (const std::size_t n : {16u, 32u, 48u, 80u, 128u, 272u})
    for (const bool integers : {true, false}) {
      const float tolerance = integers ? 0.0f : 1e-6f * static_cast<float>(n);
      const Array<float> x = numbers(n, 1, integers);
      const Array<float> y = numbers(7 * n, 2, integers);
      EXPECT_NEAR(simd.dot(x.data(), y.data(), n), plain.dot(x.data(), y.data(), n), tolerance);
      std::vector<const float*> rows;
      for (const std::size_t r : {3u, 0u, 6u, 1u, 5u, 2u, 4u}) rows.push_back(y.data() + r * n);
      for (std::size_t count = 0; count <= rows.size(); ++count) {
        std::vector<float> out(count + 1, -9.0f);
        simd.dots(x.data(), rows.data(), count, n, out.data());
        for (std::size_t r = 0; r < count; ++r) EXPECT_NEAR(out[r], plain.dot(x.data(), rows[r], n), tolerance);
        EXPECT_EQ(out[count], -9.0f);
      }
      float norms[2];
      float expected[2];
      EXPECT_NEAR(simd.pair_score(x.data(), rows[0], rows[1], n, norms), plain.pair_score(x.data(), rows[0], rows[1], n, expected),
                  2 * tolerance);
      EXPECT_NEAR(norms[0], expected[0], tolerance);
      EXPECT_NEAR(norms[1], expected[1], 4 * tolerance);
    }
}

TEST_P(SgdKernels, UpdatesEqualThePlainTwin) {
  const PairStep step{0.5f, 2, 0.25f, 3, 0.75f, 4};
  for (const std::size_t n : {16u, 32u, 48u, 80u, 128u, 272u})
    for (const bool integers : {true, false}) {
      Array<float> u[2] = {numbers(n, 1, integers), numbers(n, 1, integers)};
      Array<float> i[2] = {numbers(n, 2, integers), numbers(n, 2, integers)};
      Array<float> j[2] = {numbers(n, 3, integers), numbers(n, 3, integers)};
      simd.pair_update(u[0].mutable_data(), i[0].mutable_data(), j[0].mutable_data(), n, step);
      plain.pair_update(u[1].mutable_data(), i[1].mutable_data(), j[1].mutable_data(), n, step);
      const float tolerance = integers ? 0.0f : 2e-6f;
      expect_near(u[0], u[1], tolerance);
      expect_near(i[0], i[1], tolerance);
      expect_near(j[0], j[1], tolerance);
      simd.attract(u[0].mutable_data(), i[0].data(), j[0].mutable_data(), n, 2);
      plain.attract(u[1].mutable_data(), i[1].data(), j[1].mutable_data(), n, 2);
      expect_near(u[0], u[1], 4 * tolerance);
      expect_near(j[0], j[1], 4 * tolerance);
    }
}

}  // namespace
}  // namespace etalage::kernels
