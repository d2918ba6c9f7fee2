// SPDX-License-Identifier: Apache-2.0
// Every SIMD level against the plain twin: equal to the bit on small integers, close on anything else.
#include "kernels/als_kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "etalage/core/array.hpp"

namespace etalage::kernels {
namespace {

Array<float> integers(std::size_t n, std::uint32_t seed, int most = 3) {
  std::mt19937 rng(seed);
  Array<float> a(n);
  float* p = a.mutable_data();
  for (std::size_t i = 0; i < n; ++i) p[i] = static_cast<float>(static_cast<int>(rng() % static_cast<unsigned>(2 * most + 1)) - most);
  return a;
}

Array<float> reals(std::size_t n, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::uniform_real_distribution<float> u(-1, 1);
  Array<float> a(n);
  float* p = a.mutable_data();
  for (std::size_t i = 0; i < n; ++i) p[i] = u(rng);
  return a;
}

void expect_near(const Array<float>& a, const Array<float>& b, float tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << "at " << i;
}

class AlsKernels : public testing::TestWithParam<SimdLevel> {
 protected:
  const AlsTable& simd = als_at(GetParam());
  const AlsTable& plain = als_at(SimdLevel::kScalar);
};

INSTANTIATE_TEST_SUITE_P(Levels, AlsKernels, testing::ValuesIn(available_levels()),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST_P(AlsKernels, MultiplyIsExactOnIntegers) {
  for (const std::size_t n : {16u, 32u, 48u, 112u, 128u}) {
    const Array<float> g = integers(n * n, 1);
    Array<float> packed(n * n);
    pack_panels(g.data(), n, packed.mutable_data());
    for (const std::size_t rows : {1u, 3u, 8u, 13u, 32u}) {
      const Array<float> x = integers(rows * n, 2);
      Array<float> out(rows * n);
      simd.multiply(x.data(), n, rows, packed.data(), n, 0, n, out.mutable_data(), n);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t j = 0; j < n; ++j) {
          float s = 0;
          for (std::size_t k = 0; k < n; ++k) s += x[r * n + k] * g[k * n + j];
          ASSERT_EQ(out[r * n + j], s) << n << " " << rows << " " << r << " " << j;
        }
      Array<float> part(rows * n);
      simd.multiply(x.data(), n, rows, packed.data(), n, n - 16, n, part.mutable_data(), n);
      for (std::size_t r = 0; r < rows; ++r)
        for (std::size_t j = 0; j < n; ++j) ASSERT_EQ(part[r * n + j], j < n - 16 ? 0 : out[r * n + j]);
    }
  }
}

TEST_P(AlsKernels, MultiplyTreatsEveryRowAlike) {
  const std::size_t n = 48;
  const Array<float> g = reals(n * n, 3);
  Array<float> packed(n * n);
  pack_panels(g.data(), n, packed.mutable_data());
  const Array<float> x = reals(21 * n, 4);
  Array<float> all(21 * n);
  simd.multiply(x.data(), n, 21, packed.data(), n, 0, n, all.mutable_data(), n);
  for (std::size_t r = 0; r < 21; ++r) {
    Array<float> one(n);
    simd.multiply(x.data() + r * n, n, 1, packed.data(), n, 0, n, one.mutable_data(), n);
    for (std::size_t j = 0; j < n; ++j) ASSERT_EQ(one[j], all[r * n + j]);
  }
}

TEST_P(AlsKernels, RankUpdateIsExactOnIntegers) {
  for (const std::size_t n : {16u, 32u, 48u, 128u, 144u})
    for (const std::size_t m : {0u, 1u, 5u, 49u, 100u}) {
      const Array<float> a = integers(m * n, 5);
      const Array<float> b = integers(m * n, 6);
      Array<float> c = integers(n * n, 7);
      Array<float> expected = c;
      simd.rank_update(a.data(), b.data(), n, m, n, c.mutable_data(), n);
      plain.rank_update(a.data(), b.data(), n, m, n, expected.mutable_data(), n);
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = i; j < n; ++j) ASSERT_EQ(c[i * n + j], expected[i * n + j]) << n << " " << m;
    }
}

TEST_P(AlsKernels, ObservedRowsAreExactOnIntegersAtAnyCountAndAlignment) {
  for (const std::size_t n : {16u, 64u, 80u, 112u, 128u, 144u}) {
    const std::size_t ldy = n + 3;
    const Array<float> y = integers(20 * ldy + 1, 8);
    for (std::size_t m = 0; m <= 11; ++m) {
      std::vector<std::int32_t> cols;
      for (std::size_t j = 0; j < m; ++j) cols.push_back(static_cast<std::int32_t>((j * 7) % 20));
      const Array<float> add = integers(m, 9);
      const Array<float> weight = integers(m, 10);
      const Array<float> x = integers(n, 11);
      Array<float> r1 = integers(n, 12);
      Array<float> r2 = r1;
      const float* rows = y.data() + (m % 2);
      simd.residual(rows, ldy, n, cols.data(), add.data(), weight.data(), m, x.data(), r1.mutable_data(), cols.data(), m / 2);
      plain.residual(rows, ldy, n, cols.data(), add.data(), weight.data(), m, x.data(), r2.mutable_data(), nullptr, 0);
      expect_near(r1, r2, 0);
      std::vector<float> s1(m, 1.0f);
      std::vector<float> s2(m, 1.0f);
      simd.dots(rows, ldy, n, cols.data(), m, x.data(), s1.data());
      plain.dots(rows, ldy, n, cols.data(), m, x.data(), s2.data());
      EXPECT_EQ(s1, s2);
    }
  }
}

TEST_P(AlsKernels, GatherPadsWithZeros) {
  for (const std::size_t width : {1u, 15u, 16u, 29u, 32u}) {
    const std::size_t n = 32;
    const Array<float> y = integers(9 * width, 13);
    const std::vector<std::int32_t> cols{8, 0, 3, 8, 5};
    const Array<float> add = integers(5, 14);
    const Array<float> weight = integers(5, 15);
    Array<float> p1(5 * n), s1(5 * n), r1(n), p2(5 * n), s2(5 * n), r2(n);
    simd.gather(y.data(), width, width, cols.data(), add.data(), weight.data(), 5, n, p1.mutable_data(), s1.mutable_data(),
                r1.mutable_data());
    plain.gather(y.data(), width, width, cols.data(), add.data(), weight.data(), 5, n, p2.mutable_data(),
                 s2.mutable_data(), r2.mutable_data());
    expect_near(p1, p2, 0);
    expect_near(s1, s2, 0);
    expect_near(r1, r2, 0);
    EXPECT_EQ(p1[2 * n], y[3 * width]);
    if (width < n) {
      EXPECT_EQ(p1[n - 1], 0);
    }
  }
}

TEST_P(AlsKernels, ConjugateGradientStepsAgreeWithThePlainTwin) {
  const std::size_t n = 64;
  Array<float> x1 = reals(n, 16), r1 = reals(n, 17), p1(n), q1(n), i1(n), diagonal = reals(n, 18);
  for (float& v : diagonal.mutable_view()) v = std::abs(v);
  diagonal.mutable_data()[3] = 0;
  Array<float> x2 = x1, r2 = r1, p2 = p1, q2 = q1, i2 = i1;
  const float rz1 = simd.cg_start(x1.data(), r1.mutable_data(), p1.mutable_data(), i1.mutable_data(), n, diagonal.data(), 0.5f, 0.6f);
  const float rz2 = plain.cg_start(x2.data(), r2.mutable_data(), p2.mutable_data(), i2.mutable_data(), n, diagonal.data(), 0.5f, 0.6f);
  EXPECT_NEAR(rz1, rz2, 1e-4f * rz2);
  expect_near(r1, r2, 1e-5f);
  expect_near(p1, p2, 1e-5f);
  EXPECT_FLOAT_EQ(i1[3], 1 / 0.6f);
  EXPECT_FLOAT_EQ(i1[5], 1 / std::max(0.6f, diagonal[5] + 0.5f));
  // A stand-in for A p with a positive form.
  for (std::size_t k = 0; k < n; ++k) q1.mutable_data()[k] = q2.mutable_data()[k] = 2 * p2[k];
  const float n1 = simd.cg_step(x1.mutable_data(), r1.mutable_data(), p1.mutable_data(), q1.mutable_data(), n, diagonal.data(), 0.25f, i1.data(), rz1);
  const float n2 = plain.cg_step(x2.mutable_data(), r2.mutable_data(), p2.mutable_data(), q2.mutable_data(), n, diagonal.data(), 0.25f, i2.data(), rz2);
  EXPECT_NEAR(n1, n2, 1e-4f);
  expect_near(x1, x2, 1e-4f);
  expect_near(r1, r2, 1e-4f);
  expect_near(p1, p2, 1e-4f);
  for (std::size_t k = 0; k < n; ++k) q1.mutable_data()[k] = -p1[k] - 1;
  Array<float> zero(n);
  EXPECT_EQ(simd.cg_step(x1.mutable_data(), r1.mutable_data(), zero.mutable_data(), q1.mutable_data(), n, diagonal.data(), 0, i1.data(), 1), 0);
}

TEST_P(AlsKernels, CholeskySolvesAgainstTheDoubleProduct) {
  for (const std::size_t n : {16u, 32u, 48u, 64u, 128u, 208u}) {
    const Array<float> rows = reals((n + 8) * n, 19);
    Array<float> a(n * n);
    for (std::size_t i = 0; i < n; ++i) a.mutable_data()[i * n + i] = 1;
    plain.rank_update(rows.data(), rows.data(), n, n + 8, n, a.mutable_data(), n);
    const Array<float> truth = reals(n, 20);
    Array<float> b(n);
    for (std::size_t i = 0; i < n; ++i) {
      double s = 0;
      for (std::size_t j = 0; j < n; ++j) s += static_cast<double>(a[std::min(i, j) * n + std::max(i, j)]) * static_cast<double>(truth[j]);
      b.mutable_data()[i] = static_cast<float>(s);
    }
    Array<float> u = a;
    ASSERT_EQ(simd.cholesky(u.mutable_data(), n, n), n);
    simd.solve(u.data(), n, n, b.mutable_data());
    expect_near(b, truth, 2e-3f);
  }
}

TEST_P(AlsKernels, CholeskyNamesThePivotThatFails) {
  const std::size_t n = 48;
  for (const std::size_t bad : {0u, 7u, 16u, 33u, 47u})
    for (const float value : {0.0f, -1.0f, std::nanf(""), INFINITY}) {
      Array<float> a(n * n);
      for (std::size_t i = 0; i < n; ++i) a.mutable_data()[i * n + i] = i == bad ? value : 2.0f;
      EXPECT_EQ(simd.cholesky(a.mutable_data(), n, n), bad);
    }
}

}  // namespace
}  // namespace etalage::kernels
