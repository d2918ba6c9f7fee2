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

// Debian's plain libblas is many times slower than any tuned one, and is what a build links unless somebody looks.
TEST(BuildInfo, BlasIsNotTheReferenceOne) {
  const BuildInfo info = build_info();
  if (info.faiss.empty()) GTEST_SKIP() << "built without FAISS, which is what uses BLAS";
  const auto named = [&](const char* name) { return info.blas.find(name) != std::string::npos; };
  EXPECT_TRUE(named("OpenBLAS") || named("openblas") || named("mkl") || named("blis") || named("atlas") || named("Accelerate"))
      << "matrix products go to '" << info.blas << "'; install libopenblas-serial-dev and configure again";
}

}  // namespace
}  // namespace etalage
