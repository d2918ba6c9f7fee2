// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "etalage/core/recipe.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// What is not at its default, as a JSON object by name of the field: {"duplicates": "max", "half_life_days": 90}. What
/// etalage.Recipe.to_json() writes and Recommender::recipe() gives. std::invalid_argument for a recipe that is none, and for
/// names of event types that are not UTF-8.
[[nodiscard]] ETALAGE_EXPORT std::string to_json(const Recipe& recipe);
/// std::invalid_argument names line and column, or the field, the value and the rule.
[[nodiscard]] ETALAGE_EXPORT Recipe recipe_from_json(std::string_view text);

}  // namespace etalage
