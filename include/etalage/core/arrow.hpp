// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "etalage/core/catalog.hpp"
#include "etalage/core/event_columns.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/export.hpp"

struct ArrowArrayStream;  // of the Arrow C stream interface

namespace etalage {

/// A cell that the producer of a stream could not put into it: it is missing there, and this says why.
struct UnreadableCell {
  std::string column;  ///< the column that it concerns, by its name in the frame; empty where none does
  std::int64_t row = 0;  ///< where it was found, from 0 on
  std::string reason;  ///< what the cell holds and the rule, to stand behind the column's name
};

/// Reads events from any Arrow C stream of record batches.
///
/// Keys      utf8, large_utf8, utf8_view, any integer, floats and decimals whose values are whole, UUIDs (as text); or
///           dictionaries or runs of them
/// Times     timestamp of any unit, with or without zone; date32, date64; ISO-8601 text; numbers with time_unit
/// Values    integers, floats, decimals, booleans, text; float32 without nulls in one chunk is not copied, nor are int64
///           milliseconds
/// Takes     the stream: it is released, whether or not reading succeeds
/// Repeats   the same log whatever num_threads is: keys are numbered in order of first appearance
/// Errors    std::invalid_argument (columns, types, bad rows under OnError::kRaise), std::runtime_error with the
///           producer's own message when the stream fails
/// unreadable gives words for missing cells, of which it need not name all.
[[nodiscard]] ETALAGE_EXPORT EventLog read_arrow(ArrowArrayStream* stream, const EventColumns& columns = {},
                                                 std::span<const UnreadableCell> unreadable = {});

/// Reads the same log one column at a time, so that no two columns of a large file are in memory together: open(name, stream)
/// is asked for each named column once, in the order user, item, event, time, value, session, and makes the zeroed *stream a
/// stream of batches that hold it. The stream is released before the next one is asked for, unless a row was refused for the
/// column, or the log keeps its memory. Columns of one log must have as many rows.
/// Errors as read_arrow(); what open throws passes through.
[[nodiscard]] ETALAGE_EXPORT EventLog read_arrow_by_column(const std::function<void(const std::string& name, ArrowArrayStream* stream)>& open,
                                                           const EventColumns& columns = {});

/// Which columns of a frame make up a catalogue. Only the keys must be there.
struct CatalogColumns {
  std::string item = "item";                 ///< keys as events have them, each once
  std::optional<std::string> name = {};      ///< text or numbers, as are brand and text
  std::optional<std::string> category = {};  ///< path from the root: a list of text or numbers, or text cut at category_separator
  std::optional<std::string> brand = {};  ///< of one text a row
  std::optional<std::string> price = {};     ///< numbers or text of numbers, >= 0; missing and NaN: unknown
  std::optional<std::string> stock = {};  ///< of numbers; 0 and below are out of stock
  std::optional<std::string> tags = {};      ///< as category, cut at tag_separator
  std::optional<std::string> text = {};  ///< of text that models of content read
  std::string category_separator = ">";      ///< not empty
  std::string tag_separator = "|";  ///< between the tags of a text
};

/// Reads products from any Arrow C stream of record batches, as read_arrow reads events. Missing cells of lists are left
/// out, blanks around their texts too. Takes the stream. The columns leave out vectors.
/// std::invalid_argument names row, column, value and rule; std::runtime_error when the stream fails.
[[nodiscard]] ETALAGE_EXPORT Catalog::Columns read_catalog(ArrowArrayStream* stream, const CatalogColumns& columns = {},
                                                           std::span<const UnreadableCell> unreadable = {});

}  // namespace etalage
