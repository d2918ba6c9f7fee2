// SPDX-License-Identifier: Apache-2.0
#include "etalage/build_info.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "detail/parallel_for.hpp"
#include "etalage/version.hpp"
#include "kernels/dispatch.hpp"

namespace etalage {
namespace {

TEST(BuildInfo, SaysWhatIsInUse) {
  const BuildInfo info = build_info();
  EXPECT_EQ(info.version.find(std::to_string(ETALAGE_VERSION_MAJOR) + "."), 0u);
  EXPECT_FALSE(info.compiler.empty());
  EXPECT_EQ(info.simd, kernels::name(kernels::level()));
  EXPECT_EQ(info.simd_levels.front(), "scalar");
  EXPECT_NE(std::find(info.simd_levels.begin(), info.simd_levels.end(), info.simd), info.simd_levels.end());
  EXPECT_EQ(info.threads, detail::available_cpus());
  EXPECT_TRUE(info.thread_backend == "omp" || info.thread_backend == "std");
}

TEST(BuildInfo, NamesNoBlasAndNoFaiss) {
  EXPECT_TRUE(build_info().blas.empty());
  EXPECT_TRUE(build_info().faiss.empty());
}

}  // namespace
}  // namespace etalage
