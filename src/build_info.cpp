// SPDX-License-Identifier: Apache-2.0
#include "etalage/build_info.hpp"

#include "detail/parallel_for.hpp"
#include "etalage/version.hpp"
#include "kernels/dispatch.hpp"

namespace etalage {
BuildInfo build_info() {
  BuildInfo info;
  info.version = std::to_string(ETALAGE_VERSION_MAJOR) + "." + std::to_string(ETALAGE_VERSION_MINOR) + "." +
                 std::to_string(ETALAGE_VERSION_PATCH);
#if defined(__clang__)
  info.compiler = "Clang " __clang_version__;
#else
  info.compiler = "GCC " __VERSION__;
#endif
  info.simd = kernels::name(kernels::level());
  for (const kernels::SimdLevel l : kernels::available_levels()) info.simd_levels.emplace_back(kernels::name(l));
  info.threads = detail::available_cpus();
#if defined(ETALAGE_USE_OPENMP)
  info.thread_backend = "omp";
#else
  info.thread_backend = "std";
#endif
  return info;  // blas and faiss stay empty: the library links neither
}

}  // namespace etalage
