// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "etalage/export.hpp"
#include "etalage/serving/impressions.hpp"

namespace etalage {

/// How often each type of event stands to the credit of a place: a return takes the newest purchase of the place away and counts as itself.
/// Types that `apart` names take nothing away: they are worth something of their own.
[[nodiscard]] ETALAGE_EXPORT std::map<std::string, int> credited(const Impression::Place& place, const std::map<std::string, double>& apart = {});

}  // namespace etalage
