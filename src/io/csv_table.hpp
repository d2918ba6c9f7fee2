// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/io/csv.hpp"
#include "io/csv_parser.hpp"

namespace etalage::detail {

/// A file of separated values as columns: choose() them by name, then parse(), then read column().
class CsvTable {
 public:
  CsvTable(const std::filesystem::path& path, const CsvOptions& options);

  [[nodiscard]] bool empty() const noexcept { return names_.empty(); }  ///< no record at all
  /// std::invalid_argument for a name that is not there or there twice. Returns the column's number among the chosen.
  std::size_t choose(const std::string& name);
  [[nodiscard]] std::size_t chosen() const noexcept { return layout_.chosen.size(); }

  void parse(int num_threads);
  [[nodiscard]] Column column(std::size_t chosen) const;  ///< text; shares the file's memory
  [[nodiscard]] std::int64_t line_of(std::int64_t row) const;
  [[nodiscard]] std::int64_t refused() const noexcept { return refused_; }
  [[nodiscard]] const std::vector<ReadReport::Refusal>& refusals() const noexcept { return refusals_; }  ///< the first of them
  [[nodiscard]] const std::vector<std::int64_t>& refused_lines() const noexcept { return refused_lines_; }  ///< of all of them

 private:
  struct Parsed {  // what columns borrow from
    Array<char> text;
    std::vector<CsvChunk> chunks;
  };
  std::string file_;
  bool header_;
  std::shared_ptr<Parsed> parsed_;
  std::vector<std::string> names_;
  CsvLayout layout_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  std::vector<std::int64_t> starts_{0};
  std::int64_t refused_ = 0;
  std::vector<ReadReport::Refusal> refusals_;
  std::vector<std::int64_t> refused_lines_;
};

}  // namespace etalage::detail
