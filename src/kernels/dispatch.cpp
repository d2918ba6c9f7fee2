// SPDX-License-Identifier: Apache-2.0
#include "kernels/dispatch.hpp"

#include <cstdlib>
#include <stdexcept>

namespace etalage::kernels {
namespace {

SimdLevel choose() {
  const std::vector<SimdLevel> levels = available_levels();
  const char* wanted = std::getenv("ETALAGE_SIMD");
  if (wanted == nullptr || *wanted == '\0') return levels.back();
  std::string names;
  for (const SimdLevel l : levels) {
    if (std::string(wanted) == name(l)) return l;
    names += (names.empty() ? "" : ", ") + std::string(name(l));
  }
  throw std::invalid_argument("ETALAGE_SIMD is '" + std::string(wanted) + "', must be one of " + names +
                              " on this machine");
}

}  // namespace

const char* name(SimdLevel level) noexcept {
  switch (level) {
    case SimdLevel::kScalar: return "scalar";
    case SimdLevel::kBaseline: return "baseline";
    case SimdLevel::kAvx2: return "avx2";
    case SimdLevel::kAvx512: return "avx512";
  }
  return "unknown";
}

std::vector<SimdLevel> available_levels() {
  std::vector<SimdLevel> levels{SimdLevel::kScalar, SimdLevel::kBaseline};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
  if (avx2) levels.push_back(SimdLevel::kAvx2);
  if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
    levels.push_back(SimdLevel::kAvx512);
#endif
  return levels;
}

SimdLevel level() {
  static const SimdLevel chosen = choose();
  return chosen;
}

}  // namespace etalage::kernels
