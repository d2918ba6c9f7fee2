// SPDX-License-Identifier: Apache-2.0
// Counts every allocation of this program.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "serving/ranker_fixture.hpp"

namespace {
std::atomic<long> allocations{0};

void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  const std::size_t whole = (size + alignment - 1) / alignment * alignment;
  if (void* p = std::aligned_alloc(alignment, whole == 0 ? alignment : whole)) return p;
  throw std::bad_alloc();
}
}  // namespace

// Both sides are replaced here; g++ warns where it inlines only one of them.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new[](std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t a) { return counted(size, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t size, std::align_val_t a) { return counted(size, static_cast<std::size_t>(a)); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

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
