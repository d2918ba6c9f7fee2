// SPDX-License-Identifier: Apache-2.0
#include "io/csv_table.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "etalage/error.hpp"
#include "io/csv_bytes.hpp"

namespace etalage::detail {
namespace {

// Large enough that a chunk's own cost does not count, small enough that threads end together.
constexpr std::size_t kChunkBytes = std::size_t{2} << 20;

std::size_t find_column(const std::vector<std::string>& names, const std::string& name, bool header, const std::string& file) {
  if (!header) {
    std::size_t index = 0;
    const auto r = std::from_chars(name.data(), name.data() + name.size(), index);
    if (name.empty() || r.ec != std::errc() || r.ptr != name.data() + name.size() || index >= names.size())
      throw std::invalid_argument("column '" + name + "' is not in " + file + ", which has no header: must be a number from 0 to " +
                                  std::to_string(names.empty() ? 0 : names.size() - 1));
    return index;
  }
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    std::string known;
    for (std::size_t i = 0; i < names.size() && i < 30; ++i) known += (i == 0 ? "'" : ", '") + names[i].substr(0, 60) + "'";
    throw std::invalid_argument("column '" + name + "' is not in " + file + ", must be one of " + (known.empty() ? "none" : known));
  }
  if (std::find(found + 1, names.end(), name) != names.end())
    throw std::invalid_argument("column '" + name + "' occurs twice in the header of " + file + ", must be unique");
  return static_cast<std::size_t>(found - names.begin());
}

}  // namespace

CsvTable::CsvTable(const std::filesystem::path& path, const CsvOptions& options)
    : file_(path.string()), header_(options.header), parsed_(std::make_shared<Parsed>()) {
  parsed_->text = read_text(path);
  const std::string_view text(parsed_->text.data(), parsed_->text.size());
  at_ = text.substr(0, 3) == "\xef\xbb\xbf" ? 3 : 0;
  std::size_t after = at_;
  std::int64_t line_after = line_;
  try {
    names_ = parse_first_record(text, options.separator, after, line_after);
  } catch (const FormatError& e) {
    throw FormatError(file_ + ": " + e.what());
  }
  if (options.header) {
    if (names_.empty()) throw FormatError(file_ + ": found no text, expected a header with the names of the columns");
    at_ = after;
    line_ = line_after;
  }
  layout_.separator = options.separator;
  layout_.num_fields = names_.size();
}

std::size_t CsvTable::choose(const std::string& name) {
  layout_.chosen.push_back(find_column(names_, name, header_, file_));
  layout_.chosen_names.push_back(name);
  return layout_.chosen.size() - 1;
}

void CsvTable::parse(int num_threads) {
  parsed_->chunks = parse_records({parsed_->text.data(), parsed_->text.size()}, at_, line_, layout_, kChunkBytes, num_threads);
  for (const CsvChunk& c : parsed_->chunks) {
    starts_.push_back(starts_.back() + c.rows);
    refused_ += c.refused;
    refused_lines_.insert(refused_lines_.end(), c.refused_lines.begin(), c.refused_lines.end());
    for (const auto& r : c.refusals)
      if (refusals_.size() < ReadReport::kMaxRefusals) refusals_.push_back(r);
  }
}

Column CsvTable::column(std::size_t chosen) const {
  Column out;
  out.name = layout_.chosen_names[chosen];
  out.type = ColumnType::kFieldRefs;
  out.owner = parsed_;
  for (const CsvChunk& chunk : parsed_->chunks) {
    ColumnChunk rows;
    rows.type = ColumnType::kFieldRefs;
    rows.size = chunk.rows;
    rows.data = chunk.columns[chosen].data();
    rows.buffers = chunk.buffers;
    out.push(std::move(rows));
  }
  return out;
}

std::int64_t CsvTable::line_of(std::int64_t row) const {
  const auto c = static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), row) - starts_.begin()) - 1;
  return parsed_->chunks[c].line_of(row - starts_[c]);
}

}  // namespace etalage::detail
