// SPDX-License-Identifier: Apache-2.0
// A learned ranker over the small shop.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "etalage/models/learned_ranker.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage::testing {

/// Over the shop's ALS and popularity; learned from products that were drawn, so that its order is nobody else's. `bag`: bootstrapped models.
inline std::shared_ptr<const LearnedRankerModel> learned(const SnapshotParts& parts, std::uint64_t bag = 0) {
  const Interactions data = shop_interactions();
  const CsrMatrix& rows = data.user_items();
  const Sequences histories(rows.offsets, rows.columns, {}, kItems);
  auto out = std::make_shared<LearnedRankerModel>(std::vector<BlendMember>{{"als", parts.models[0].model}, {"popularity", parts.models[2].model}},
                                                  ItemSignals::of(histories), histories, LearnedRankerOptions{.candidates = 30});
  std::mt19937 rng(3);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> held;
  for (int u = 0; u < kUsers; ++u) {
    held.push_back(static_cast<std::int32_t>(rng() % kItems));
    offsets.push_back(static_cast<std::int64_t>(held.size()));
  }
  Array<float> ones(held.size());
  ones.fill(1.0f);
  const CsrMatrix later{kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(held), ones};
  const RankingLists lists = out->lists(later.view(), kUsers, false, 1000);
  const MatrixView<const float> features(lists.rows.data(), lists.items.size(), out->num_features());
  out->set_scorer(LinearRanker::fit(features, lists.offsets, lists.gains, {}));
  const std::vector<std::int64_t> groups(lists.queries.begin(), lists.queries.end());
  const std::vector<std::uint8_t> taught(groups.size(), 1);
  std::vector<RankerScorer> models;
  for (std::uint64_t m = 0; m < bag; ++m)
    models.push_back({.linear = LinearRanker::fit(features, lists.offsets, lists.gains, bootstrap_weights(groups, taught, 7, m))});
  out->set_bag(std::move(models));
  return out;
}

}  // namespace etalage::testing
