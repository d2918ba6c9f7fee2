// SPDX-License-Identifier: Apache-2.0
#include "trees/tree_builder.hpp"

#include <stdexcept>
#include <utility>

#include "etalage/error.hpp"

namespace etalage::trees {
namespace {

constexpr std::size_t kMaxNodes = std::size_t{1} << 30;

}  // namespace

void TreeBuilder::fail(const std::string& what) const { throw FormatError("not a usable model of " + kind_ + ": " + what); }

void TreeBuilder::fail_tree(const std::string& what) const { fail("tree " + std::to_string(roots_.size()) + ": " + what); }

void TreeBuilder::add(std::span<const RawNode> nodes, std::size_t root, std::int64_t output) {
  if (root >= nodes.size()) fail_tree("its root " + std::to_string(root) + " is none of its " + std::to_string(nodes.size()) + " nodes");
  if (output < 0 || output > 65535) fail_tree("it adds to output " + std::to_string(output) + ", must be in [0, 65535]");
  if (feature_.size() + nodes.size() > kMaxNodes) fail_tree("more than 2^30 nodes");
  const auto begin = static_cast<std::int32_t>(feature_.size());
  std::vector<bool> seen(nodes.size());
  struct Open {
    std::size_t node;
    std::int32_t parent;
    bool is_left;
  };
  std::vector<Open> open{{root, -1, false}};
  while (!open.empty()) {
    const Open at = open.back();
    open.pop_back();
    if (seen[at.node]) fail_tree("node " + std::to_string(at.node) + " has two parents");
    seen[at.node] = true;
    const RawNode& n = nodes[at.node];
    const auto here = static_cast<std::int32_t>(feature_.size());
    if (at.parent >= 0) (at.is_left ? left_ : right_)[static_cast<std::size_t>(at.parent)] = here;
    if (n.feature > 2147483646) fail_tree("node " + std::to_string(at.node) + " asks for feature " + std::to_string(n.feature));
    feature_.push_back(static_cast<std::int32_t>(n.feature < 0 ? -1 : n.feature));
    threshold_.push_back(n.threshold);
    left_.push_back(0);
    right_.push_back(0);
    flag_.push_back(n.flag);
    value_.push_back(n.value);
    if (n.feature < 0) continue;
    for (const bool is_left : {false, true}) {
      const std::int64_t child = is_left ? n.left : n.right;
      if (child < 0 || static_cast<std::size_t>(child) >= nodes.size())
        fail_tree("node " + std::to_string(at.node) + " has child " + std::to_string(child) + ", must be one of its " + std::to_string(nodes.size()) + " nodes");
      open.push_back({static_cast<std::size_t>(child), here, is_left});
    }
  }
  roots_.push_back(begin);
  output_.push_back(static_cast<std::int32_t>(output));
}

double TreeBuilder::add_set(std::span<const std::uint32_t> words) {
  set_words_.insert(set_words_.end(), words.begin(), words.end());
  set_offsets_.push_back(static_cast<std::int64_t>(set_words_.size()));
  return static_cast<double>(set_offsets_.size() - 2);
}

TreeEnsemble TreeBuilder::finish(std::vector<double> base, std::int64_t num_features, bool float_rows, bool float_sums) && {
  if (num_features < 1 || num_features > 2147483647) fail("it has " + std::to_string(num_features) + " features, must have 1 to 2147483647");
  TreeEnsembleParts p;
  p.feature = Array(feature_);
  p.threshold = Array(threshold_);
  p.left = Array(left_);
  p.right = Array(right_);
  p.flag = Array(flag_);
  p.value = Array(value_);
  p.roots = Array(roots_);
  if (base.size() > 1) p.output = Array(output_);
  else
    for (const std::int32_t o : output_)
      if (o != 0) fail("a tree adds to output " + std::to_string(o) + ", and there is one output");
  p.set_offsets = Array(set_offsets_);
  p.set_words = Array(set_words_);
  p.base = std::move(base);
  p.num_features = static_cast<std::int32_t>(num_features);
  p.float_rows = float_rows;
  p.float_sums = float_sums;
  try {
    return TreeEnsemble(std::move(p));
  } catch (const std::invalid_argument& e) {
    fail(e.what());
  }
}

std::vector<std::uint32_t> set_of(std::span<const std::int64_t> categories, const TreeBuilder& builder) {
  std::vector<std::uint32_t> words;
  for (const std::int64_t c : categories) {
    if (c < 0 || c >= (1 << 24)) builder.fail_tree("category " + std::to_string(c) + ", must be in [0, 2^24)");
    const auto word = static_cast<std::size_t>(c / 32);
    if (word >= words.size()) words.resize(word + 1);
    words[word] |= std::uint32_t{1} << (c % 32);
  }
  return words;
}

}  // namespace etalage::trees
