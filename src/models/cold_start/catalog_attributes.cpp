// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/catalog_attributes.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"

namespace etalage {
namespace {

enum Kind : std::size_t { kCategory, kBrand, kTag, kWord, kPrice, kKinds };
constexpr std::array<std::string_view, kKinds> kPrefixes{"category ", "brand ", "tag ", "word ", "price "};

struct Attribute {
  Kind kind;
  std::string name;  // with its prefix
  double value;
};

bool in_word(char c) {
  const auto b = static_cast<unsigned char>(c);
  return b >= 128 || (b >= '0' && b <= '9') || (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z');
}

void add_words(std::string_view text, std::vector<Attribute>& out) {
  for (std::size_t i = 0; i < text.size();) {
    if (!in_word(text[i])) {
      ++i;
      continue;
    }
    std::string word(kPrefixes[kWord]);
    for (; i < text.size() && in_word(text[i]); ++i) word.push_back(text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i]);
    out.push_back({kWord, std::move(word), 1});
  }
}

std::string named(Kind kind, std::string_view name) { return std::string(kPrefixes[kind]).append(name); }

/// All attributes of a product, each once.
std::vector<Attribute> attributes_of(const Catalog& catalog, std::int32_t row, const CatalogAttributesOptions& o) {
  std::vector<Attribute> out;
  if (o.categories > 0) {
    std::string path;
    for (const std::string& name : catalog.category(row)) {
      path += path.empty() ? name : " > " + name;
      out.push_back({kCategory, named(kCategory, path), 1});
    }
  }
  if (o.brand > 0 && !catalog.brand(row).empty()) out.push_back({kBrand, named(kBrand, catalog.brand(row)), 1});
  if (o.tags > 0)
    for (const std::string& tag : catalog.tags(row)) out.push_back({kTag, named(kTag, tag), 1});
  if (o.text > 0) {
    if (!catalog.columns().names.empty()) add_words(catalog.columns().names[static_cast<std::size_t>(row)], out);
    add_words(catalog.text(row), out);
  }
  if (const float price = catalog.price(row); o.price > 0 && price > 0) {
    const double step = 2 * std::log2(static_cast<double>(price));
    const double low = std::floor(step);
    out.push_back({kPrice, named(kPrice, std::to_string(static_cast<int>(low))), 1 - (step - low)});
    out.push_back({kPrice, named(kPrice, std::to_string(static_cast<int>(low) + 1)), step - low});
  }
  std::sort(out.begin(), out.end(), [](const Attribute& a, const Attribute& b) { return a.name < b.name; });
  out.erase(std::unique(out.begin(), out.end(), [](const Attribute& a, const Attribute& b) { return a.name == b.name; }), out.end());
  return out;
}

Kind kind_of(std::string_view name) {
  for (std::size_t k = 0; k < kKinds; ++k)
    if (name.starts_with(kPrefixes[k])) return static_cast<Kind>(k);
  return kKinds;
}

}  // namespace

void CatalogAttributesOptions::validate() const {
  require_options(*this);
}

CatalogAttributes::CatalogAttributes(const Catalog& catalog, CatalogAttributesOptions options) : options_(options) {
  options_.validate();
  std::map<std::string, std::int32_t> counts;
  for (std::int32_t i = 0; i < catalog.size(); ++i)
    for (const Attribute& a : attributes_of(catalog, i, options_)) ++counts[a.name];
  std::int32_t least_words = options_.min_count;
  std::vector<std::int32_t> word_counts;
  for (const auto& [name, count] : counts)
    if (kind_of(name) == kWord) word_counts.push_back(count);
  if (word_counts.size() > static_cast<std::size_t>(options_.max_words)) {
    std::nth_element(word_counts.begin(), word_counts.begin() + options_.max_words, word_counts.end(), std::greater<>());
    least_words = std::max(least_words, word_counts[static_cast<std::size_t>(options_.max_words)] + 1);
  }
  const auto n = static_cast<double>(catalog.size());
  for (const auto& [name, count] : counts) {
    const Kind kind = kind_of(name);
    if (count < (kind == kWord ? least_words : kind == kCategory || kind == kPrice ? 1 : options_.min_count)) continue;
    columns_of_.emplace(name, static_cast<std::int32_t>(weights_.size()));
    weights_.push_back(std::log1p(n / count));
  }
  dim_ = options_.vectors > 0 ? catalog.columns().dim : 0;
}

CsrMatrix CatalogAttributes::rows(const Catalog& catalog) const {
  if (dim_ != 0 && catalog.columns().dim != dim_)
    throw std::invalid_argument("vectors of the catalogue have length " + std::to_string(catalog.columns().dim) + ", must have the " + std::to_string(dim_) + " of the fitted one");
  const std::array<double, kKinds> kind_weights{options_.categories, options_.brand, options_.tags, options_.text, options_.price};
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  struct Entry {
    std::int32_t column;
    Kind kind;
    double value;
  };
  std::vector<Entry> row;
  for (std::int32_t i = 0; i < catalog.size(); ++i) {
    row.clear();
    std::array<double, kKinds> squares{};
    for (const Attribute& a : attributes_of(catalog, i, options_)) {
      const auto found = columns_of_.find(a.name);
      if (found == columns_of_.end()) continue;
      const double value = a.value * weights_[static_cast<std::size_t>(found->second)];
      squares[a.kind] += value * value;
      row.push_back({found->second, a.kind, value});
    }
    std::sort(row.begin(), row.end(), [](const Entry& a, const Entry& b) { return a.column < b.column; });
    for (const Entry& e : row) {
      if (e.value == 0) continue;
      columns.push_back(e.column);
      values.push_back(static_cast<float>(kind_weights[e.kind] * e.value / std::sqrt(squares[e.kind])));
    }
    if (dim_ != 0) {
      const std::span<const float> v = catalog.vector(i);
      double length = 0;
      for (const float x : v) length += static_cast<double>(x) * static_cast<double>(x);
      for (std::size_t k = 0; k < v.size() && length > 0; ++k) {
        if (v[k] == 0) continue;
        columns.push_back(static_cast<std::int32_t>(weights_.size() + k));
        values.push_back(static_cast<float>(options_.vectors * static_cast<double>(v[k]) / std::sqrt(length)));
      }
    }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  CsrMatrix out;
  out.rows = catalog.size();
  out.cols = this->columns();
  out.offsets = Array<std::int64_t>(offsets);
  out.columns = Array<std::int32_t>(columns);
  out.values = Array<float>(values);
  return out;
}

std::vector<std::string> CatalogAttributes::names() const {
  std::vector<std::string> out;
  for (const auto& entry : columns_of_) out.push_back(entry.first);  // columns are numbered in the map's order
  return out;
}

void CatalogAttributes::save_state(StateWriter& writer) const {
  put_options(writer, options_);
  writer.put_int("dim", dim_);
  writer.put_strings("names", names());
  writer.put_array("weights", Array<double>(weights_));
}

CatalogAttributes CatalogAttributes::from_state(const StateReader& reader) {
  CatalogAttributes out;
  out.options_ = get_options<CatalogAttributesOptions>(reader);
  out.dim_ = static_cast<std::int32_t>(reader.get_int("dim", 0, 1 << 24));
  const std::vector<std::string> names = reader.get_strings("names");
  const Array<double> weights = reader.get_array<double>("weights", names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0 && names[i] <= names[i - 1]) reader.fail("names", "found names that do not rise");
    // ln(1 + products / those that have it): from ln 2 up. Squares of much smaller or larger ones would leave the numbers.
    if (!(weights[i] >= 0.5 && weights[i] <= 100)) reader.fail("weights", "found a weight outside [0.5, 100]");
    out.columns_of_.emplace_hint(out.columns_of_.end(), names[i], static_cast<std::int32_t>(i));
  }
  out.weights_.assign(weights.begin(), weights.end());
  return out;
}

}  // namespace etalage
