// SPDX-License-Identifier: Apache-2.0
#include "serving/rules/catalog_attributes.hpp"

#include <algorithm>

namespace etalage {

CatalogIndex::Attributes::Attributes(const Catalog& catalog) {
  const Catalog::Columns& c = catalog.columns();
  if (!c.categories.empty()) read_categories(catalog);
  for (const std::string& brand : c.brands) {
    if (brand.empty()) {
      brand_of.push_back(-1);
      continue;
    }
    const auto [at, added] = brand_codes_.try_emplace(brand, static_cast<std::int32_t>(brands.size()));
    if (added) brands.push_back(brand);
    brand_of.push_back(at->second);
  }
  // The same few texts come again and again: hash them, and sort each once.
  std::unordered_map<std::string_view, std::vector<std::int32_t>*> found;
  for (std::size_t i = 0; i < c.tags.size(); ++i) {
    const auto item = static_cast<std::int32_t>(i);
    for (const std::string& tag : c.tags[i]) {
      auto at = found.find(tag);
      if (at == found.end()) at = found.emplace(tag, &tags[tag]).first;
      if (at->second->empty() || at->second->back() != item) at->second->push_back(item);
    }
  }
}

void CatalogIndex::Attributes::read_categories(const Catalog& catalog) {
  struct Child {
    std::int32_t parent;
    std::string name;
    std::int32_t depth;
    std::vector<std::int32_t> children;
  };
  std::vector<Child> found;
  std::vector<std::int32_t> roots;
  std::unordered_map<std::string, std::int32_t> index;  // parent's number and name
  std::string key;
  const std::vector<std::vector<std::string>>& paths = catalog.columns().categories;
  node_of.assign(paths.size(), -1);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::int32_t node = -1;
    for (const std::string& name : paths[i]) {
      key = std::to_string(node) + '/' + name;
      const auto [at, added] = index.try_emplace(key, static_cast<std::int32_t>(found.size()));
      if (added) {
        (node < 0 ? roots : found[static_cast<std::size_t>(node)].children).push_back(at->second);
        found.push_back({node, name, node < 0 ? 1 : found[static_cast<std::size_t>(node)].depth + 1, {}});
      }
      node = at->second;
    }
    node_of[i] = node;
  }
  // Numbered anew in preorder, without recursion: a path may be as long as it likes.
  const std::size_t n = found.size();
  std::vector<std::int32_t> number(n);
  std::vector<std::int32_t> stack(roots.rbegin(), roots.rend());
  ends.assign(n, 0);
  parents.reserve(n);
  depths.reserve(n);
  names.reserve(n);
  while (!stack.empty()) {
    const Child& node = found[static_cast<std::size_t>(stack.back())];
    const auto mine = static_cast<std::int32_t>(names.size());
    number[static_cast<std::size_t>(stack.back())] = mine;
    stack.pop_back();
    parents.push_back(node.parent < 0 ? -1 : number[static_cast<std::size_t>(node.parent)]);
    depths.push_back(node.depth);
    names.push_back(node.name);
    children_.emplace(std::pair{parents.back(), node.name}, mine);
    stack.insert(stack.end(), node.children.rbegin(), node.children.rend());
  }
  // A subtree ends where the next node is no deeper; children before parents.
  for (std::size_t v = n; v-- > 0;) {
    ends[v] = std::max(ends[v], static_cast<std::int32_t>(v) + 1);
    if (parents[v] >= 0) {
      std::int32_t& end = ends[static_cast<std::size_t>(parents[v])];
      end = std::max(end, ends[v]);
    }
  }
  for (std::int32_t& node : node_of)
    if (node >= 0) node = number[static_cast<std::size_t>(node)];
}

std::int32_t CatalogIndex::Attributes::find_category(std::span<const std::string> path) const {
  std::int32_t node = -1;
  for (const std::string& name : path) {
    const auto at = children_.find({node, name});
    if (at == children_.end()) return -1;
    node = at->second;
  }
  return node;
}

std::int32_t CatalogIndex::Attributes::ancestor(std::int32_t node, std::int32_t depth) const noexcept {
  while (node >= 0 && depths[static_cast<std::size_t>(node)] > depth) node = parents[static_cast<std::size_t>(node)];
  return node;
}

std::string CatalogIndex::Attributes::path_text(std::int32_t node) const {
  std::string out;
  for (; node >= 0; node = parents[static_cast<std::size_t>(node)])
    out = names[static_cast<std::size_t>(node)] + (out.empty() ? "" : "/" + out);
  return out;
}

std::int32_t CatalogIndex::Attributes::find_brand(const std::string& brand) const {
  const auto at = brand_codes_.find(brand);
  return at == brand_codes_.end() ? -1 : at->second;
}

}  // namespace etalage
