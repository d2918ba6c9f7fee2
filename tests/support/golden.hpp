// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/tests_dir.hpp"

namespace etalage::test {

/// Where a golden file lies, without its ending.
inline std::string golden(const std::string& name) { return (std::filesystem::path(::etalage::testing::tests_dir()) / "golden/v1" / name).string(); }

/// The answers that lie beside a golden file, to a relative tolerance above 1.
inline void expect_answers(const std::string& name, const std::vector<double>& found, double tolerance) {
  std::ifstream in(golden(name) + ".txt");
  std::size_t i = 0;
  for (double expected = 0; in >> expected; ++i) {
    ASSERT_LT(i, found.size());
    EXPECT_NEAR(found[i], expected, tolerance * std::max(1.0, std::abs(expected))) << name << " " << i;
  }
  EXPECT_GT(i, 0u);
  EXPECT_EQ(i, found.size());
}

}  // namespace etalage::test
