// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/catalog_index.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "serving/rules/catalog_attributes.hpp"
#include "serving/rules/filter_cache.hpp"
#include "serving/rules/filter_evaluator.hpp"
#include "serving/rules/live_catalog.hpp"
#include "serving/rules/predicate_node.hpp"

namespace etalage {
namespace {

using Node = Predicate::Node;
using Kind = Node::Kind;

std::atomic<std::uint64_t> next_version{1};
std::atomic<std::uint64_t> next_filter{1};

}  // namespace

CatalogIndex::CatalogIndex(std::shared_ptr<const Catalog> catalog, CatalogIndexOptions options)
    : catalog_(std::move(catalog)), version_(next_version.fetch_add(1)) {
  if (!catalog_) throw std::invalid_argument("catalog is null, must be a catalogue");
  attributes_ = std::make_shared<const Attributes>(*catalog_);
  ranges_ = std::make_shared<Ranges>();
  cache_ = std::make_unique<Cache>(options.cache_bytes);
}

CatalogIndex::CatalogIndex(const CatalogIndex& catalog, std::unique_ptr<serving::LiveCatalog> live, CatalogIndexOptions options)
    : catalog_(catalog.catalog_), version_(catalog.version_), attributes_(catalog.attributes_), ranges_(catalog.ranges_), live_(std::move(live)),
      cache_(std::make_unique<Cache>(options.cache_bytes)) {}

CatalogIndex::~CatalogIndex() = default;

CompiledFilter::CompiledFilter(ItemBitmap set, std::uint64_t known, std::shared_ptr<std::atomic<std::size_t>> account)
    : owned_(std::make_shared<const ItemBitmap>(std::move(set))), bits(*owned_), count(owned_->count()),
      filter(ItemFilter::from_bits(std::shared_ptr<const std::uint64_t>(owned_, owned_->words().data()), owned_->words().size(), count,
                                   std::move(account))),
      id(known != 0 ? known : next_filter.fetch_add(1, std::memory_order_relaxed)), stamp(next_filter.fetch_add(1, std::memory_order_relaxed)) {}

SharedFilter CatalogIndex::compiled(ItemBitmap bits, std::uint64_t id) const {
  return std::make_shared<const CompiledFilter>(std::move(bits), id, cache_->lists);
}

SharedFilter CatalogIndex::patched(const Predicate& predicate, std::string_view place, const SharedFilter& old, std::uint64_t& version) const {
  thread_local std::vector<serving::LiveOffers::Change> changes;
  changes.clear();
  // Reading a product's columns and offers anew costs about as much as a few hundred bits of a pass.
  if (!live_->offers().changes_since(version, changes) || changes.size() > 256 + static_cast<std::size_t>(size()) / 256) return nullptr;
  const Evaluator evaluator{*this, place};
  std::vector<std::int32_t> moved;
  {
    const serving::LiveOffers::Reading reading(live_->offers());
    const std::int32_t here = live_->offers().find_place(place);
    for (const auto& c : changes) {
      if ((predicate.node().uses & static_cast<std::uint8_t>(c.what)) == 0) continue;
      if (c.place != 0 && c.place != here && !predicate.node().elsewhere) continue;
      const std::int32_t row = live_->rows().row_of(c.item);
      if (row >= 0 && evaluator.holds(predicate, row, c.item) != old->bits.contains(row)) moved.push_back(row);
    }
  }
  if (moved.empty()) return old;
  std::sort(moved.begin(), moved.end());
  moved.erase(std::unique(moved.begin(), moved.end()), moved.end());
  ItemBitmap bits = old->bits;
  for (const std::int32_t row : moved) {
    if (bits.contains(row)) bits.erase(row);
    else bits.insert(row);
  }
  return compiled(std::move(bits), old->id);
}

SharedFilter CatalogIndex::filter(const Predicate& predicate, std::string_view place) const {
  const Node& node = predicate.node();
  if (!live_ || node.uses == 0) {
    if (SharedFilter found = cache_->find(cache_->predicates, node.json).filter) return found;
    SharedFilter made = compiled(evaluate(predicate), 0);
    cache_->put(cache_->predicates, node.json, nullptr, {made});
    return made;
  }
  if (!node.asks || place.empty() || !live_->knows(place)) place = {};
  thread_local std::string key;
  key.assign(node.json);
  if (!place.empty()) key.append(1, '\n').append(place);  // no text of a predicate holds one
  const Cache::Found found = cache_->find(cache_->predicates, key);
  std::uint64_t version = found.version;
  SharedFilter now;
  if (found.filter) {
    if (version == live_->offers().version()) return found.filter;
    now = patched(predicate, place, found.filter, version);
    if (now) cache_->patches.fetch_add(1, std::memory_order_relaxed);
  }
  if (!now) {
    version = live_->offers().version();
    now = compiled(evaluate(predicate, place), found.filter ? found.filter->id : 0);
  }
  cache_->put(cache_->predicates, key, found.filter, {now, version});
  return now;
}

SharedFilter CatalogIndex::offered(std::string_view place) const {
  static const Predicate here = Predicate::offered();
  return live_ && live_->withholds(place) ? filter(here, place) : nullptr;
}

const std::shared_ptr<const serving::RangeColumn>& CatalogIndex::ordered_prices() const { return ranges_->prices(*catalog_); }

void CatalogIndex::catch_up() const {
  if (live_) live_->catch_up();
}

SharedFilter CatalogIndex::both(const SharedFilter& a, const SharedFilter& b) const {
  if (a == nullptr || a == b) return b;
  if (b == nullptr) return a;
  const bool ordered = a->id <= b->id;
  const SharedFilter& x = ordered ? a : b;
  const SharedFilter& y = ordered ? b : a;
  const std::pair<std::uint64_t, std::uint64_t> key{x->id, y->id};
  const Cache::Found found = cache_->find(cache_->pairs, key);
  if (found.filter && found.version == x->stamp && found.other == y->stamp) return found.filter;
  for (const SharedFilter* f : {&a, &b})
    if ((*f)->bits.size() != size())
      throw std::invalid_argument("filter is over " + std::to_string((*f)->bits.size()) + " products, must be over this catalogue's " +
                                  std::to_string(size()));
  ItemBitmap bits = a->bits;
  bits &= b->bits;
  SharedFilter made = compiled(std::move(bits), found.filter ? found.filter->id : 0);
  cache_->put(cache_->pairs, key, found.filter, {made, x->stamp, y->stamp});
  return made;
}

std::shared_ptr<const ItemGroups> CatalogIndex::groups(std::string_view by) const {
  {
    const std::lock_guard lock(cache_->groups_mutex);
    if (const auto at = cache_->groups.find(by); at != cache_->groups.end()) return at->second;
  }
  const Catalog::Columns& c = catalog_->columns();
  const Attributes& a = *attributes_;
  const auto n = static_cast<std::size_t>(size());
  auto g = std::make_shared<ItemGroups>();
  g->by = std::string(by);
  g->codes.assign(n, -1);
  const auto require = [&](bool there, const char* column) {
    if (!there) throw std::invalid_argument("by is '" + g->by + "', but the catalogue has no " + column);
  };
  if (by == "brand") {
    require(n == 0 || !c.brands.empty(), "brands");
    g->codes = a.brand_of;
    g->names = a.brands;
  } else if (by == "category" || by.starts_with("category:")) {
    require(n == 0 || !c.categories.empty(), "categories");
    std::int32_t depth = std::numeric_limits<std::int32_t>::max();
    if (by != "category") {
      const char* end = by.data() + by.size();
      const auto [at, error] = std::from_chars(by.data() + 9, end, depth);
      if (error != std::errc{} || at != end || depth < 1)
        throw std::invalid_argument("by is '" + g->by + "', must be 'category:' and a whole number >= 1");
    }
    std::vector<std::int32_t> code(a.names.size(), -1);
    for (std::size_t i = 0; i < n; ++i) {
      const std::int32_t node = a.ancestor(a.node_of[i], depth);
      if (node < 0) continue;
      std::int32_t& mine = code[static_cast<std::size_t>(node)];
      if (mine < 0) {
        mine = static_cast<std::int32_t>(g->names.size());
        g->names.push_back(a.path_text(node));
      }
      g->codes[i] = mine;
    }
  } else {
    if (by.empty() || by.find(':') != std::string_view::npos)
      throw std::invalid_argument("by is '" + g->by + "', must be 'brand', 'category', 'category:N' or an attribute's name without a colon");
    require(n == 0 || !c.tags.empty(), "tags");
    const std::string prefix = g->by + ":";
    std::unordered_map<std::string, std::int32_t> code;
    for (std::size_t i = 0; i < n; ++i) {
      for (const std::string& tag : c.tags[i]) {
        if (!tag.starts_with(prefix)) continue;
        const auto [at, added] = code.try_emplace(tag.substr(prefix.size()), static_cast<std::int32_t>(g->names.size()));
        if (added) g->names.push_back(at->first);
        g->codes[i] = at->second;
        break;
      }
    }
  }
  g->offsets.assign(g->names.size() + 1, 0);
  for (const std::int32_t code : g->codes)
    if (code >= 0) ++g->offsets[static_cast<std::size_t>(code) + 1];
  for (std::size_t k = 1; k < g->offsets.size(); ++k) g->offsets[k] += g->offsets[k - 1];
  g->members.resize(static_cast<std::size_t>(g->offsets.back()));
  std::vector<std::int64_t> next(g->offsets.begin(), g->offsets.end() - 1);
  for (std::size_t i = 0; i < n; ++i)
    if (g->codes[i] >= 0)
      g->members[static_cast<std::size_t>(next[static_cast<std::size_t>(g->codes[i])]++)] = static_cast<std::int32_t>(i);
  const std::lock_guard lock(cache_->groups_mutex);
  return cache_->groups.try_emplace(g->by, g).first->second;
}

std::vector<std::string> CatalogIndex::unknown_names(const Predicate& predicate) const {
  const Node& node = predicate.node();
  std::vector<std::string> out;
  switch (node.kind) {
    case Kind::kCategory:
      if (attributes_->find_category(node.values) < 0) {
        std::string path;
        for (const std::string& v : node.values) path += (path.empty() ? "" : "/") + v;
        out.push_back("category " + path);
      }
      break;
    case Kind::kBrand:
      for (const std::string& v : node.values)
        if (attributes_->find_brand(v) < 0) out.push_back("brand " + v);
      break;
    case Kind::kTag:
      for (const std::string& v : node.values)
        if (!attributes_->tags.contains(v)) out.push_back("tag " + v);
      break;
    case Kind::kItems:
      for (const std::string& v : node.values)
        if (find(v) < 0) out.push_back("product " + v);
      break;
    default: break;
  }
  for (const Predicate& child : node.children)
    for (std::string& name : unknown_names(child)) out.push_back(std::move(name));
  return out;
}

std::int32_t CatalogIndex::find(std::string_view key) const {
  const IdMap& ids = *catalog_->item_ids();
  if (ids.kind() == IdMap::Kind::kString) return ids.find(key);
  std::int64_t number = 0;
  const auto [at, error] = std::from_chars(key.data(), key.data() + key.size(), number);
  return error == std::errc{} && at == key.data() + key.size() ? ids.find(number) : -1;
}

std::int32_t CatalogIndex::category_depth(std::int32_t item) const noexcept {
  if (item < 0 || static_cast<std::size_t>(item) >= attributes_->node_of.size()) return 0;
  const std::int32_t node = attributes_->node_of[static_cast<std::size_t>(item)];
  return node < 0 ? 0 : attributes_->depths[static_cast<std::size_t>(node)];
}

std::int32_t CatalogIndex::common_depth(std::int32_t a, std::int32_t b) const noexcept {
  const std::int32_t depth = std::min(category_depth(a), category_depth(b));
  if (depth == 0) return 0;
  const Attributes& t = *attributes_;
  std::int32_t x = t.ancestor(t.node_of[static_cast<std::size_t>(a)], depth);
  std::int32_t y = t.ancestor(t.node_of[static_cast<std::size_t>(b)], depth);
  while (x != y) {
    x = t.parents[static_cast<std::size_t>(x)];
    y = t.parents[static_cast<std::size_t>(y)];
  }
  return x < 0 ? 0 : t.depths[static_cast<std::size_t>(x)];
}

CatalogIndex::CacheStats CatalogIndex::cache_stats() const {
  const std::shared_lock lock(cache_->mutex);
  return {cache_->predicates.size() + cache_->pairs.size(), cache_->bytes + cache_->lists->load(), cache_->hits.load(), cache_->misses.load(),
          cache_->patches.load()};
}

}  // namespace etalage
