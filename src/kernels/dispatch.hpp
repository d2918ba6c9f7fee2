// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace etalage::kernels {

/// Instruction sets that kernels are compiled for. Scalar is the plain C++ twin, the oracle of the tests. Baseline is
/// what every CPU of the architecture has: SSE2 on x86-64, NEON on AArch64.
enum class SimdLevel : int { kScalar = 0, kBaseline, kAvx2, kAvx512 };

/// "scalar", "baseline", "avx2", "avx512".
const char* name(SimdLevel level) noexcept;

/// Levels that were compiled in and that this CPU can run, lowest first.
std::vector<SimdLevel> available_levels();

/// The level in use, chosen once: the highest available, or the one that the environment variable ETALAGE_SIMD names.
/// An unknown or unavailable name is std::invalid_argument that lists the available ones.
SimdLevel level();

/// The entry of a family of tables for a level. A kernel family declares, in its header,
///   struct DotTable { float (*dot)(...); ... };
///   namespace scalar { extern const DotTable dot_table; }  (and baseline, avx2, avx512)
/// and asks for pick(scalar::dot_table, ...) through ETALAGE_KERNEL_TABLE.
template <class Table>
struct Tables {
  const Table* scalar;
  const Table* baseline;
  const Table* avx2;    ///< null where not compiled in
  const Table* avx512;  ///< null where not compiled in
  [[nodiscard]] const Table& at(SimdLevel l) const noexcept {
    switch (l) {
      case SimdLevel::kAvx512: return *avx512;
      case SimdLevel::kAvx2: return *avx2;
      case SimdLevel::kBaseline: return *baseline;
      case SimdLevel::kScalar: break;
    }
    return *scalar;
  }
};

}  // namespace etalage::kernels

#if defined(__x86_64__)
/// Declares the tables of one family (Type, name) on every level and `const Type& name()` / `name##_at(level)`.
#define ETALAGE_DECLARE_KERNELS(Type, name)                                                              \
  namespace scalar { extern const Type name##_table; }                                                   \
  namespace baseline { extern const Type name##_table; }                                                 \
  namespace avx2 { extern const Type name##_table; }                                                     \
  namespace avx512 { extern const Type name##_table; }                                                   \
  inline const Type& name##_at(SimdLevel l) noexcept {                                                   \
    return Tables<Type>{&scalar::name##_table, &baseline::name##_table, &avx2::name##_table,             \
                        &avx512::name##_table}.at(l);                                                    \
  }                                                                                                      \
  inline const Type& name() { static const Type& table = name##_at(level()); return table; }
#else
#define ETALAGE_DECLARE_KERNELS(Type, name)                                                              \
  namespace scalar { extern const Type name##_table; }                                                   \
  namespace baseline { extern const Type name##_table; }                                                 \
  inline const Type& name##_at(SimdLevel l) noexcept {                                                   \
    return Tables<Type>{&scalar::name##_table, &baseline::name##_table, nullptr, nullptr}.at(l);         \
  }                                                                                                      \
  inline const Type& name() { static const Type& table = name##_at(level()); return table; }
#endif
