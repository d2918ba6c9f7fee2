// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "etalage/core/catalog.hpp"

namespace etalage::serving {

/// The catalogue's products of these rows, in their order, under item_ids [rows.size()]. Row -1 is a product of which
/// nothing is known: NaN price and stock, no brand, no category, a zero vector.
[[nodiscard]] Catalog catalog_rows(const Catalog& catalog, const std::vector<std::int32_t>& rows, SharedIdMap item_ids);

}  // namespace etalage::serving
