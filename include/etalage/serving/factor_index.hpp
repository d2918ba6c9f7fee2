// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "etalage/export.hpp"
#include "etalage/models/factor_model.hpp"
#include "etalage/retrieval/item_index.hpp"

namespace etalage {

/// An index over a model's item factors: ids are item indices, by inner product. Rows of an exact one lie by falling norm
/// (equal norms by index), so that a search ends where what is left is too short.
/// Errors     NotFittedError; std::invalid_argument (options)
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<ItemIndex> make_factor_index(const FactorModel& model, IndexKind kind = IndexKind::kHnsw,
                                                                          const ItemIndexOptions& options = {});
/// The same, set in the model: its recommendations come from the index and are scored from the rows themselves. The index
/// is part of the model's file, and forgotten when item rows change. Needs exclusive access.
ETALAGE_EXPORT void build_index(FactorModel& model, IndexKind kind = IndexKind::kHnsw, const ItemIndexOptions& options = {});

}  // namespace etalage
