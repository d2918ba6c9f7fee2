// SPDX-License-Identifier: Apache-2.0
#include "etalage/build_info.hpp"

#if defined(ETALAGE_WITH_FAISS)
#include <dlfcn.h>
#endif

#include "detail/parallel_for.hpp"
#include "etalage/version.hpp"
#include "kernels/dispatch.hpp"

#if defined(ETALAGE_WITH_FAISS)
extern "C" void sgemm_();  // only its address is taken
#endif

namespace etalage {
namespace {

// Asked of the library that our calls reach in this process: the linker's choice and the system's alternatives decide
// long after the build.
std::string blas_in_use() {
#if defined(ETALAGE_WITH_FAISS)
  Dl_info home{};
  if (dladdr(reinterpret_cast<void*>(&sgemm_), &home) != 0 && home.dli_fname != nullptr) {
    if (void* library = dlopen(home.dli_fname, RTLD_LAZY | RTLD_NOLOAD)) {
      std::string name = home.dli_fname;
      // OpenBLAS, also behind a libblas.so.3 of its own.
      if (void* config = dlsym(library, "openblas_get_config")) name = reinterpret_cast<const char* (*)()>(config)();
      dlclose(library);
      return name;
    }
  }
#endif
  return ETALAGE_BLAS_NAME;  // linked statically, or none
}

}  // namespace

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
  info.blas = blas_in_use();
  info.faiss = ETALAGE_FAISS_VERSION;
  return info;
}

}  // namespace etalage
