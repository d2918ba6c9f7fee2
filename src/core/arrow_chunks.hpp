// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/arrow_layout.hpp"
#include "core/column.hpp"

struct ArrowArray;

namespace etalage::detail {

/// The dictionary of the batch before: batches that share one share our view of it, so that its words are looked up once.
struct LastDictionary {
  std::pair<const void*, const void*> buffers{};
  std::shared_ptr<const ColumnChunk> words;
};

/// An array as a chunk: borrowed where its layout is plain, else converted into memory of the chunk's own. Runs become
/// a dictionary, UUIDs text, decimals int64 where all are whole and fit, else double.
/// std::invalid_argument for an array that its schema does not describe.
[[nodiscard]] ColumnChunk arrow_chunk(const ArrowArray& array, const ArrowLayout& layout, const std::string& column, LastDictionary& last);

}  // namespace etalage::detail
