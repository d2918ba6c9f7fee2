// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/arrow_reader.hpp"
#include "core/catalog_columns.hpp"
#include "core/convert.hpp"
#include "core/intern.hpp"
#include "etalage/core/arrow.hpp"

namespace etalage {
namespace {

using detail::Column;

using detail::PlaceOfRow;

[[noreturn]] void refuse(const PlaceOfRow& place, std::int64_t row, const std::string& what) { throw std::invalid_argument(place(row) + ": " + what); }

std::string_view without_blanks(std::string_view s) noexcept {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = s.find_first_not_of(blanks);
  return first == std::string_view::npos ? std::string_view() : s.substr(first, s.find_last_not_of(blanks) - first + 1);
}

SharedIdMap keys_of(const Column& column, const PlaceOfRow& place) {
  detail::Interned keys = detail::intern_keys(column, 0);
  const auto n = static_cast<std::int64_t>(keys.codes.size());
  std::vector<std::int64_t> first;
  for (std::int64_t row = 0; row < n; ++row) {
    const std::int32_t code = keys.codes[static_cast<std::size_t>(row)];
    if (code < 0) refuse(place, row, detail::why_no_key(column, row));
    // Keys are numbered in order of first appearance, so each row of a catalogue brings the next number.
    if (static_cast<std::size_t>(code) < first.size())
      refuse(place, row, column.name + " is '" + detail::cell_text(column, row).value_or("") + "', which " +
                             place(first[static_cast<std::size_t>(code)]) + " has, must be unique");
    first.push_back(row);
  }
  keys.finish();
  return keys.ids;
}

std::vector<std::string> words(const Column& column) {
  std::vector<std::string> out;
  for (std::int64_t row = 0; row < column.size(); ++row) out.push_back(detail::cell_string(column, row).value_or(""));
  return out;
}

/// Lists of texts: a column of lists cell by cell, any other cut at the separator.
std::vector<std::vector<std::string>> lists(const Column& column, std::string_view separator) {
  std::vector<std::vector<std::string>> out;
  for (std::int64_t row = 0; row < column.size(); ++row) {
    std::vector<std::string>& list = out.emplace_back();
    const auto add = [&list](std::string_view piece) {
      piece = without_blanks(piece);
      if (!piece.empty()) list.emplace_back(piece);
    };
    for (const std::string& text : detail::cell_strings(column, row)) {
      std::string_view rest = text;
      if (column.has_strings())
        for (std::size_t at = 0; (at = rest.find(separator)) != std::string_view::npos; rest.remove_prefix(at + separator.size()))
          add(rest.substr(0, at));
      add(rest);
    }
  }
  return out;
}

Array<float> amounts(const Column& column, const PlaceOfRow& place) {
  std::vector<std::uint8_t> bad(static_cast<std::size_t>(column.size()), 0);
  Array<float> out = detail::to_floats(column, bad, 1, 0, true);
  std::vector<float> unknown;
  for (std::size_t i = 0; i < bad.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    // NaN stands for an unknown amount, as a missing cell does; of text, so does an empty one.
    const auto text = bad[i] != 0 ? detail::cell_string(column, row) : std::optional<std::string>();
    if (bad[i] != 0 && text && !without_blanks(*text).empty()) refuse(place, row, detail::why_no_number(column, row));
    if (bad[i] == 0 && out[i] < 0) refuse(place, row, column.name + " is " + detail::cell_text(column, row).value_or("") + ", must be >= 0");
    if (bad[i] == 0) continue;
    if (unknown.empty()) unknown.assign(out.begin(), out.end());
    unknown[i] = std::numeric_limits<float>::quiet_NaN();
  }
  return unknown.empty() ? out : Array<float>(unknown);
}

}  // namespace

namespace detail {

std::vector<std::string> catalog_names(const CatalogColumns& options) {
  std::vector<std::string> names{options.item};
  for (const auto* name : {&options.name, &options.category, &options.brand, &options.price, &options.stock, &options.tags, &options.text})
    if (*name) names.push_back(**name);
  return names;
}

Catalog::Columns catalog_of(const std::vector<Column>& columns, const CatalogColumns& options, const PlaceOfRow& place) {
  for (const auto& [separator, argument] : {std::pair(&options.category_separator, "category_separator"), std::pair(&options.tag_separator, "tag_separator")})
    if (separator->empty()) throw std::invalid_argument(std::string(argument) + " is empty, must be at least one character");
  std::size_t next = 1;
  Catalog::Columns out;
  out.item_ids = keys_of(columns[0], place);
  if (options.name) out.names = words(columns[next++]);
  if (options.category) out.categories = lists(columns[next++], options.category_separator);
  if (options.brand) out.brands = words(columns[next++]);
  if (options.price) out.prices = amounts(columns[next++], place);
  if (options.stock) out.stock = amounts(columns[next++], place);
  if (options.tags) out.tags = lists(columns[next++], options.tag_separator);
  if (options.text) out.texts = words(columns[next++]);
  return out;
}

}  // namespace detail

Catalog::Columns read_catalog(ArrowArrayStream* stream, const CatalogColumns& options, std::span<const UnreadableCell> unreadable) {
  const std::vector<Column> columns = detail::read_arrow_columns(stream, detail::catalog_names(options), true);
  const auto place = [](std::int64_t row) { return "row " + std::to_string(row); };
  if (!unreadable.empty()) refuse(place, unreadable.front().row, unreadable.front().column + " " + unreadable.front().reason);
  return detail::catalog_of(columns, options, place);
}

}  // namespace etalage
