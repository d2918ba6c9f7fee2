// SPDX-License-Identifier: Apache-2.0
#include "kernels/code_kernels.hpp"

namespace etalage::kernels {

const CodeTable& code_at(SimdLevel l) noexcept {
#if defined(__x86_64__)
  if (l == SimdLevel::kAvx512 && __builtin_cpu_supports("avx512vnni")) return avx512vnni::code_table;
#endif
  return plain_code_at(l);
}

const CodeTable& code() {
  static const CodeTable& table = code_at(level());
  return table;
}

}  // namespace etalage::kernels
