// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "serving/explored_shop.hpp"
#include "support/count_allocations.hpp"

namespace etalage {
namespace {

TEST(LogAllocation, WarmLoggedAnswersMakeNone) {
  for (const PlacePolicy policy : {PlacePolicy::kGreedy, PlacePolicy::kEpsilon, PlacePolicy::kSoftmax, PlacePolicy::kThompson, PlacePolicy::kSquareCb,
                                   PlacePolicy::kBootstrap}) {
    Engine engine;
    if (policy == PlacePolicy::kBootstrap) testing::publish_ruled_shop(engine, RerankMethod::kNone, 8);
    else engine.publish(testing::shop_snapshot());
    engine.explore(Placement::kHome, Exploration{.policy = policy});
    engine.fatigue(Placement::kHome, Fatigue{.after = 2});
    EngineScratch scratch;
    Answer answer;
    const std::vector<std::string> shoppers{"u1", "u2", "somebody"};
    std::size_t results = 0;
    const auto ask = [&] {
      for (const std::string& user : shoppers) {
        engine.recommend({.user = user, .k = 10, .log = true}, answer, scratch);
        results += answer.items.size();
      }
    };
    for (int i = 0; i < 200; ++i) ask();  // fatigue looks 50 answers back, and products are shown for the first time
    const long before = allocations;
    for (int i = 0; i < 5; ++i) ask();
    EXPECT_LE(allocations, before + 1) << exploration_name(policy) << ": more than the log's next block";
    EXPECT_EQ(results, 205u * 3 * 10);
  }
  EXPECT_GT(allocations, 0) << "the counter is in use";
}

}  // namespace
}  // namespace etalage
