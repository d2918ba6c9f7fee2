// SPDX-License-Identifier: Apache-2.0
#include "support/tests_dir.hpp"

namespace etalage::testing {

const char* tests_dir() noexcept { return ETALAGE_TESTS_DIR; }

}  // namespace etalage::testing
