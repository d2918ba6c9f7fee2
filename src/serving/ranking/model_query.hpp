// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "etalage/extend/candidate_source.hpp"
#include "etalage/models/recommender.hpp"
#include "serving/ranking/source_scratch.hpp"

namespace etalage::serving {

/// What a model is asked for a request: the user where it knows them, and of history and session the items that it has.
[[nodiscard]] Query model_query(const Recommender& model, const SourceQuery& query, SourceScratch& scratch);

}  // namespace etalage::serving
