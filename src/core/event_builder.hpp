// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/column.hpp"
#include "etalage/core/arrow.hpp"
#include "etalage/core/event_columns.hpp"
#include "etalage/core/event_log.hpp"

namespace etalage::detail {

/// Columns of equal length, and what the reader of a file refused before they were columns.
struct EventInput {
  /// Where given, columns come by their names when their turn is, and hold a name alone before.
  std::function<Column(const std::string&)> read;
  Column user;
  Column item;
  std::optional<Column> event;
  std::optional<Column> time;
  std::optional<Column> value;
  std::optional<Column> session;
  bool lines = false;                                  ///< places are lines of a file
  std::function<std::int64_t(std::int64_t)> place_of;  ///< line of a row; empty: the row itself
  std::int64_t refused = 0;                            ///< rows that never became rows of the columns,
  std::vector<ReadReport::Refusal> refusals;           ///< the first of them, in order,
  std::vector<std::int64_t> refused_places;            ///< and the places of all
  std::span<const UnreadableCell> unreadable;          ///< why some cells are missing
};

/// Interns, converts, refuses and reports: the one way from columns to an EventLog. A column goes as soon as it is converted,
/// unless a message will ask for its cells.
[[nodiscard]] EventLog build_event_log(EventInput input, const EventColumns& options);

}  // namespace etalage::detail
