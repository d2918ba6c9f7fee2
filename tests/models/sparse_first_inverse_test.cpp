// SPDX-License-Identifier: Apache-2.0
#include "models/linear/sparse_first_inverse.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "models/linear/spd_inverse.hpp"

namespace etalage {
namespace {

/// Gram matrix of `rows` baskets of few items, popular ones more often, plus l2; upper triangle, ld floats a row.
std::vector<float> basket_gram(std::size_t n, std::size_t rows, std::size_t size, std::size_t ld, float l2) {
  std::mt19937 rng(static_cast<unsigned>(n + rows));
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<float> a(n * ld, 0.0f);
  for (std::size_t i = 0; i < n; ++i) a[i * ld + i] = l2;
  for (std::size_t r = 0; r < rows; ++r) {
    std::vector<std::size_t> basket;
    for (std::size_t k = 0; k < size; ++k)
      basket.push_back((static_cast<std::size_t>(std::pow(uniform(rng), 4) * static_cast<double>(n)) * 7919) % n);
    std::sort(basket.begin(), basket.end());
    basket.erase(std::unique(basket.begin(), basket.end()), basket.end());
    for (const std::size_t i : basket)
      for (const std::size_t j : basket)
        if (j >= i) a[i * ld + j] += 1.0f;
  }
  return a;
}

double upper(const std::vector<float>& a, std::size_t ld, std::size_t i, std::size_t j) {
  return static_cast<double>(a[std::min(i, j) * ld + std::max(i, j)]);
}

TEST(SparseFirstInverse, TimesTheMatrixIsMinusOneOnSparseAndDenseOnes) {
  for (const std::size_t n : {1u, 5u, 127u, 128u, 257u, 500u})
    for (const std::size_t rows : {std::size_t{0}, n / 2, 2 * n, 20 * n}) {
      const std::size_t ld = n + 3;
      const std::vector<float> matrix = basket_gram(n, rows, 4, ld, 5.0f);
      std::vector<float> a = matrix;
      std::vector<float> one = matrix;
      ASSERT_TRUE(sparse_first_inverse(a.data(), n, ld, 3));
      ASSERT_TRUE(sparse_first_inverse(one.data(), n, ld, 1));
      EXPECT_EQ(a, one) << "threads change no bit";
      double worst = 0;
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) {
          double sum = i == j ? 1.0 : 0.0;
          for (std::size_t k = 0; k < n; ++k) sum += upper(a, ld, i, k) * upper(matrix, ld, k, j);
          worst = std::max(worst, std::fabs(sum));
        }
      EXPECT_LT(worst, 1e-4) << n << " items, " << rows << " baskets";
    }
}

TEST(SparseFirstInverse, EqualsTheDenseSweep) {
  const std::size_t n = 400;
  std::vector<float> a = basket_gram(n, 300, 5, n, 2.0f);
  std::vector<float> dense = a;
  ASSERT_TRUE(sparse_first_inverse(a.data(), n, n, 2));
  ASSERT_TRUE(negated_inverse(dense.data(), n, n, 2));
  EXPECT_NE(a, dense) << "rows are eliminated in another order, so roundings differ";
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i; j < n; ++j) EXPECT_NEAR(a[i * n + j], dense[i * n + j], 1e-5);
}

TEST(SparseFirstInverse, EndedEarlyItIsTheInverseOverWhatWasReached) {
  const std::size_t n = 500;
  const std::vector<float> matrix = basket_gram(n, 2500, 6, n, 5.0f);
  std::vector<float> a;
  std::size_t told = 0;
  std::vector<std::size_t> reached;
  // Where the machine is so busy that a part before or after the blocks takes long, that part is asked as well, and nothing is left.
  for (int attempt = 0; attempt < 20 && reached.empty(); ++attempt) {
    a = matrix;
    EXPECT_FALSE(sparse_first_inverse(a.data(), n, n, 2, [&](std::size_t done) {
      told = done;
      return false;
    }));
    for (std::size_t i = 0; i < n; ++i)
      if (a[i * n + i] != 0.0f) reached.push_back(i);
  }
  EXPECT_EQ(reached.size(), told);
  EXPECT_GT(told, 0u);
  EXPECT_LT(told, n);
  for (const std::size_t i : reached)
    for (const std::size_t j : reached) {
      double sum = i == j ? 1.0 : 0.0;
      for (const std::size_t k : reached) sum += upper(a, n, i, k) * upper(matrix, n, k, j);
      EXPECT_NEAR(sum, 0.0, 1e-4);
    }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i; j < n; ++j)
      if (a[i * n + i] == 0.0f || a[j * n + j] == 0.0f) {
        EXPECT_EQ(a[i * n + j], 0.0f);
      }
}

TEST(SparseFirstInverse, ARowWithoutAPositivePivotIsNamed) {
  for (const std::size_t bad : {3u, 200u}) {  // one eliminated early, one among many neighbours
    std::vector<float> a = basket_gram(256, 400, 5, 256, 3.0f);
    a[bad * 256 + bad] = -1000.0f;
    try {
      sparse_first_inverse(a.data(), 256, 256, 2);
      FAIL();
    } catch (const NumericalError& e) {
      EXPECT_NE(std::string(e.what()).find("row " + std::to_string(bad) + " has the pivot"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace etalage
