// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "serving/ranker_fixture.hpp"
#include "support/count_allocations.hpp"

namespace etalage {
namespace {

TEST(RankerAllocation, WarmRequestsMakeNone) {
  const std::vector<Rule> rules{{.type = RuleType::kInclude, .predicate = Predicate::in_stock()},
                                {.type = RuleType::kNotAgain, .by = "product", .days = 30},
                                {.type = RuleType::kPin, .item = "sku7", .position = 2},
                                {.type = RuleType::kCap, .by = "brand", .max = 2},
                                {.type = RuleType::kMinShare, .predicate = Predicate::brand({"b1"}), .share = 0.2},
                                {.type = RuleType::kBoost, .predicate = Predicate::tag({"new"}), .factor = 1.4}};
  for (const RerankMethod method : {RerankMethod::kNone, RerankMethod::kMmr, RerankMethod::kDpp, RerankMethod::kCalibrated}) {
    const Ranker ranker(test::shop_parts(400, rules, {.method = method}));
    const std::vector<std::int32_t> session{3, 8, 19}, anchors{5};
    const std::vector<Purchase> bought{{12, 0}, {15, 0}};
    const SharedFilter cheap = ranker.catalog().filter(Predicate::price({}, 60));
    const std::vector<RequestContext> requests{
        {.user = 1, .session = session, .purchases = bought, .now_ms = 1},
        {.placement = Placement::kProductPage, .user = 2, .anchors = anchors, .filter = &cheap},
        {.placement = Placement::kBasket, .session = session, .anchors = session},
        {}};
    std::vector<RankedItem> out(20);
    RankScratch scratch;
    std::size_t results = 0;
    const auto ask = [&] {
      for (const RequestContext& r : requests) results += ranker.rank(r, out, scratch);
    };
    ask();
    const std::size_t once = results;
    const long before = allocations;
    for (int i = 0; i < 3; ++i) ask();
    EXPECT_EQ(allocations, before) << "method " << static_cast<int>(method);
    EXPECT_EQ(results, 4 * once);
    EXPECT_GT(once, 40u);
  }
  EXPECT_GT(allocations, 0) << "the counter is in use";
}

}  // namespace
}  // namespace etalage
