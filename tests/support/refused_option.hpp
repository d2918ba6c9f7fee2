// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>

namespace etalage::test {

/// Options spoilt in one place are refused by a message that begins with the option's name.
template <class Options>
void expect_refused(const char* option, const std::function<void(Options&)>& spoil) {
  Options o;
  spoil(o);
  try {
    o.validate();
    ADD_FAILURE() << option << " passed";
  } catch (const std::invalid_argument& e) {
    EXPECT_EQ(std::string(e.what()).rfind(std::string(option) + " is ", 0), 0u) << e.what();
  }
}

}  // namespace etalage::test
