// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace etalage::python {

/// Bytes that this process can still fill without the system ending it: what the kernel counts as available, and what
/// is left of the memory limit of its control group (v2 or v1). The largest value where neither can be read.
[[nodiscard]] std::uint64_t available_memory();

}  // namespace etalage::python
