// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/catalog.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/core/item_filter.hpp"
#include "etalage/export.hpp"
#include "etalage/serving/item_bitmap.hpp"
#include "etalage/serving/predicate.hpp"

namespace etalage {

namespace serving {
class LiveCatalog;
class RangeColumn;
}

/// A predicate's products, in the forms in which they are asked for. Immutable, shared by requests and threads.
struct ETALAGE_EXPORT CompiledFilter {
  /// account: counts the bytes of the list that `filter` makes when somebody asks for one.
  explicit CompiledFilter(ItemBitmap set, std::uint64_t id = 0, std::shared_ptr<std::atomic<std::size_t>> account = nullptr);
  CompiledFilter(const CompiledFilter&) = delete;
  CompiledFilter& operator=(const CompiledFilter&) = delete;

 private:
  std::shared_ptr<const ItemBitmap> owned_;

 public:
  const ItemBitmap& bits;  ///< [products] those that pass
  const std::int64_t count;   ///< products in the set
  const ItemFilter filter;    ///< the same set as an allow list, over the same words
  const std::uint64_t id;     ///< unique in the process, but for sets that replace this one when a live price moves, say
  const std::uint64_t stamp;  ///< unique in the process
};
/// A compiled filter that requests share.
using SharedFilter = std::shared_ptr<const CompiledFilter>;

/// Products in groups: by brand, by category, by an attribute.
struct ItemGroups {
  std::string by;  ///< what the groups are of, "category" or "brand" say
  std::vector<std::int32_t> codes;    ///< [n] group of each product, -1 where it has none
  std::vector<std::string> names;     ///< [groups]
  std::vector<std::int64_t> offsets;  ///< [groups + 1]
  std::vector<std::int32_t> members;  ///< products of group g: members[offsets[g], offsets[g + 1]), ascending
  /// Group of an item, -1 for none.
  [[nodiscard]] std::int32_t code(std::int32_t item) const noexcept {
    return item >= 0 && static_cast<std::size_t>(item) < codes.size() ? codes[static_cast<std::size_t>(item)] : -1;
  }
  /// Rows of a group, ascending.
  [[nodiscard]] std::span<const std::int32_t> members_of(std::int32_t group) const noexcept {
    const auto begin = static_cast<std::size_t>(offsets[static_cast<std::size_t>(group)]);
    return std::span(members).subspan(begin, static_cast<std::size_t>(offsets[static_cast<std::size_t>(group) + 1]) - begin);
  }
};

/// Settings of CatalogIndex.
struct CatalogIndexOptions {
  /// Of compiled filters, a bit a product each; the least recently used go first. 0 keeps none.
  std::size_t cache_bytes = 192 << 20;
};

/// One version of a catalogue, made ready for filters and rules: category tree, brands and tags as numbers, and the
/// compiled predicates of this version. A changed catalogue is a new CatalogIndex.
///
/// Items      a product's index is its row in the catalogue. Models and indexes that serve beside it use the same
///            numbers: align_catalog() brings a catalogue into a model's order
/// Categories a node is a path from the root, so equal names in different places are different categories and no cycle
///            can occur; category_paths() makes paths of a table of parents and refuses cycles
/// Live       an engine's own copy sees what Engine::set_available, set_price and set_attribute say: filters that are
///            cached are patched, product by product, when they are asked for next
/// Cost       construction hashes every brand, category name and tag once; a leaf of a predicate reads its column once, but
///            a price or stock limit over 16,384 products or more copies a set that is kept for a border near it;
///            joining reads n / 64 words; a filter that is cached costs a look-up
/// Memory     a bit a product for a filter; 32 bytes a product from the first price limit on, and from the first stock limit
/// Threads    every member may be called from any number of threads
/// Errors     std::invalid_argument: a predicate about a column that the catalogue lacks, a tag "age:..." without a
///            whole number, an unknown grouping
class ETALAGE_EXPORT CatalogIndex {
 public:
  explicit CatalogIndex(std::shared_ptr<const Catalog> catalog, CatalogIndexOptions options = {});  ///< the catalogue stays as it is while this lives
  /// For the library's own use: the same catalogue as one engine sees it.
  CatalogIndex(const CatalogIndex& catalog, std::unique_ptr<serving::LiveCatalog> live, CatalogIndexOptions options);
  ~CatalogIndex();
  CatalogIndex(const CatalogIndex&) = delete;
  CatalogIndex& operator=(const CatalogIndex&) = delete;

  [[nodiscard]] const Catalog& catalog() const noexcept { return *catalog_; }  ///< what it is over
  [[nodiscard]] std::int32_t size() const noexcept { return catalog_->size(); }
  /// Unique in the process.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }

  /// Evaluated anew. place: where the request is asked, for what was said of products there; "" is everywhere.
  [[nodiscard]] ItemBitmap evaluate(const Predicate& predicate, std::string_view place = {}) const;
  /// Cached by the predicate's canonical form, and by the place where something was said there.
  [[nodiscard]] SharedFilter filter(const Predicate& predicate, std::string_view place = {}) const;
  /// What was not set unavailable at a place; null where that is everything.
  [[nodiscard]] SharedFilter offered(std::string_view place) const;
  /// Whether filter() may answer otherwise than it did, without another catalogue.
  [[nodiscard]] bool is_live() const noexcept { return live_ != nullptr; }
  /// For the library's own use: the catalogue's prices in order, null where it is small or has none.
  [[nodiscard]] const std::shared_ptr<const serving::RangeColumn>& ordered_prices() const;
  /// For the library's own use: takes in what was said last, so that the next limit need not.
  void catch_up() const;
  /// What both hold, cached by their ids; allocates nothing when cached. Null stands for everything; both must be of
  /// this catalogue.
  [[nodiscard]] SharedFilter both(const SharedFilter& a, const SharedFilter& b) const;

  /// by: "brand"; "category", the whole path; "category:2", its first two names; else an attribute, whose value is what
  /// a tag "by:value" says (the first one, where a product has several).
  [[nodiscard]] std::shared_ptr<const ItemGroups> groups(std::string_view by) const;
  /// What a predicate names that this catalogue does not have: "category a/b", "tag x". It matches nothing there.
  [[nodiscard]] std::vector<std::string> unknown_names(const Predicate& predicate) const;
  /// The product of a key given as text, -1 where unknown.
  [[nodiscard]] std::int32_t find(std::string_view key) const;
  /// Levels of the product's category path, 0 without one; common: those that two paths share from the root.
  [[nodiscard]] std::int32_t category_depth(std::int32_t item) const noexcept;
  [[nodiscard]] std::int32_t common_depth(std::int32_t a, std::int32_t b) const noexcept;

  /// What the cache of compiled filters holds and did.
  struct CacheStats {
    std::size_t entries = 0;  ///< compiled filters that are kept
    std::size_t bytes = 0;  ///< that they take
    std::uint64_t hits = 0;  ///< looked up and found
    std::uint64_t misses = 0;  ///< looked up and compiled
    std::uint64_t patches = 0;  ///< hits that took in what was said of products since
  };
  [[nodiscard]] CacheStats cache_stats() const;  ///< as of now

 private:
  struct Attributes;
  struct Ranges;
  struct Cache;
  struct Evaluator;
  /// A filter of the cache after what was said since `version`; null where it has to be made anew.
  [[nodiscard]] SharedFilter patched(const Predicate& predicate, std::string_view place, const SharedFilter& old, std::uint64_t& version) const;
  [[nodiscard]] SharedFilter compiled(ItemBitmap bits, std::uint64_t id) const;
  std::shared_ptr<const Catalog> catalog_;
  std::uint64_t version_;
  std::shared_ptr<const Attributes> attributes_;
  std::shared_ptr<Ranges> ranges_;
  std::unique_ptr<serving::LiveCatalog> live_;  // null without an engine
  std::unique_ptr<Cache> cache_;
};

/// The catalogue in the order of item_ids, followed by its products that item_ids lacks. A key that the catalogue lacks
/// becomes a product of which nothing is known (NaN price and stock, no brand, no category, a zero vector).
/// std::invalid_argument when one has string and the other integer keys.
[[nodiscard]] ETALAGE_EXPORT Catalog align_catalog(const Catalog& catalog, const IdMap& item_ids);

/// For each category its path from the root, from a table of parents; an absent or empty parent is a root. A cycle is
/// std::invalid_argument that spells it out: "a > b > a".
[[nodiscard]] ETALAGE_EXPORT std::map<std::string, std::vector<std::string>> category_paths(
    const std::map<std::string, std::string>& parents);

}  // namespace etalage
