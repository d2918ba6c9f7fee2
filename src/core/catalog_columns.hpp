// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/column.hpp"
#include "etalage/core/arrow.hpp"

namespace etalage::detail {

/// Where a row stands, for messages: "row 3", "line 5".
using PlaceOfRow = std::function<std::string(std::int64_t row)>;

/// The columns that make up a catalogue, keys first, in the order in which catalog_of() takes them.
[[nodiscard]] std::vector<std::string> catalog_names(const CatalogColumns& options);

/// The one way from columns to a catalogue.
[[nodiscard]] Catalog::Columns catalog_of(const std::vector<Column>& columns, const CatalogColumns& options, const PlaceOfRow& place);

}  // namespace etalage::detail
