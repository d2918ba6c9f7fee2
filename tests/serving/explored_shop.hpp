// SPDX-License-Identifier: Apache-2.0
// The small shop under rules, whose places are drawn.
#pragma once

#include <memory>
#include <vector>

#include "etalage/serving/exploration.hpp"
#include "serving/engine_fixture.hpp"
#include "serving/learned_shop.hpp"

namespace etalage::testing {

/// How places are drawn, and what came before.
struct Drawn {
  Exploration how;
  RerankMethod method = RerankMethod::kNone;
};

/// Every policy, and two of them before a method that looks at what stands above.
inline std::vector<Drawn> every_policy() {
  return {{{.policy = PlacePolicy::kEpsilon, .epsilon = 0.5}},
          {{.policy = PlacePolicy::kSoftmax, .temperature = 0.3}},
          {{.policy = PlacePolicy::kSoftmax, .temperature = 0.3}, RerankMethod::kMmr},
          {{.policy = PlacePolicy::kSquareCb, .gamma = 5}},
          {{.policy = PlacePolicy::kThompson}},
          {{.policy = PlacePolicy::kBootstrap, .epsilon = 0.2}},
          {{.policy = PlacePolicy::kBootstrap, .epsilon = 0.2}, RerankMethod::kMmr}};
}

/// i2 is excluded, i40 pinned to the second place, two of a brand are the most. With `bag` a learned ranker orders the candidates, of which
/// so many bootstrapped models think differently.
inline void publish_ruled_shop(Engine& engine, RerankMethod method, std::uint64_t bag = 0) {
  SnapshotParts parts = shop_parts();
  parts.rules = Rules::from_json(R"({"rules": [{"type": "exclude", "predicate": {"items": ["i2"]}},
                                               {"type": "pin", "item": "i40", "position": 2},
                                               {"type": "cap", "by": "brand", "max": 2}]})");
  parts.rerank.method = method;
  if (bag > 0) parts.ranker = learned(parts, bag);
  engine.publish(std::make_shared<const Snapshot>(parts));
}

}  // namespace etalage::testing
