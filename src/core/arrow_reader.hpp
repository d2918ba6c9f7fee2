// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/column.hpp"

struct ArrowArrayStream;

namespace etalage::detail {

/// Reads a stream to its end and returns the named columns, borrowing the producer's buffers
/// where they need no conversion. With `lists` they may hold lists. Releases the stream.
[[nodiscard]] std::vector<Column> read_arrow_columns(ArrowArrayStream* stream, const std::vector<std::string>& names, bool lists);

}  // namespace etalage::detail
