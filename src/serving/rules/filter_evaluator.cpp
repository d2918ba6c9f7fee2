// SPDX-License-Identifier: Apache-2.0
#include "serving/rules/filter_evaluator.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>

#include "serving/rules/catalog_attributes.hpp"
#include "serving/rules/live_catalog.hpp"
#include "serving/rules/predicate_node.hpp"

namespace etalage {

using serving::LiveOffers;
using serving::RangeColumn;
using Kind = Predicate::Node::Kind;

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

template <class Holds>
ItemBitmap where(std::int32_t n, const Holds& holds) {
  ItemBitmap out(n);
  const std::span<std::uint64_t> words = out.words();
  for (std::size_t w = 0; w < words.size(); ++w) {
    const std::size_t begin = w * 64;
    const std::size_t end = std::min(begin + 64, static_cast<std::size_t>(n));
    std::uint64_t bits = 0;
    for (std::size_t i = begin; i < end; ++i) bits |= static_cast<std::uint64_t>(holds(i)) << (i - begin);
    words[w] = bits;
  }
  return out;
}

// Of "18".
std::optional<std::int32_t> age_of(std::string_view text) {
  std::int32_t age = -1;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), age);
  if (error != std::errc{} || at != text.data() + text.size() || age < 0) return {};
  return age;
}

std::int32_t age_of_tag(const std::string& tag) {
  const auto age = age_of(std::string_view(tag).substr(4));
  if (!age) throw std::invalid_argument("catalogue has the tag '" + tag + "', must be 'age:' and a whole number >= 0");
  return *age;
}

void put(ItemBitmap& set, std::int32_t row, bool in) {
  if (in) set.insert(row);
  else set.erase(row);
}

// Numbers of columns are float32: 19.99 there must meet 19.99 here.
float bound(double value) { return static_cast<float>(value); }

std::shared_ptr<const RangeColumn> column_of(const Array<float>& values, std::int32_t n) {
  return values.empty() || n < RangeColumn::kFewest ? nullptr : std::make_shared<const RangeColumn>(values.view());
}

}  // namespace

const std::shared_ptr<const RangeColumn>& CatalogIndex::Ranges::prices(const Catalog& catalog) {
  std::call_once(prices_made_, [&] { prices_ = column_of(catalog.columns().prices, catalog.size()); });
  return prices_;
}

const std::shared_ptr<const RangeColumn>& CatalogIndex::Ranges::stock(const Catalog& catalog) {
  std::call_once(stock_made_, [&] { stock_ = column_of(catalog.columns().stock, catalog.size()); });
  return stock_;
}

std::int32_t CatalogIndex::Evaluator::place_of(const Node& node) const {
  return index.live_->offers().find_place(node.place.empty() ? asked : std::string_view(node.place));
}

template <class Visit>
void CatalogIndex::Evaluator::each_place(const Node& node, const Visit& visit) const {
  if (!index.live_) return;
  const LiveOffers& offers = index.live_->offers();
  const std::int32_t own = place_of(node);
  if (own > 0) visit(offers.at(own));
  visit(offers.at(0));
}

void CatalogIndex::Evaluator::require_column(bool there, const char* column, const Predicate& predicate, LiveOffers::What said) const {
  if (there || index.size() == 0) return;
  // What is said of products is known without the catalogue.
  if (index.live_ && said != LiveOffers::What{} && index.live_->says(said)) return;
  throw std::invalid_argument("predicate is " + predicate.to_json() + ", but the catalogue has no " + column);
}

float CatalogIndex::Evaluator::price(const Node& node, std::int32_t row, std::int32_t item) const {
  std::optional<float> out;
  if (item >= 0)
    each_place(node, [&](const LiveOffers::Place& p) {
      if (out) return;
      if (const auto found = p.prices.find(item); found != p.prices.end()) out = found->second;
    });
  return out ? *out : index.catalog_->price(row);
}

bool CatalogIndex::Evaluator::in_stock(const Node& node, std::int32_t row, std::int32_t item) const {
  std::optional<bool> out;
  if (item >= 0)
    each_place(node, [&](const LiveOffers::Place& p) {
      if (!out) out = p.available(item);
    });
  // Whether it was set unavailable is all that the leaf "offered" asks.
  return out ? *out : node.kind == Kind::kOffered || index.catalog_->stock(row) > 0;
}

float CatalogIndex::Evaluator::stock(const Node& node, std::int32_t row, std::int32_t item) const {
  const float counted = index.catalog_->stock(row);
  std::optional<bool> out;
  if (item >= 0)
    each_place(node, [&](const LiveOffers::Place& p) {
      if (!out) out = p.available(item);
    });
  if (!out) return counted;
  if (!*out) return 0.0f;
  return counted > 0 ? counted : kNaN;
}

const std::vector<std::string>* CatalogIndex::Evaluator::said(const Node& node, std::int32_t item, std::string_view attribute) const {
  const std::vector<std::string>* out = nullptr;
  if (item >= 0)
    each_place(node, [&](const LiveOffers::Place& p) {
      if (out == nullptr) out = p.values(item, attribute);
    });
  return out;
}

bool CatalogIndex::Evaluator::has_tag(const Node& node, std::int32_t row, std::int32_t item, std::string_view tag) const {
  if (const std::size_t colon = tag.find(':'); colon != std::string_view::npos)
    if (const auto* values = said(node, item, tag.substr(0, colon)); values != nullptr)
      return std::find(values->begin(), values->end(), tag.substr(colon + 1)) != values->end();
  const auto tags = index.catalog_->tags(row);
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

// Regions and ages: what is said of the attribute, else the tags of that name.
bool CatalogIndex::Evaluator::suits(const Node& node, std::int32_t row, std::int32_t item) const {
  const bool region = node.kind == Kind::kRegion;
  const std::string_view name = region ? "region" : "age";
  bool any = false, mine = false, young = false;
  const auto look = [&](std::string_view value, const std::string* tag) {
    any = true;
    if (region) mine = mine || value == node.values[0];
    else young = young || (tag != nullptr ? age_of_tag(*tag) : age_of(value).value_or(0)) > static_cast<std::int32_t>(node.min);
  };
  if (const auto* values = said(node, item, name); values != nullptr) {
    for (const std::string& v : *values) look(v, nullptr);
  } else {
    for (const std::string& tag : index.catalog_->tags(row))
      if (tag.size() > name.size() && tag.starts_with(name) && tag[name.size()] == ':') look(std::string_view(tag).substr(name.size() + 1), &tag);
  }
  return region ? mine || !any : !young;
}

bool CatalogIndex::Evaluator::leaf_holds(const Predicate& predicate, std::int32_t row, std::int32_t item) const {
  const Node& node = predicate.node();
  const Attributes& a = *index.attributes_;
  const auto i = static_cast<std::size_t>(row);
  const auto within = [&](float v) { return v >= bound(node.min) && v <= bound(node.max); };
  const auto known = [](float v) { return v == v; };
  switch (node.kind) {
    case Kind::kEverything: return true;
    case Kind::kOffered: return in_stock(node, row, item);
    case Kind::kStock: return node.above_zero ? in_stock(node, row, item) : within(stock(node, row, item));
    case Kind::kKnownStock: return known(stock(node, row, item));
    case Kind::kPrice: return within(price(node, row, item));
    case Kind::kKnownPrice: return known(price(node, row, item));
    case Kind::kCategory: {
      const std::int32_t root = a.find_category(node.values);
      return root >= 0 && a.node_of[i] >= root && a.node_of[i] < a.ends[static_cast<std::size_t>(root)];
    }
    case Kind::kBrand:
      return a.brand_of[i] >= 0 && std::binary_search(node.values.begin(), node.values.end(), a.brands[static_cast<std::size_t>(a.brand_of[i])]);
    case Kind::kTag: return std::any_of(node.values.begin(), node.values.end(), [&](const std::string& t) { return has_tag(node, row, item, t); });
    case Kind::kRegion:
    case Kind::kAge: return suits(node, row, item);
    case Kind::kItems: return std::any_of(node.values.begin(), node.values.end(), [&](const std::string& k) { return index.find(k) == row; });
    default: return false;
  }
}

bool CatalogIndex::Evaluator::holds(const Predicate& predicate, std::int32_t row, std::int32_t item) const {
  const Node& node = predicate.node();
  const auto child = [&](const Predicate& c) { return holds(c, row, item); };
  switch (node.kind) {
    case Kind::kAnd: return std::all_of(node.children.begin(), node.children.end(), child);
    case Kind::kOr: return std::any_of(node.children.begin(), node.children.end(), child);
    case Kind::kNot: return !child(node.children[0]);
    default: return leaf_holds(predicate, row, item);
  }
}

ItemBitmap CatalogIndex::Evaluator::all(const Predicate& predicate) const {
  const Node& node = predicate.node();
  switch (node.kind) {
    case Kind::kAnd:
    case Kind::kOr: {
      ItemBitmap out = all(node.children[0]);
      for (std::size_t i = 1; i < node.children.size(); ++i) {
        if (node.kind == Kind::kAnd) out &= all(node.children[i]);
        else out |= all(node.children[i]);
      }
      return out;
    }
    case Kind::kNot: {
      ItemBitmap out = all(node.children[0]);
      out.flip();
      return out;
    }
    default: return leaf(predicate);
  }
}

ItemBitmap CatalogIndex::Evaluator::leaf(const Predicate& predicate) const {
  const Node& node = predicate.node();
  const Catalog::Columns& c = index.catalog_->columns();
  const Attributes& a = *index.attributes_;
  const std::int32_t n = index.size();
  ItemBitmap out;
  const auto insert_tag = [&](const std::vector<std::int32_t>& items) {
    for (const std::int32_t i : items) out.insert(i);
  };
  // A limit of a column of numbers: by its order where there is one.
  const auto range = [&](const Array<float>& column, const std::shared_ptr<const RangeColumn>& ordered) {
    const float min = bound(node.min), max = bound(node.max);
    if (column.empty()) return ItemBitmap(n);
    if (ordered) return ordered->between(min, max);
    const float* v = column.data();
    return where(n, [&](std::size_t i) { return v[i] >= min && v[i] <= max; });
  };
  const auto known = [&](const Array<float>& column) {
    if (column.empty()) return ItemBitmap(n);
    const float* v = column.data();
    return where(n, [&](std::size_t i) { return v[i] == v[i]; });
  };
  bool beside_everywhere = false;
  switch (node.kind) {
    case Kind::kOffered: out = ItemBitmap(n, true); break;
    case Kind::kStock:
      require_column(!c.stock.empty(), "stock", predicate, LiveOffers::What::kAvailable);
      if (node.above_zero) {
        if (!c.stock.empty()) out = where(n, [stock = c.stock.data()](std::size_t i) { return stock[i] > 0; });
        else out = ItemBitmap(n);
      } else {
        out = range(c.stock, index.ranges_->stock(*index.catalog_));
      }
      break;
    case Kind::kKnownStock:
      require_column(!c.stock.empty(), "stock", predicate, LiveOffers::What::kAvailable);
      out = known(c.stock);
      break;
    case Kind::kPrice:
      require_column(!c.prices.empty(), "prices", predicate, LiveOffers::What::kPrice);
      if (index.live_) {
        if (auto priced = index.live_->priced(bound(node.min), bound(node.max)); priced) {
          out = std::move(*priced);
          beside_everywhere = true;
          break;
        }
      }
      out = range(c.prices, index.ranges_->prices(*index.catalog_));
      break;
    case Kind::kKnownPrice:
      require_column(!c.prices.empty(), "prices", predicate, LiveOffers::What::kPrice);
      out = known(c.prices);
      break;
    case Kind::kCategory: {
      require_column(!c.categories.empty(), "categories", predicate, {});
      const std::int32_t root = a.find_category(node.values);
      if (root < 0) return ItemBitmap(n);
      const std::int32_t end = a.ends[static_cast<std::size_t>(root)];
      return where(n, [&](std::size_t i) { return a.node_of[i] >= root && a.node_of[i] < end; });
    }
    case Kind::kBrand: {
      require_column(!c.brands.empty(), "brands", predicate, {});
      std::vector<std::uint8_t> wanted(a.brands.size() + 1, 0);  // shifted by one: -1 is no brand
      for (const std::string& b : node.values) {
        const std::int32_t code = a.find_brand(b);
        if (code >= 0) wanted[static_cast<std::size_t>(code) + 1] = 1;
      }
      return where(n, [&](std::size_t i) { return wanted[static_cast<std::size_t>(a.brand_of[i] + 1)] != 0; });
    }
    case Kind::kTag:
      require_column(!c.tags.empty(), "tags", predicate, LiveOffers::What::kAttribute);
      out = ItemBitmap(n);
      for (const std::string& t : node.values)
        if (const auto at = a.tags.find(t); at != a.tags.end()) insert_tag(at->second);
      break;
    case Kind::kRegion: {
      require_column(!c.tags.empty(), "tags", predicate, LiveOffers::What::kAttribute);
      out = ItemBitmap(n);
      const auto [begin, end] = a.attribute_range("region");
      for (auto t = begin; t != end; ++t) insert_tag(t->second);
      out.flip();
      if (const auto at = a.tags.find("region:" + node.values[0]); at != a.tags.end()) insert_tag(at->second);
      break;
    }
    case Kind::kAge: {
      require_column(!c.tags.empty(), "tags", predicate, LiveOffers::What::kAttribute);
      out = ItemBitmap(n);
      const auto [begin, end] = a.attribute_range("age");
      for (auto t = begin; t != end; ++t)
        if (age_of_tag(t->first) > static_cast<std::int32_t>(node.min)) insert_tag(t->second);
      out.flip();
      break;
    }
    case Kind::kItems:
      out = ItemBitmap(n);
      for (const std::string& key : node.values)
        if (const std::int32_t i = index.find(key); i >= 0) out.insert(i);
      return out;
    default: return ItemBitmap(n, true);
  }
  if (index.live_) correct(predicate, out, beside_everywhere);
  return out;
}

void CatalogIndex::Evaluator::correct(const Predicate& predicate, ItemBitmap& out, bool beside_everywhere) const {
  const Node& node = predicate.node();
  const LiveOffers::Reading reading(index.live_->offers());
  const auto fix = [&](std::int32_t item) {
    if (const std::int32_t row = index.live_->rows().row_of(item); row >= 0) put(out, row, leaf_holds(predicate, row, item));
  };
  each_place(node, [&](const LiveOffers::Place& place) {
    if (beside_everywhere && &place == &index.live_->offers().at(0)) return;
    switch (node.kind) {
      case Kind::kOffered:
      case Kind::kStock:
      case Kind::kKnownStock:
        place.on.for_each(fix);
        place.off.for_each(fix);
        break;
      case Kind::kPrice:
      case Kind::kKnownPrice:
        for (const auto& entry : place.prices) fix(entry.first);
        break;
      default:
        for (const auto& entry : place.attributes) fix(entry.first);
    }
  });
}

ItemBitmap CatalogIndex::evaluate(const Predicate& predicate, std::string_view place) const { return Evaluator{*this, place}.all(predicate); }

}  // namespace etalage
