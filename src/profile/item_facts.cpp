// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/item_facts.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <unordered_map>
#include <utility>

#include "detail/check.hpp"

namespace etalage {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

}  // namespace

ItemFacts::ItemFacts(const Catalog& catalog, const IdMap* item_ids) { build(catalog, item_ids); }

ItemFacts ItemFacts::updated(const Catalog& catalog, const IdMap* item_ids) const {
  ItemFacts out;
  out.parents_ = parents_;
  out.category_names_ = category_names_;
  out.brand_names_ = brand_names_;
  out.build(catalog, item_ids);
  return out;
}

void ItemFacts::build(const Catalog& catalog, const IdMap* item_ids) {
  std::map<std::pair<std::int32_t, std::string>, std::int32_t> nodes;
  for (std::size_t c = 0; c < parents_.size(); ++c) nodes.emplace(std::pair(parents_[c], category_names_[c]), static_cast<std::int32_t>(c));
  std::unordered_map<std::string, std::int32_t> brand_numbers;
  for (std::size_t b = 0; b < brand_names_.size(); ++b) brand_numbers.emplace(brand_names_[b], static_cast<std::int32_t>(b));

  std::vector<std::int32_t> rows;
  if (item_ids != nullptr) rows = catalog.rows_of(*item_ids);
  const std::size_t n = item_ids != nullptr ? rows.size() : static_cast<std::size_t>(catalog.size());
  categories_ = Array<std::int32_t>(n, uninitialized);
  brands_ = Array<std::int32_t>(n, uninitialized);
  prices_ = Array<float>(n, uninitialized);
  std::int32_t* category = categories_.mutable_data();
  std::int32_t* brand = brands_.mutable_data();
  float* price = prices_.mutable_data();
  for (std::size_t i = 0; i < n; ++i) {
    const std::int32_t row = item_ids != nullptr ? rows[i] : static_cast<std::int32_t>(i);
    category[i] = kNone;
    brand[i] = kNone;
    price[i] = kUnknown;
    if (row < 0) continue;
    price[i] = catalog.price(row);
    for (const std::string& name : catalog.category(row)) {
      const auto [found, inserted] = nodes.try_emplace({category[i], name}, num_categories());
      if (inserted) {
        parents_.push_back(category[i]);
        category_names_.push_back(name);
      }
      category[i] = found->second;
    }
    if (const std::string_view name = catalog.brand(row); !name.empty()) {
      const auto [found, inserted] = brand_numbers.try_emplace(std::string(name), num_brands());
      if (inserted) brand_names_.emplace_back(name);
      brand[i] = found->second;
    }
  }
  rank_prices();
}

void ItemFacts::rank_prices() {
  const std::size_t n = prices_.size();
  const std::size_t whole_shop = parents_.size();
  std::vector<std::vector<float>> priced(whole_shop + 1);
  for (std::size_t i = 0; i < n; ++i) {
    if (std::isnan(prices_[i])) continue;
    priced[whole_shop].push_back(prices_[i]);
    for (std::int32_t c = categories_[i]; c != kNone; c = parents_[at(c)]) priced[at(c)].push_back(prices_[i]);
  }
  for (std::vector<float>& list : priced) std::sort(list.begin(), list.end());
  price_levels_ = Array<float>(n, uninitialized);
  float* level = price_levels_.mutable_data();
  for (std::size_t i = 0; i < n; ++i) {
    level[i] = kUnknown;
    if (std::isnan(prices_[i])) continue;
    std::int32_t c = categories_[i];
    while (c != kNone && priced[at(c)].size() < static_cast<std::size_t>(kMinPriced)) c = parents_[at(c)];
    const std::vector<float>& peers = priced[c == kNone ? whole_shop : at(c)];
    const auto [low, high] = std::equal_range(peers.begin(), peers.end(), prices_[i]);
    const auto below = static_cast<double>(low - peers.begin());
    const auto ties = static_cast<double>(high - low);
    level[i] = static_cast<float>((below + 0.5 * ties) / static_cast<double>(peers.size()));
  }
}

float ItemFacts::price(std::int32_t item) const noexcept { return known(item) ? prices_[at(item)] : kUnknown; }
float ItemFacts::price_level(std::int32_t item) const noexcept { return known(item) ? price_levels_[at(item)] : kUnknown; }

std::int32_t ItemFacts::price_band(std::int32_t item) const noexcept {
  const float level = price_level(item);
  if (std::isnan(level)) return kNone;
  return std::min(kPriceBands - 1, static_cast<std::int32_t>(level * static_cast<float>(kPriceBands)));
}

std::int32_t ItemFacts::parent(std::int32_t category) const {
  detail::require_index(category, num_categories(), "category");
  return parents_[at(category)];
}

const std::string& ItemFacts::category_name(std::int32_t category) const {
  detail::require_index(category, num_categories(), "category");
  return category_names_[at(category)];
}

std::string ItemFacts::category_path(std::int32_t category) const {
  std::string out = category_name(category);
  for (std::int32_t c = parent(category); c != kNone; c = parents_[at(c)]) out = category_names_[at(c)] + " > " + out;
  return out;
}

const std::string& ItemFacts::brand_name(std::int32_t brand) const {
  detail::require_index(brand, num_brands(), "brand");
  return brand_names_[at(brand)];
}

void ItemFacts::save_state(StateWriter& writer) const {
  writer.put_array("categories", categories_);
  writer.put_array("brands", brands_);
  writer.put_array("prices", prices_);
  writer.put_array("price_levels", price_levels_);
  writer.put_array("parents", Array<std::int32_t>(parents_));
  writer.put_strings("category_names", category_names_);
  writer.put_strings("brand_names", brand_names_);
}

ItemFacts ItemFacts::from_state(const StateReader& reader) {
  ItemFacts out;
  out.categories_ = reader.get_array<std::int32_t>("categories");
  const std::size_t n = out.categories_.size();
  if (n > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) reader.fail("categories", "found too many items");
  out.brands_ = reader.get_array<std::int32_t>("brands", n);
  out.prices_ = reader.get_array<float>("prices", n);
  out.price_levels_ = reader.get_array<float>("price_levels", n);
  out.category_names_ = reader.get_strings("category_names");
  out.brand_names_ = reader.get_strings("brand_names");
  const Array<std::int32_t> parents = reader.get_array<std::int32_t>("parents", out.category_names_.size());
  out.parents_.assign(parents.begin(), parents.end());
  // Small beside the file's arrays, and loops over parents must end: checked whatever was asked for.
  for (std::size_t c = 0; c < parents.size(); ++c)
    if (parents[c] < kNone || parents[c] >= static_cast<std::int32_t>(c))
      reader.fail("parents", "found " + std::to_string(parents[c]) + " for category " + std::to_string(c) + ", expected -1 or an earlier one");
  if (!reader.verify()) return out;
  for (std::size_t i = 0; i < n; ++i) {
    if (out.categories_[i] < kNone || out.categories_[i] >= out.num_categories())
      reader.fail("categories", "found " + std::to_string(out.categories_[i]) + ", expected a category or -1");
    if (out.brands_[i] < kNone || out.brands_[i] >= out.num_brands())
      reader.fail("brands", "found " + std::to_string(out.brands_[i]) + ", expected a brand or -1");
    if (out.prices_[i] < 0 || std::isinf(out.prices_[i])) reader.fail("prices", "found a price below 0 or infinite");
    if (out.price_levels_[i] < 0 || out.price_levels_[i] > 1) reader.fail("price_levels", "found a level outside [0, 1]");
  }
  return out;
}

}  // namespace etalage
