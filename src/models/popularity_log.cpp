// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/popularity.hpp"

namespace etalage {

FitReport PopularityModel::fit(const EventLog& log, InteractionOptions weights) {
  if (options_.half_life_days > 0) {
    weights.half_life_days = options_.half_life_days;
    weights.now_ms = options_.now_ms;
  }
  if (options_.count == PopularityOptions::Count::kUsers) weights.duplicates = Duplicates::kMax;
  const Interactions data = log.interactions(weights);
  fit_rows(data.user_items(), data.user_ids(), data.item_ids());
  newest_ms_ = data.newest_ms();
  return report_;
}

}  // namespace etalage
