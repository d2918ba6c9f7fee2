// SPDX-License-Identifier: Apache-2.0
// ProfileOptions in files, for all that depends on how events were read.
#pragma once

#include "etalage/extend/state.hpp"
#include "etalage/profile/user_profile.hpp"

namespace etalage::profile {

void put_profile_options(StateWriter& writer, const ProfileOptions& options);
[[nodiscard]] ProfileOptions get_profile_options(const StateReader& reader);

}  // namespace etalage::profile
