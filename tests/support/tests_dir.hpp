// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace etalage::testing {

/// The folder of the tests in the source tree. One object file knows it, so that all others are the same in every clone and a
/// compiler cache serves them.
const char* tests_dir() noexcept;

}  // namespace etalage::testing
