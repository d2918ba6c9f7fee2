// SPDX-License-Identifier: Apache-2.0
#include "retrieval/filtered_walk.hpp"

namespace etalage {
namespace {

TEST(FilteredWalk, KeepsItsRecallOnALargeIndex) {
  test::expect_recall_under_filters(300000, {.M = 8, .ef_construction = 80, .ef_search = 32}, {4, 10, 100, 1000}, 0.95);
}

}  // namespace
}  // namespace etalage
