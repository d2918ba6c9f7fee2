// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/arrow.hpp"
#include "etalage/core/event_columns.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// A column of a frame, and what its cells are read as.
struct FrameColumnRequest {
  /// What is to be read of a column.
  enum class Kind : std::uint8_t { kKeys, kTimes, kNumbers };
  std::string name;  ///< the column's name in the frame
  Kind kind = Kind::kKeys;  ///< what it must hold
};

/// A column that was read; only the fields of its kind are filled.
struct FrameColumn {
  static constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();  ///< stands for a null among times
  Array<std::int32_t> codes;        ///< of keys, -1 missing (an empty string is)
  SharedIdMap ids;                  ///< in order of first appearance
  Array<std::int64_t> times_ms;     ///< kNoTime missing
  std::vector<double> numbers;      ///< NaN missing
};

/// Reads columns of any Arrow C stream of record batches in which cells may be missing, unlike those of events. Types as for
/// read_arrow; numbers keep double precision. Takes the stream. std::invalid_argument names row, column, value and rule for a
/// cell that is there and cannot be read; std::runtime_error when the stream fails.
[[nodiscard]] ETALAGE_EXPORT std::vector<FrameColumn> read_frame_columns(ArrowArrayStream* stream, std::span<const FrameColumnRequest> requests,
                                                                         const std::optional<TimeUnit>& time_unit = {},
                                                                         std::span<const UnreadableCell> unreadable = {}, int num_threads = 0);

}  // namespace etalage
