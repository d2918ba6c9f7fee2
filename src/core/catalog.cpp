// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/catalog.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>

#include "detail/check.hpp"

namespace etalage {
namespace {

void check_length(std::size_t size, std::size_t n, const char* name) {
  if (size != 0 && size != n)
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) + " entries, must have one for each of the " +
                                std::to_string(n) + " products or none");
}

void check_amounts(const Array<float>& a, std::size_t n, const char* name) {
  check_length(a.size(), n, name);
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] < 0 || std::isinf(a[i]))
      throw std::invalid_argument(std::string(name) + " holds " + std::to_string(a[i]) + " at row " + std::to_string(i) +
                                  ", must be finite and >= 0, or NaN where unknown");
}

}  // namespace

Catalog::Catalog() { columns_.item_ids = std::make_shared<const IdMap>(); }

Catalog::Catalog(Columns columns) : columns_(std::move(columns)) {
  if (!columns_.item_ids) throw std::invalid_argument("item_ids is null, must hold the products' keys");
  const auto n = static_cast<std::size_t>(columns_.item_ids->size());
  check_length(columns_.names.size(), n, "names");
  check_length(columns_.categories.size(), n, "categories");
  check_length(columns_.brands.size(), n, "brands");
  check_length(columns_.tags.size(), n, "tags");
  check_length(columns_.texts.size(), n, "texts");
  check_amounts(columns_.prices, n, "prices");
  check_amounts(columns_.stock, n, "stock");
  if (columns_.dim < 0 || columns_.vectors.size() != n * static_cast<std::size_t>(columns_.dim))
    throw std::invalid_argument("vectors has " + std::to_string(columns_.vectors.size()) + " numbers, must have " + std::to_string(n) + " x " +
                                std::to_string(columns_.dim));
  for (std::size_t j = 0; j < columns_.vectors.size(); ++j)
    if (!std::isfinite(columns_.vectors[j]))
      throw std::invalid_argument("vectors holds " + std::to_string(columns_.vectors[j]) + " at row " +
                                  std::to_string(j / static_cast<std::size_t>(columns_.dim)) + ", must be finite");
}

std::size_t Catalog::checked(std::int32_t index) const {
  detail::require_index(index, size(), "index");
  return static_cast<std::size_t>(index);
}

std::string Catalog::name(std::int32_t index) const {
  const std::size_t i = checked(index);
  return columns_.names.empty() || columns_.names[i].empty() ? columns_.item_ids->text_at(index) : columns_.names[i];
}

std::span<const std::string> Catalog::category(std::int32_t index) const {
  const std::size_t i = checked(index);
  return columns_.categories.empty() ? std::span<const std::string>{} : columns_.categories[i];
}

std::string_view Catalog::brand(std::int32_t index) const {
  const std::size_t i = checked(index);
  return columns_.brands.empty() ? std::string_view{} : columns_.brands[i];
}

std::span<const std::string> Catalog::tags(std::int32_t index) const {
  const std::size_t i = checked(index);
  return columns_.tags.empty() ? std::span<const std::string>{} : columns_.tags[i];
}

std::string_view Catalog::text(std::int32_t index) const {
  const std::size_t i = checked(index);
  return columns_.texts.empty() ? std::string_view{} : columns_.texts[i];
}

float Catalog::price(std::int32_t index) const {
  const std::size_t i = checked(index);
  return columns_.prices.empty() ? std::numeric_limits<float>::quiet_NaN() : columns_.prices[i];
}

float Catalog::stock(std::int32_t index) const {
  const std::size_t i = checked(index);
  return columns_.stock.empty() ? std::numeric_limits<float>::quiet_NaN() : columns_.stock[i];
}

std::span<const float> Catalog::vector(std::int32_t index) const {
  const std::size_t i = checked(index);
  const auto dim = static_cast<std::size_t>(columns_.dim);
  return columns_.vectors.view().subspan(i * dim, dim);
}

std::vector<std::int32_t> Catalog::rows_of(const IdMap& ids) const {
  if (!ids.empty() && size() != 0 && ids.kind() != columns_.item_ids->kind()) {
    const bool strings = ids.kind() == IdMap::Kind::kString;
    throw std::invalid_argument(std::string("the catalogue's keys are ") + (strings ? "integers" : "strings") + " ('" + columns_.item_ids->text_at(0) +
                                "'), those that are looked up " + (strings ? "strings" : "integers") + " ('" + ids.text_at(0) +
                                "'), must be of one kind");
  }
  std::vector<std::int32_t> out(static_cast<std::size_t>(ids.size()));
  for (std::int32_t i = 0; i < ids.size(); ++i)
    out[static_cast<std::size_t>(i)] = ids.kind() == IdMap::Kind::kInteger ? columns_.item_ids->find(ids.integer_at(i))
                                                                            : columns_.item_ids->find(ids.string_at(i));
  return out;
}

}  // namespace etalage
