// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <string>

namespace etalage::test {

/// What a call throws, "" where it throws nothing.
template <class F>
std::string message_of(F&& call) {
  try {
    call();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

}  // namespace etalage::test
