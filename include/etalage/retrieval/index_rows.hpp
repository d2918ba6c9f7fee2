// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/export.hpp"

namespace etalage {

class ItemIndex;

/// What an index holds: for handing it on to another library, or for another kind of index over the same items.
struct ETALAGE_EXPORT IndexRows {
  Array<float> vectors;           ///< [ids.size() x dim], as they are scored: under IndexMetric::kCosine of length 1 (or 0)
  std::vector<std::int64_t> ids;  ///< in the order in which the rows lie, which of lists is not that of insertion
};

/// The items of one moment, none of them removed or replaced. The vectors are the index's own memory where nothing was
/// removed or replaced since it was compacted, else a copy.
/// Threads   safe beside everything; waits for a change that is going on
[[nodiscard]] ETALAGE_EXPORT IndexRows rows_of(const ItemIndex& index);

}  // namespace etalage
