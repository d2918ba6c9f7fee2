// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/column.hpp"
#include "etalage/core/event_columns.hpp"

namespace etalage::detail {

/// What one piece of a file became.
struct CsvChunk {
  std::size_t begin = 0;       ///< place of its first record,
  std::size_t end = 0;         ///< and of the record behind its last one
  std::int64_t lines = 0;      ///< line ends between them
  std::int64_t first_line = 0;  ///< 1-based
  std::int64_t rows = 0;
  std::int64_t refused = 0;
  std::vector<std::vector<FieldRef>> columns;       ///< chosen columns, [rows] each
  std::string unescaped;                            ///< fields that had doubled quotes
  const void* buffers[2] = {nullptr, nullptr};      ///< the text and `unescaped`
  std::vector<ReadReport::Refusal> refusals;        ///< lines count from the chunk's start until all is read,
  std::vector<std::int64_t> refused_lines;          ///< as these do: of all that were refused
  std::vector<std::uint32_t> row_lines;             ///< from the first row that is not on line `row`, else empty
  std::int64_t regular_rows = 0;                    ///< rows before row_lines

  [[nodiscard]] std::int64_t line_of(std::int64_t row) const {
    return first_line + (row < regular_rows || row_lines.empty() ? row : row_lines[static_cast<std::size_t>(row - regular_rows)]);
  }
};

struct CsvLayout {
  char separator = ',';
  std::size_t num_fields = 0;             ///< every record must have as many
  std::vector<std::size_t> chosen;        ///< field of each chosen column
  std::vector<std::string> chosen_names;  ///< for messages
};

/// Fields of the first record that is not blank, from `at`, which moves behind it; `line` counts the line ends passed.
[[nodiscard]] std::vector<std::string> parse_first_record(std::string_view text, char separator, std::size_t& at, std::int64_t& line);

/// All records from `begin` on, in chunks of about chunk_bytes. Every chunk is first read from the line end nearest to
/// its border; where that turns out to lie within a quoted field, it is read again from where its predecessor ended.
/// So the result is that of reading front to back, for any number of threads and any chunk_bytes.
[[nodiscard]] std::vector<CsvChunk> parse_records(std::string_view text, std::size_t begin, std::int64_t first_line,
                                                  const CsvLayout& layout, std::size_t chunk_bytes, int num_threads);

}  // namespace etalage::detail
