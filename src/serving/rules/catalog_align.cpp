// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "etalage/serving/catalog_index.hpp"
#include "serving/rules/catalog_rows.hpp"

namespace etalage {
namespace {

template <class T>
std::vector<T> picked(const std::vector<T>& column, const std::vector<std::int32_t>& rows) {
  std::vector<T> out;
  if (column.empty()) return out;
  out.reserve(rows.size());
  for (const std::int32_t r : rows) out.push_back(r < 0 ? T{} : column[static_cast<std::size_t>(r)]);
  return out;
}

Array<float> picked(const Array<float>& column, const std::vector<std::int32_t>& rows) {
  if (column.empty()) return {};
  Array<float> out(rows.size());
  const std::span<float> values = out.mutable_view();
  for (std::size_t i = 0; i < rows.size(); ++i)
    values[i] = rows[i] < 0 ? std::numeric_limits<float>::quiet_NaN() : column[static_cast<std::size_t>(rows[i])];
  return out;
}

}  // namespace

Catalog align_catalog(const Catalog& catalog, const IdMap& item_ids) {
  const IdMap& own = *catalog.item_ids();
  if (own.kind() != item_ids.kind() && !own.empty() && !item_ids.empty())
    throw std::invalid_argument(std::string("item_ids has ") + (item_ids.kind() == IdMap::Kind::kString ? "string" : "integer") +
                                " keys, must have keys of the catalogue's kind");
  std::vector<std::int32_t> rows = catalog.rows_of(item_ids);
  std::vector<std::uint8_t> taken(static_cast<std::size_t>(own.size()), 0);
  for (const std::int32_t r : rows)
    if (r >= 0) taken[static_cast<std::size_t>(r)] = 1;
  std::vector<std::int64_t> integers;
  std::vector<std::string_view> strings;
  const bool text = (item_ids.empty() ? own : item_ids).kind() == IdMap::Kind::kString;
  for (std::int32_t r = 0; r < own.size(); ++r) {
    if (taken[static_cast<std::size_t>(r)] != 0) continue;
    rows.push_back(r);
    if (text) strings.push_back(own.string_at(r));
    else integers.push_back(own.integer_at(r));
  }
  if (item_ids.empty()) return serving::catalog_rows(catalog, rows, catalog.item_ids());
  return serving::catalog_rows(catalog, rows, std::make_shared<const IdMap>(text ? item_ids.extended(strings) : item_ids.extended(integers)));
}

Catalog serving::catalog_rows(const Catalog& catalog, const std::vector<std::int32_t>& rows, SharedIdMap item_ids) {
  const Catalog::Columns& c = catalog.columns();
  Catalog::Columns out;
  out.item_ids = std::move(item_ids);
  out.names = picked(c.names, rows);
  out.categories = picked(c.categories, rows);
  out.brands = picked(c.brands, rows);
  out.tags = picked(c.tags, rows);
  out.texts = picked(c.texts, rows);
  out.prices = picked(c.prices, rows);
  out.stock = picked(c.stock, rows);
  out.dim = c.dim;
  const auto dim = static_cast<std::size_t>(c.dim);
  out.vectors = Array<float>(rows.size() * dim);
  const std::span<float> values = out.vectors.mutable_view();
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (std::size_t f = 0; f < dim && rows[i] >= 0; ++f) values[i * dim + f] = c.vectors[static_cast<std::size_t>(rows[i]) * dim + f];
  return Catalog(std::move(out));
}

std::map<std::string, std::vector<std::string>> category_paths(const std::map<std::string, std::string>& parents) {
  std::map<std::string, std::vector<std::string>> out;
  for (const auto& entry : parents) {
    std::vector<std::string> upwards;
    std::set<std::string> met;
    for (std::string at = entry.first; !at.empty();) {
      upwards.push_back(at);
      if (!met.insert(at).second) {
        std::string cycle;
        for (std::size_t i = upwards.size() - 1;; --i) {
          cycle = upwards[i] + (cycle.empty() ? "" : " > " + cycle);
          if (i + 1 != upwards.size() && upwards[i] == at) break;
        }
        throw std::invalid_argument("parents has the cycle " + cycle + ", must lead every category to a root");
      }
      const auto parent = parents.find(at);
      at = parent == parents.end() ? std::string{} : parent->second;
    }
    out.emplace(entry.first, std::vector<std::string>(upwards.rbegin(), upwards.rend()));
  }
  return out;
}

}  // namespace etalage
