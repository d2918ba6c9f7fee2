// SPDX-License-Identifier: Apache-2.0
// What the bindings of profiles and of purchase intent share.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <vector>

#include "etalage/core/catalog.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/profile/profiles.hpp"
#include "etalage/profile/user_profile.hpp"
#include "option_helpers.hpp"

namespace etalage::python {

namespace py = pybind11;

[[nodiscard]] ProfileOptions profile_options(const py::dict& d);

/// Facts of a log's items by its keys, or by row where it has none; of nothing without a catalogue.
[[nodiscard]] std::shared_ptr<const ItemFacts> facts_for(const std::shared_ptr<Catalog>& catalog, const EventLog* log, const ItemFacts& before);

/// One shopper at one moment, as etalage.profile.UserProfile reads it.
[[nodiscard]] py::dict profile_fields(const UserProfile& user, const ItemFacts& facts, const ProfileOptions& options, std::int64_t now);
/// Arrays of what they may buy again.
[[nodiscard]] py::dict due_fields(const std::vector<BuyAgain>& list);

}  // namespace etalage::python
