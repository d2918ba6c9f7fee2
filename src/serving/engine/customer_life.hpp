// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "etalage/profile/user_profile.hpp"
#include "etalage/serving/snapshot.hpp"

namespace etalage::serving {

/// Chance that the shopper of this profile is still a customer by the snapshot's lifetime model; nothing without one or before their
/// first order.
[[nodiscard]] std::optional<double> alive(const UserProfile& profile, std::int64_t now_ms, const SnapshotParts& parts);

}  // namespace etalage::serving
