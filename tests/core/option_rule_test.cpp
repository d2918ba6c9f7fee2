// SPDX-License-Identifier: Apache-2.0
// Rules of options are read from the words that errors say.
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/retrieval/item_index.hpp"

namespace etalage {
namespace {

TEST(OptionRule, WordsAreTheBounds) {
  constexpr OptionRule within("in [1, 4096]");
  EXPECT_EQ(within.broken_by(0), "in [1, 4096]");
  EXPECT_EQ(within.broken_by(1), "");
  EXPECT_EQ(within.broken_by(4096), "");
  EXPECT_EQ(within.broken_by(4097), "in [1, 4096]");
  constexpr OptionRule open("in (0, 0.9]");
  EXPECT_EQ(open.broken_by(0.0), "in (0, 0.9]");
  EXPECT_EQ(open.broken_by(0.9), "");
  EXPECT_EQ(open.broken_by(0.9f), "") << "the border as a float has it";
  EXPECT_NE(open.broken_by(0.91), "");
  constexpr OptionRule half("in [0, 1)");
  EXPECT_EQ(half.broken_by(0.0), "");
  EXPECT_NE(half.broken_by(1.0), "");
  constexpr OptionRule above("finite and > 0");
  EXPECT_NE(above.broken_by(0.0f), "");
  EXPECT_EQ(above.broken_by(1e-30f), "");
  constexpr OptionRule below("a finite number <= 0");
  EXPECT_EQ(below.broken_by(0.0), "");
  EXPECT_NE(below.broken_by(0.1), "");
  constexpr OptionRule negative("in [-1440, 1440]");
  EXPECT_EQ(negative.broken_by(-1440), "");
  EXPECT_NE(negative.broken_by(-1441), "");
  constexpr OptionRule exponent("in [0, 1e6]");
  EXPECT_EQ(exponent.broken_by(1e6), "");
  EXPECT_NE(exponent.broken_by(1e6 + 1), "");
  constexpr OptionRule two(">= 0 (0 means all CPUs), at most 100000");
  EXPECT_EQ(two.broken_by(-1), ">= 0 (0 means all CPUs)");
  EXPECT_EQ(two.broken_by(100'000), "");
  EXPECT_EQ(two.broken_by(100'001), "at most 100000");
  constexpr OptionRule any;
  EXPECT_EQ(any.broken_by(std::numeric_limits<std::int64_t>::min()), "");
}

template <class O>
std::string said_by(const O& options) {
  try {
    require_options(options);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "";
}

TEST(OptionRule, ErrorsNameFieldValueAndTheBrokenPart) {
  AlsOptions als;
  EXPECT_EQ(said_by(als), "");
  als.iterations = 100'001;
  EXPECT_EQ(said_by(als), "iterations is 100001, must be at most 100000");
  als = {};
  als.alpha = std::numeric_limits<float>::infinity();
  EXPECT_EQ(said_by(als), "alpha is inf, must be finite and >= 0");
  als = {};
  als.solver = static_cast<AlsSolver>(9);
  EXPECT_EQ(said_by(als).rfind("solver is 9, must be ", 0), 0u);
  BlendOptions blend;
  blend.weights = {1, -1};
  EXPECT_EQ(said_by(blend), "weights is -1, must be finite and >= 0");
  blend = {};
  blend.exclude_last = static_cast<ExcludeLast>(7);
  EXPECT_EQ(said_by(blend), "exclude_last is 7, must be 'auto', 'session', 'true' or 'false'");
  ItemIndexOptions index;
  index.recall = 1;
  EXPECT_EQ(said_by(index), "recall is 1, must be in [0, 1) (0 leaves ef_search and nprobe as they are)");
}

}  // namespace
}  // namespace etalage
