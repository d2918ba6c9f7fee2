// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "etalage/trees/tree_ensemble.hpp"
#include "kernels/tree_masks.hpp"

namespace etalage::trees {

/// The nodes of an ensemble laid out for kTreeRows rows at a time: blocks of trees whose words stay in the first cache, in
/// each the nodes by feature and threshold. Made once from checked parts; does not refer to them.
class MaskScorer {
 public:
  static constexpr std::size_t kMaxLeaves = 64;
  static constexpr std::size_t kTreesOfBlock = 128;

  explicit MaskScorer(const TreeEnsembleParts& parts);

  struct Buffers {
    Array<double> values;        ///< [used features][kTreeRows]
    Array<std::uint64_t> masks;  ///< [kTreesOfBlock][kTreeRows]
  };
  void prepare(Buffers& buffers) const;

  /// Sums of the rows at `rows` (kTreeRows pointers; the same row may stand in several) into sums [kTreeRows][outputs],
  /// which hold where the sums begin.
  template <class T, class Sum>
  void add(const TreeEnsembleParts& parts, const T* const* rows, Buffers& buffers, Sum* sums) const;

 private:
  struct Group {
    std::uint32_t value;  ///< row of Buffers::values
    MissingType missing;
    std::uint32_t begin, end;                 ///< numerical nodes
    std::uint32_t right_begin, right_end;     ///< nodes (numerical ones of the group) that send what is missing to the right
  };
  struct CategoricalNode {
    std::uint32_t value;
    std::uint32_t node;  ///< of the parts
    std::uint32_t tree;
    std::uint64_t keep;
  };
  struct Right {
    std::uint32_t tree;
    std::uint64_t keep;
  };
  struct Block {
    std::uint32_t first_tree, last_tree;
    std::uint32_t group_begin, group_end;
    std::uint32_t categorical_begin, categorical_end;
  };

  std::vector<std::int32_t> features_;  ///< used ones, by row of Buffers::values
  std::vector<Block> blocks_;
  std::vector<Group> groups_;
  std::vector<double> threshold_;
  std::vector<std::uint32_t> tree_;
  std::vector<std::uint64_t> keep_;
  std::vector<Right> right_;
  std::vector<CategoricalNode> categorical_;
  std::vector<std::int64_t> leaf_begin_;  ///< [trees] into leaves_; -1: a tree to walk
  std::vector<double> leaves_;            ///< from left to right
};

}  // namespace etalage::trees
