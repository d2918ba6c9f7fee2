// SPDX-License-Identifier: Apache-2.0
// The formats that read_tree_model() knows, one file each.
#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "etalage/trees/tree_ensemble.hpp"

namespace etalage::trees {

[[nodiscard]] TreeEnsemble read_lightgbm_text(std::string_view text);
[[nodiscard]] TreeEnsemble read_lightgbm_json(const nlohmann::json& model);
[[nodiscard]] TreeEnsemble read_xgboost(const nlohmann::json& model);
[[nodiscard]] TreeEnsemble read_catboost(const nlohmann::json& model);

/// FormatError unless LightGBM has an objective of this name (its arguments behind a blank); "" and custom ones pass.
void require_lightgbm_objective(std::string_view objective);

}  // namespace etalage::trees
