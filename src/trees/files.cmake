# SPDX-License-Identifier: Apache-2.0
target_sources(etalage PRIVATE
  src/trees/catboost_json.cpp
  src/trees/lightgbm_json.cpp
  src/trees/lightgbm_text.cpp
  src/trees/mask_scorer.cpp
  src/trees/tree_builder.cpp
  src/trees/tree_ensemble.cpp
  src/trees/tree_model.cpp
  src/trees/xgboost_json.cpp)
