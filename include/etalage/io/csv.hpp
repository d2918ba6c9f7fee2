// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "etalage/core/arrow.hpp"
#include "etalage/core/catalog.hpp"
#include "etalage/core/event_columns.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// How the text of a file becomes fields.
struct ETALAGE_EXPORT CsvOptions {
  char separator = ',';  ///< one ASCII character, not a quote or a line end
  bool header = true;    ///< the first record names the columns; without one a column's name is its number, from "0"
  /// Keys whose every field is a plain 64-bit integer ("17", not "017" or "+17") become integers; false keeps text.
  bool integer_keys = true;
  void validate() const;  ///< throws std::invalid_argument: field, value, rule
};

/// Reads events from a file of separated values, plain or gzip (told by its first bytes).
///
/// Fields    RFC 4180: "quoted" ones may hold separators, line ends and doubled quotes; CRLF or LF; UTF-8, a byte order
///           mark is skipped; an empty field is a missing one; blank lines are no rows
/// Times     ISO-8601 text, or numbers with time_unit
/// Bad rows  another number of fields than the first record, text after a closing quote, a quote that is never closed,
///           fields beyond 1 MiB, bytes that are not UTF-8, and everything that read_arrow refuses; each with its line.
///           After a broken record reading goes on at the next line.
/// Cost      the file once in memory, 8 bytes a chosen field, parsed in parallel; the same log whatever num_threads is
/// Errors    std::filesystem::filesystem_error (cannot be read), FormatError (damaged gzip, not a text file),
///           std::invalid_argument (columns, bad rows under OnError::kRaise)
[[nodiscard]] ETALAGE_EXPORT EventLog read_events_csv(const std::filesystem::path& path, const EventColumns& columns = {},
                                                      const CsvOptions& options = {});

/// Reads products from a file of separated values, by the rules of read_events_csv for files and those of read_catalog for
/// columns: read_catalog_csv("products.csv", {.item = "sku", .name = "title", .price = "price"}).
/// Errors    as above; the first bad row is std::invalid_argument with its line, for a catalogue is read whole or not at all
[[nodiscard]] ETALAGE_EXPORT Catalog read_catalog_csv(const std::filesystem::path& path, const CatalogColumns& columns = {},
                                                      const CsvOptions& options = {});

}  // namespace etalage
