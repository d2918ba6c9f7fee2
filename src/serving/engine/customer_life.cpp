// SPDX-License-Identifier: Apache-2.0
#include "serving/engine/customer_life.hpp"

#include <algorithm>

#include "detail/days.hpp"
#include "etalage/marketing/lifetime.hpp"
#include "etalage/serving/engine.hpp"

namespace etalage {
namespace serving {

std::optional<double> alive(const UserProfile& profile, std::int64_t now_ms, const SnapshotParts& parts) {
  const UserProfile::Counts& c = profile.counts();
  if (!parts.lifetime || c.first_purchase_ms == UserProfile::kNever) return std::nullopt;
  const auto units = [&](std::int64_t ms) { return (static_cast<double>(ms) - static_cast<double>(c.first_purchase_ms)) / (detail::kMsPerDay * parts.lifetime_unit_days); };
  const double recency = std::max(0.0, units(c.last_purchase_ms));
  // Orders that came late count and open no gap: somebody with two orders at one moment has bought once.
  const double frequency = recency > 0 ? static_cast<double>(std::max<std::int64_t>(1, c.orders - 1)) : 0.0;
  const double age = std::max(recency, units(now_ms));
  double out = 0;
  parts.lifetime->p_alive({{&frequency, 1}, {&recency, 1}, {&age, 1}, {}}, {&out, 1});
  return out;
}

}  // namespace serving

Lifecycle ShopperState::lifecycle() const {
  const Lifecycle by_gaps = profile.lifecycle(now_ms, snapshot->profile_options());
  if (!alive || by_gaps == Lifecycle::kNew) return by_gaps;
  if (*alive < kLapsed) return Lifecycle::kLapsed;
  if (*alive < kAtRisk) return Lifecycle::kAtRisk;
  return profile.counts().orders >= snapshot->profile_options().loyal_orders ? Lifecycle::kLoyal : Lifecycle::kActive;
}

}  // namespace etalage
