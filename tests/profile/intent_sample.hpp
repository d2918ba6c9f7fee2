// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "etalage/profile/purchase_intent.hpp"
#include "profile/profile_data.hpp"

namespace etalage::testing {

/// What golden files hold: a regression, or two small trees.
inline std::shared_ptr<PurchaseIntent> sample_intent(bool trees) {
  auto intent = std::make_shared<PurchaseIntent>(
      PurchaseIntentOptions{.horizon_days = 14, .calibration = trees ? Calibration::kIsotonic : Calibration::kPlatt});
  const EventLog log = random_log(80, 6, 19);
  const ItemFacts facts(*small_catalog());
  if (!trees) {
    intent->fit(log, facts);
    return intent;
  }
  const auto ints = [](std::vector<std::int32_t> v) { return Array<std::int32_t>(v); };
  const auto numbers = [](std::vector<double> v) { return Array<double>(v); };
  const IntentExamples e = intent->examples(log, facts);
  intent->set_trees(TreeEnsemble(ints({0, 1, -1, -1, -1, 4, -1, -1}), numbers({3, 1, 0, 0, 0, 2.5, 0, 0}), ints({1, 2, 0, 0, 0, 6, 0, 0}),
                                 ints({4, 3, 0, 0, 0, 7, 0, 0}), Array<std::uint8_t>(8), numbers({0, 0, 0.1, 0.7, -0.4, 0, 0.3, -0.3}),
                                 ints({0, 5}), -1, static_cast<std::int32_t>(IntentFeatures::count())),
                    e.matrix(), e.labels);
  return intent;
}

inline std::vector<double> intent_answers(const PurchaseIntent& intent) {
  std::vector<double> out;
  Profiles p(std::make_shared<const ItemFacts>(*small_catalog()));
  p.add(random_log(10, 5, 20));
  for (std::int32_t u = 0; u < p.size(); ++u)
    for (const int day : {0, 3, 40}) out.push_back(intent.predict(p.at(u), p.newest_ms() + day * kDay));
  return out;
}

}  // namespace etalage::testing
