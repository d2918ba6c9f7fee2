// SPDX-License-Identifier: Apache-2.0
#include "retrieval/filtered_walk.hpp"

namespace etalage {
namespace {

TEST(FilteredWalk, KeepsItsRecallOnASmallIndex) {
  test::expect_recall_under_filters(6000, {.M = 8, .ef_construction = 60, .ef_search = 24}, {2}, 0.95);
}

}  // namespace
}  // namespace etalage
