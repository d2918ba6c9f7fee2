// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "etalage/trees/tree_ensemble.hpp"

namespace etalage::trees {

/// A node as a file names it: children are places in the same vector of nodes.
struct RawNode {
  std::int64_t feature = -1;  ///< -1 for a leaf
  double threshold = 0;
  std::int64_t left = -1, right = -1;
  std::uint8_t flag = 0;
  double value = 0;
};

/// Puts trees of a file one behind the other, parents first. FormatError names the file's kind, the tree and the node.
class TreeBuilder {
 public:
  explicit TreeBuilder(std::string kind) : kind_(std::move(kind)) {}

  void add(std::span<const RawNode> nodes, std::size_t root, std::int64_t output);
  /// The number of a new set of categories, for RawNode::threshold.
  double add_set(std::span<const std::uint32_t> words);
  [[nodiscard]] TreeEnsemble finish(std::vector<double> base, std::int64_t num_features, bool float_rows, bool float_sums) &&;

  [[noreturn]] void fail(const std::string& what) const;
  /// fail() with the number of the tree that is being read.
  [[noreturn]] void fail_tree(const std::string& what) const;

 private:
  std::string kind_;
  std::vector<std::int32_t> feature_, left_, right_, roots_, output_;
  std::vector<double> threshold_, value_;
  std::vector<std::uint8_t> flag_;
  std::vector<std::int64_t> set_offsets_{0};
  std::vector<std::uint32_t> set_words_;
};

/// The words of a set of categories, each below 2^24 (what a float32 holds exactly).
[[nodiscard]] std::vector<std::uint32_t> set_of(std::span<const std::int64_t> categories, const TreeBuilder& builder);

}  // namespace etalage::trees
