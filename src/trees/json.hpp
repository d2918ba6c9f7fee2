// SPDX-License-Identifier: Apache-2.0
#pragma once

// A library in somebody's process does not end it; what is asserted is checked before.
#define JSON_ASSERT(x) static_cast<void>(0)
#include <nlohmann/json.hpp>
