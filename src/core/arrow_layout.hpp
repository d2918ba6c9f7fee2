// SPDX-License-Identifier: Apache-2.0
// What an Arrow schema says about a column, as far as columns of events and catalogues need it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/column.hpp"

struct ArrowSchema;

namespace etalage::detail {

/// How a column's cells lie in its Arrow arrays.
struct ArrowLayout {
  enum class Kind : std::uint8_t {
    kPlain,       ///< as ColumnChunk reads them
    kDictionary,  ///< indices of type `type` into `inner`
    kRunEnds,     ///< runs of `inner`, whose ends are of type `type`
    kList,        ///< pieces of `inner`
    kDecimal,     ///< whole numbers of `width` bytes, times 10^-scale
    kUuid         ///< 16 bytes
  };
  enum class Pieces : std::uint8_t { kOffsets32, kOffsets64, kFixed, kViews32, kViews64 };

  Kind kind = Kind::kPlain;
  ColumnType type = ColumnType::kNull;
  TimeUnit unit = TimeUnit::kMillisecond;  ///< of timestamps
  Pieces pieces = Pieces::kOffsets32;      ///< of kList
  std::int32_t width = 0;                  ///< of kDecimal in bytes; of lists of fixed size in cells
  std::int32_t scale = 0;                  ///< of kDecimal
  std::shared_ptr<const ArrowLayout> inner;

  /// Layout of the cells themselves, below dictionaries and runs.
  [[nodiscard]] const ArrowLayout& values() const noexcept {
    return kind == Kind::kDictionary || kind == Kind::kRunEnds ? inner->values() : *this;
  }
};

/// With `lists` a column may hold lists, one level deep. std::invalid_argument for a type that no column of events or of
/// a catalogue can have, in words that say what to do.
[[nodiscard]] ArrowLayout arrow_layout(const ArrowSchema& schema, const std::string& column, bool lists);

}  // namespace etalage::detail
