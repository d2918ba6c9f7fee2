// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "etalage/export.hpp"
#include "etalage/trees/tree_ensemble.hpp"

namespace etalage {

/// The ensemble in the bytes of a model file that another library wrote. What it is, is told by its content:
///
/// LightGBM  text (Booster.save_model, model_to_string) and JSON (dump_model). Raw scores are those of
///           predict(raw_score=True), bit for bit; of a random forest too, whose raw scores are sums, not averages.
///           Categorical splits, missing_type None, Zero and NaN; refused: linear trees.
/// XGBoost   JSON and UBJSON (save_model) of gbtree and dart; raw scores are those of predict(output_margin=True). base_score
///           passes the link of the objective; rows and sums are float32, as there. Refused: gblinear, vector leaves, an
///           objective whose link is not known.
/// CatBoost  JSON (save_model(format="json")) of symmetric trees over numerical features and one-hot splits of categories that are whole
///           numbers (saved with pool=, which names them); raw scores are RawFormulaVal, with scale and bias. Refused: statistics of
///           categories (ctrs), text and embedding features, non-symmetric trees.
///
/// All trees count, also those after an early stop's best iteration: save the model cut where it shall end.
/// Errors    FormatError says what was found and expected, and names the objective or the kind of tree that is refused
[[nodiscard]] ETALAGE_EXPORT TreeEnsemble read_tree_model(std::span<const char> bytes);

}  // namespace etalage
