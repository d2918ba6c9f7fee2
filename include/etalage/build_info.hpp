// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "etalage/export.hpp"

namespace etalage {

/// How this library was built and what it uses on this machine.
struct BuildInfo {
  std::string version;                   ///< "0.1.0"
  std::string compiler;                  ///< "GCC 12.2.0"
  std::string simd;                      ///< level in use, see ETALAGE_SIMD
  std::vector<std::string> simd_levels;  ///< levels that this CPU can run, lowest first
  int threads = 0;                       ///< what num_threads = 0 means here
  std::string thread_backend;            ///< "omp" or "std"
  std::string blas;                      ///< what answers in this process, empty without one: OpenBLAS's words on itself, else a path
  std::string faiss;                     ///< version, empty without FAISS
};

/// What the library was built with, and what it found on this machine.
[[nodiscard]] ETALAGE_EXPORT BuildInfo build_info();

}  // namespace etalage
