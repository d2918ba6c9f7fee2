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

#include "serving/catalog_attributes.hpp"
#include "serving/predicate_node.hpp"

namespace etalage {
namespace {

using Node = Predicate::Node;
using Kind = Node::Kind;

std::atomic<std::uint64_t> next_version{1};
std::atomic<std::uint64_t> next_filter{1};

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

void require_column(bool there, const char* column, const Predicate& predicate) {
  if (!there)
    throw std::invalid_argument("predicate is " + predicate.to_json() + ", but the catalogue has no " + column);
}

// Tag "age:18": 18.
std::int32_t age_of(const std::string& tag) {
  const char* begin = tag.data() + 4;
  const char* end = tag.data() + tag.size();
  std::int32_t age = -1;
  const auto [at, error] = std::from_chars(begin, end, age);
  if (error != std::errc{} || at != end || age < 0)
    throw std::invalid_argument("catalogue has the tag '" + tag + "', must be 'age:' and a whole number >= 0");
  return age;
}

std::size_t bytes_of(const CompiledFilter& f) noexcept {
  return sizeof(CompiledFilter) + static_cast<std::size_t>(f.count) * 8 + f.bits.words().size() * 16;
}

}  // namespace

/// Least recently used out first. Reads share the lock; a time of use is a plain counter.
struct CatalogIndex::Cache {
  struct Entry {
    SharedFilter filter;
    std::atomic<std::uint64_t> used{0};
  };
  struct PairHash {
    std::size_t operator()(const std::pair<std::uint64_t, std::uint64_t>& p) const noexcept {
      return static_cast<std::size_t>((p.first * 0x9E3779B97F4A7C15u) ^ p.second);
    }
  };
  template <class Key, class Hash = std::hash<Key>>
  using Table = std::unordered_map<Key, Entry, Hash>;

  explicit Cache(std::size_t budget_bytes) : budget(budget_bytes) {}

  template <class T>
  SharedFilter find(T& table, const typename T::key_type& key) {
    const std::shared_lock lock(mutex);
    const auto at = table.find(key);
    if (at == table.end()) {
      misses.fetch_add(1, std::memory_order_relaxed);
      return nullptr;
    }
    hits.fetch_add(1, std::memory_order_relaxed);
    at->second.used.store(clock.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
    return at->second.filter;
  }

  /// What is there by now, if another thread was faster.
  template <class T>
  SharedFilter insert(T& table, const typename T::key_type& key, SharedFilter filter) {
    const std::unique_lock lock(mutex);
    const auto at = table.find(key);
    if (at != table.end()) return at->second.filter;
    const std::size_t size = bytes_of(*filter);
    if (size > budget) return filter;
    while (bytes + size > budget) evict();
    bytes += size;
    Entry& entry = table[key];
    entry.used = clock.fetch_add(1, std::memory_order_relaxed);
    entry.filter = filter;
    return filter;
  }

  void evict() {
    const auto oldest = [](auto& table) {
      return std::min_element(table.begin(), table.end(), [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
    };
    const auto a = oldest(predicates);
    const auto b = oldest(pairs);
    const bool first = b == pairs.end() || (a != predicates.end() && a->second.used < b->second.used);
    bytes -= bytes_of(first ? *a->second.filter : *b->second.filter);
    if (first) predicates.erase(a);
    else pairs.erase(b);
  }

  std::size_t budget;
  std::shared_mutex mutex;
  std::atomic<std::uint64_t> clock{1};
  std::atomic<std::uint64_t> hits{0};
  std::atomic<std::uint64_t> misses{0};
  std::size_t bytes = 0;
  Table<std::string> predicates;
  Table<std::pair<std::uint64_t, std::uint64_t>, PairHash> pairs;
  std::mutex groups_mutex;
  std::map<std::string, std::shared_ptr<const ItemGroups>, std::less<>> groups;
};

CatalogIndex::CatalogIndex(std::shared_ptr<const Catalog> catalog, CatalogIndexOptions options)
    : catalog_(std::move(catalog)), version_(next_version.fetch_add(1)) {
  if (!catalog_) throw std::invalid_argument("catalog is null, must be a catalogue");
  attributes_ = std::make_unique<Attributes>(*catalog_);
  cache_ = std::make_unique<Cache>(options.cache_bytes);
}

CatalogIndex::~CatalogIndex() = default;

ItemBitmap CatalogIndex::evaluate(const Predicate& predicate) const {
  const Node& node = predicate.node();
  const Catalog::Columns& c = catalog_->columns();
  const Attributes& a = *attributes_;
  const std::int32_t n = size();
  const auto insert_tag = [&](ItemBitmap& out, const std::vector<std::int32_t>& items) {
    for (const std::int32_t i : items) out.insert(i);
  };
  switch (node.kind) {
    case Kind::kEverything: return ItemBitmap(n, true);
    case Kind::kStock:
    case Kind::kKnownStock: {
      require_column(n == 0 || !c.stock.empty(), "stock", predicate);
      const float* stock = c.stock.data();
      if (node.kind == Kind::kKnownStock) return where(n, [&](std::size_t i) { return stock[i] == stock[i]; });
      if (node.above_zero) return where(n, [&](std::size_t i) { return stock[i] > 0; });
      const auto min = static_cast<float>(node.min), max = static_cast<float>(node.max);
      return where(n, [&](std::size_t i) { return stock[i] >= min && stock[i] <= max; });
    }
    case Kind::kPrice:
    case Kind::kKnownPrice: {
      require_column(n == 0 || !c.prices.empty(), "prices", predicate);
      const float* prices = c.prices.data();
      if (node.kind == Kind::kKnownPrice) return where(n, [&](std::size_t i) { return prices[i] == prices[i]; });
      // Prices are float32: 19.99 there must meet 19.99 here.
      const auto min = static_cast<float>(node.min), max = static_cast<float>(node.max);
      return where(n, [&](std::size_t i) { return prices[i] >= min && prices[i] <= max; });
    }
    case Kind::kCategory: {
      require_column(n == 0 || !c.categories.empty(), "categories", predicate);
      const std::int32_t root = a.find_category(node.values);
      if (root < 0) return ItemBitmap(n);
      const std::int32_t end = a.ends[static_cast<std::size_t>(root)];
      return where(n, [&](std::size_t i) { return a.node_of[i] >= root && a.node_of[i] < end; });
    }
    case Kind::kBrand: {
      require_column(n == 0 || !c.brands.empty(), "brands", predicate);
      std::vector<std::uint8_t> wanted(a.brands.size() + 1, 0);  // shifted by one: -1 is no brand
      for (const std::string& b : node.values) {
        const std::int32_t code = a.find_brand(b);
        if (code >= 0) wanted[static_cast<std::size_t>(code) + 1] = 1;
      }
      return where(n, [&](std::size_t i) { return wanted[static_cast<std::size_t>(a.brand_of[i] + 1)] != 0; });
    }
    case Kind::kTag: {
      require_column(n == 0 || !c.tags.empty(), "tags", predicate);
      ItemBitmap out(n);
      for (const std::string& t : node.values)
        if (const auto at = a.tags.find(t); at != a.tags.end()) insert_tag(out, at->second);
      return out;
    }
    case Kind::kRegion: {
      require_column(n == 0 || !c.tags.empty(), "tags", predicate);
      ItemBitmap out(n);
      const auto [begin, end] = a.attribute_range("region");
      for (auto t = begin; t != end; ++t) insert_tag(out, t->second);
      out.flip();
      if (const auto at = a.tags.find("region:" + node.values[0]); at != a.tags.end()) insert_tag(out, at->second);
      return out;
    }
    case Kind::kAge: {
      require_column(n == 0 || !c.tags.empty(), "tags", predicate);
      ItemBitmap out(n);
      const auto [begin, end] = a.attribute_range("age");
      for (auto t = begin; t != end; ++t)
        if (age_of(t->first) > static_cast<std::int32_t>(node.min)) insert_tag(out, t->second);
      out.flip();
      return out;
    }
    case Kind::kItems: {
      ItemBitmap out(n);
      for (const std::string& key : node.values)
        if (const std::int32_t i = find(key); i >= 0) out.insert(i);
      return out;
    }
    case Kind::kAnd:
    case Kind::kOr: {
      ItemBitmap out = evaluate(node.children[0]);
      for (std::size_t i = 1; i < node.children.size(); ++i) {
        if (node.kind == Kind::kAnd) out &= evaluate(node.children[i]);
        else out |= evaluate(node.children[i]);
      }
      return out;
    }
    case Kind::kNot: {
      ItemBitmap out = evaluate(node.children[0]);
      out.flip();
      return out;
    }
  }
  return ItemBitmap(n);
}

namespace {

SharedFilter compiled(ItemBitmap bits) {
  auto f = std::make_shared<CompiledFilter>();
  f->id = next_filter.fetch_add(1, std::memory_order_relaxed);
  f->filter = bits.filter();
  f->count = static_cast<std::int64_t>(f->filter.allowed_ids().size());
  f->bits = std::move(bits);
  return f;
}

}  // namespace

SharedFilter CatalogIndex::filter(const Predicate& predicate) const {
  if (SharedFilter found = cache_->find(cache_->predicates, predicate.to_json())) return found;
  return cache_->insert(cache_->predicates, predicate.to_json(), compiled(evaluate(predicate)));
}

SharedFilter CatalogIndex::both(const SharedFilter& a, const SharedFilter& b) const {
  if (a == nullptr || a == b) return b;
  if (b == nullptr) return a;
  const std::pair<std::uint64_t, std::uint64_t> key = std::minmax(a->id, b->id);
  if (SharedFilter found = cache_->find(cache_->pairs, key)) return found;
  for (const SharedFilter* f : {&a, &b})
    if ((*f)->bits.size() != size())
      throw std::invalid_argument("filter is over " + std::to_string((*f)->bits.size()) + " products, must be over this catalogue's " +
                                  std::to_string(size()));
  ItemBitmap bits = a->bits;
  bits &= b->bits;
  return cache_->insert(cache_->pairs, key, compiled(std::move(bits)));
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
  return {cache_->predicates.size() + cache_->pairs.size(), cache_->bytes, cache_->hits.load(), cache_->misses.load()};
}

}  // namespace etalage
