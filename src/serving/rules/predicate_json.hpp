// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "etalage/serving/predicate.hpp"
#include "serving/rules/json.hpp"

namespace etalage::serving {

/// A predicate from its JSON; std::invalid_argument begins with the path of the mistake.
Predicate read_predicate(const JsonValue& value);

}  // namespace etalage::serving
