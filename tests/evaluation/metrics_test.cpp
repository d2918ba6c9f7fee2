// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/metrics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace etalage {
namespace {

using Items = std::vector<std::int32_t>;

// Hits at ranks 1, 3 and 4; item 9 is relevant and not found.
const Items kRelevant{2, 5, 7, 9};
const Items kRanked{5, 1, 2, 7, 0, 3};

double d(int rank) { return 1.0 / std::log2(rank + 1.0); }

TEST(Metrics, EqualTheirFormulasByHand) {
  EXPECT_DOUBLE_EQ(precision_at_k(kRelevant, kRanked, 3), 2.0 / 3);
  EXPECT_DOUBLE_EQ(recall_at_k(kRelevant, kRanked, 3), 2.0 / 4);
  EXPECT_DOUBLE_EQ(capped_recall_at_k(kRelevant, kRanked, 3), 2.0 / 3);
  EXPECT_DOUBLE_EQ(capped_recall_at_k(kRelevant, kRanked, 6), 3.0 / 4);
  EXPECT_DOUBLE_EQ(hit_rate_at_k(kRelevant, kRanked, 3), 1.0);
  EXPECT_DOUBLE_EQ(ndcg_at_k(kRelevant, kRanked, 3), (d(1) + d(3)) / (d(1) + d(2) + d(3)));
  EXPECT_DOUBLE_EQ(ndcg_at_k(kRelevant, kRanked, 6), (d(1) + d(3) + d(4)) / (d(1) + d(2) + d(3) + d(4)));
  EXPECT_DOUBLE_EQ(average_precision_at_k(kRelevant, kRanked, 3), (1.0 + 2.0 / 3) / 3);
  EXPECT_DOUBLE_EQ(average_precision_at_k(kRelevant, kRanked, 6), (1.0 + 2.0 / 3 + 3.0 / 4) / 4);
  EXPECT_DOUBLE_EQ(reciprocal_rank_at_k(Items{2}, kRanked, 6), 1.0 / 3);
  EXPECT_DOUBLE_EQ(reciprocal_rank_at_k(Items{2}, kRanked, 2), 0.0);
}

TEST(Metrics, DiscountRankTwoAndStopAtPadding) {
  EXPECT_LT(ndcg_at_k(Items{1}, kRanked, 6), 1.0);
  const Items padded{5, -1, 2};
  EXPECT_DOUBLE_EQ(recall_at_k(kRelevant, padded, 3), 1.0 / 4);
  EXPECT_DOUBLE_EQ(precision_at_k(kRelevant, padded, 3), 1.0 / 3) << "a short list counts as misses";
}

TEST(Metrics, AreZeroForNothing) {
  for (const char* m : {"precision", "recall", "capped_recall", "hit_rate", "ndcg", "map", "mrr"}) {
    EXPECT_EQ(metric_at_k(metric_of(m), {}, kRanked, 5), 0.0) << m;
    EXPECT_EQ(metric_at_k(metric_of(m), kRelevant, {}, 5), 0.0) << m;
    EXPECT_EQ(metric_at_k(metric_of(m), kRelevant, kRanked, 0), 0.0) << m;
    EXPECT_THROW((void)metric_at_k(metric_of(m), kRelevant, kRanked, -1), std::invalid_argument) << m;
    EXPECT_STREQ(name(metric_of(m)), m);
  }
}

TEST(Metrics, AnUnknownNameListsTheKnownOnes) {
  try {
    (void)metric_of("recal");
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(),
                 "metric is 'recal', must be one of precision, recall, capped_recall, hit_rate, ndcg, map, mrr, coverage");
  }
  EXPECT_THROW((void)metric_at_k(Metric::kCoverage, kRelevant, kRanked, 3), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
