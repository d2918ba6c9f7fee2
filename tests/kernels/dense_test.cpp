// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "etalage/core/array.hpp"
#include "kernels/dense_kernels.hpp"
#include "kernels/kernel_data.hpp"

namespace etalage::kernels {
namespace {

class DenseLevels : public ::testing::TestWithParam<SimdLevel> {
 protected:
  const DenseTable& table() const { return dense_at(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(All, DenseLevels, ::testing::ValuesIn(available_levels()),
                         [](const auto& param) { return std::string(name(param.param)); });

TEST_P(DenseLevels, ProductsOfIntegersAreExactAndStayInTheirTile) {
  const std::size_t rows = table().rows;
  const std::size_t cols = table().cols;
  ASSERT_LE(rows, 16u);
  ASSERT_LE(cols, 32u);
  for (const std::size_t depth : {0u, 1u, 2u, 7u, 64u}) {
    const testing::TestRows source(2, (depth + 1) * 32, 0, true, static_cast<unsigned>(depth));
    Array<float> a(std::span<const float>(source[0], depth * rows));
    Array<float> b(std::span<const float>(source[1], depth * cols));
    const std::size_t ldc = cols + 5;
    std::vector<float> c((rows + 1) * ldc, 3.0f);
    table().subtract_product(a.data(), b.data(), depth, c.data() + 1, ldc);
    for (std::size_t r = 0; r <= rows; ++r)
      for (std::size_t j = 0; j < ldc; ++j) {
        float expected = 3.0f;
        if (r < rows && j >= 1 && j <= cols)
          for (std::size_t k = 0; k < depth; ++k) expected -= a[k * rows + r] * b[k * cols + j - 1];
        ASSERT_EQ(c[r * ldc + j], expected) << depth << ' ' << r << ' ' << j;
      }
  }
}

TEST_P(DenseLevels, RowsAddUp) {
  for (const std::size_t n : testing::awkward_lengths()) {
    const testing::TestRows rows(5, n, 1, true, static_cast<unsigned>(n));
    const std::vector<std::size_t> index{3, 0, 0, 4};
    const std::vector<float> weights{2, -1, 0.5f, 3};
    std::vector<float> y(n + 1, 1.0f);
    table().add_rows(rows.data(), rows.stride(), index.data(), weights.data(), index.size(), n, y.data());
    for (std::size_t i = 0; i < n; ++i) {
      float expected = 1;
      for (std::size_t k = 0; k < index.size(); ++k) expected += weights[k] * rows[index[k]][i];
      ASSERT_EQ(y[i], expected) << n << ' ' << i;
    }
    ASSERT_EQ(y[n], 1.0f);
  }
}

}  // namespace
}  // namespace etalage::kernels
