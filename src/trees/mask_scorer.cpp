// SPDX-License-Identifier: Apache-2.0
#include "trees/mask_scorer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "trees/tree_walk.hpp"

namespace etalage::trees {
namespace {


/// Leaves of one tree from left to right, and for each inner node the leaves [first, middle) that lie to its left.
struct Layout {
  std::vector<std::size_t> leaves;
  struct Inner {
    std::size_t node;
    std::size_t first = 0, middle = 0;
  };
  std::vector<Inner> inner;
};

/// False when the tree has more leaves than fit into a word.
bool lay_out(const TreeEnsembleParts& p, std::size_t root, Layout& out) {
  out.leaves.clear();
  out.inner.clear();
  // In order, without recursion: a chain of leaves may be as deep as the tree has nodes.
  struct Step {
    std::size_t node;
    std::size_t inner;  // of out.inner
    bool left_done;
  };
  std::vector<Step> open;
  std::size_t at = root;
  for (;;) {
    if (p.feature[at] >= 0) {
      out.inner.push_back({at, out.leaves.size(), 0});
      open.push_back({at, out.inner.size() - 1, false});
      at = static_cast<std::size_t>(p.left[at]);
      continue;
    }
    out.leaves.push_back(at);
    if (out.leaves.size() > MaskScorer::kMaxLeaves) return false;
    while (!open.empty() && open.back().left_done) open.pop_back();
    if (open.empty()) return true;
    Step& parent = open.back();
    parent.left_done = true;
    out.inner[parent.inner].middle = out.leaves.size();
    at = static_cast<std::size_t>(p.right[parent.node]);
  }
}

std::uint64_t without(std::size_t first, std::size_t middle) {
  const std::size_t n = middle - first;
  const std::uint64_t ones = n >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << n) - 1;
  return ~(ones << first);
}

}  // namespace

MaskScorer::MaskScorer(const TreeEnsembleParts& p) {
  const std::size_t trees = p.roots.size();
  std::map<std::int32_t, std::uint32_t> rows;
  const auto row_of = [&](std::int32_t feature) {
    const auto [it, fresh] = rows.try_emplace(feature, static_cast<std::uint32_t>(features_.size()));
    if (fresh) features_.push_back(feature);
    return it->second;
  };
  struct Node {
    std::int32_t feature;
    MissingType missing;
    double threshold;
    std::uint32_t tree;
    std::uint64_t keep;
    bool missing_left;
  };
  std::vector<Node> nodes;
  Layout layout;
  leaf_begin_.assign(trees, -1);
  for (std::size_t begin = 0; begin < trees; begin += kTreesOfBlock) {
    const std::size_t end = std::min(trees, begin + kTreesOfBlock);
    Block block{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), static_cast<std::uint32_t>(groups_.size()), 0,
                static_cast<std::uint32_t>(categorical_.size()), 0};
    nodes.clear();
    for (std::size_t t = begin; t < end; ++t) {
      if (!lay_out(p, static_cast<std::size_t>(p.roots[t]), layout)) continue;
      leaf_begin_[t] = static_cast<std::int64_t>(leaves_.size());
      for (const std::size_t leaf : layout.leaves) leaves_.push_back(p.value[leaf]);
      for (const Layout::Inner& inner : layout.inner) {
        const std::uint64_t keep = without(inner.first, inner.middle);
        const std::uint8_t flag = p.flag[inner.node];
        if ((flag & TreeEnsembleParts::kCategorical) != 0) {
          categorical_.push_back({row_of(p.feature[inner.node]), static_cast<std::uint32_t>(inner.node), static_cast<std::uint32_t>(t - begin), keep});
        } else {
          nodes.push_back({p.feature[inner.node], missing_type(flag), p.threshold[inner.node], static_cast<std::uint32_t>(t - begin), keep,
                           (flag & TreeEnsembleParts::kMissingLeft) != 0});
        }
      }
    }
    std::stable_sort(nodes.begin(), nodes.end(), [](const Node& a, const Node& b) {
      return std::tie(a.feature, a.missing, a.threshold) < std::tie(b.feature, b.missing, b.threshold);
    });
    for (std::size_t i = 0; i < nodes.size();) {
      Group group{row_of(nodes[i].feature), nodes[i].missing, static_cast<std::uint32_t>(threshold_.size()), 0,
                  static_cast<std::uint32_t>(right_.size()), 0};
      const std::size_t first = i;
      for (; i < nodes.size() && nodes[i].feature == nodes[first].feature && nodes[i].missing == nodes[first].missing; ++i) {
        threshold_.push_back(nodes[i].threshold);
        tree_.push_back(nodes[i].tree);
        keep_.push_back(nodes[i].keep);
        if (!nodes[i].missing_left && nodes[i].missing != MissingType::kNone) right_.push_back({nodes[i].tree, nodes[i].keep});
      }
      group.end = static_cast<std::uint32_t>(threshold_.size());
      group.right_end = static_cast<std::uint32_t>(right_.size());
      groups_.push_back(group);
    }
    block.group_end = static_cast<std::uint32_t>(groups_.size());
    block.categorical_end = static_cast<std::uint32_t>(categorical_.size());
    blocks_.push_back(block);
  }
}

void MaskScorer::prepare(Buffers& buffers) const {
  const std::size_t values = features_.size() * kernels::kTreeRows;
  if (buffers.values.size() < values) buffers.values = Array<double>(values, uninitialized);
  if (buffers.masks.empty()) buffers.masks = Array<std::uint64_t>(kTreesOfBlock * kernels::kTreeRows, uninitialized);
}

template <class T, class Sum>
void MaskScorer::add(const TreeEnsembleParts& p, const T* const* rows, Buffers& buffers, Sum* sums) const {
  const kernels::TreeMasksTable& kernel = kernels::tree_masks();
  double* values = buffers.values.mutable_data();
  std::uint64_t* masks = buffers.masks.mutable_data();
  for (std::size_t f = 0; f < features_.size(); ++f) {
    const auto column = static_cast<std::size_t>(features_[f]);
    for (std::size_t r = 0; r < kernels::kTreeRows; ++r) {
      const auto x = static_cast<double>(rows[r][column]);
      values[f * kernels::kTreeRows + r] = p.float_rows ? static_cast<double>(static_cast<float>(x)) : x;
    }
  }
  const std::size_t outputs = p.base.size();
  alignas(64) double known[kernels::kTreeRows];
  for (const Block& block : blocks_) {
    std::fill_n(masks, (block.last_tree - block.first_tree) * kernels::kTreeRows, ~std::uint64_t{0});
    for (std::uint32_t g = block.group_begin; g < block.group_end; ++g) {
      const Group& group = groups_[g];
      const double* x = values + std::size_t{group.value} * kernels::kTreeRows;
      unsigned missing = 0;
      for (std::size_t r = 0; r < kernels::kTreeRows; ++r) {
        const bool nan = x[r] != x[r];
        const bool gone = nan || (group.missing == MissingType::kZero && std::abs(x[r]) <= kZeroThreshold);
        missing |= static_cast<unsigned>(gone) << r;
      }
      if (missing != 0) {
        // A NaN that is not missing counts as 0; what is missing is above no threshold and follows the flags below.
        const bool as_zero = group.missing == MissingType::kNone;
        for (std::size_t r = 0; r < kernels::kTreeRows; ++r)
          known[r] = ((missing >> r) & 1u) == 0 ? x[r] : as_zero ? 0.0 : -std::numeric_limits<double>::infinity();
        x = known;
        if (as_zero) missing = 0;
      }
      kernel.strike({threshold_.data() + group.begin, tree_.data() + group.begin, keep_.data() + group.begin, group.end - group.begin}, x, masks);
      for (; missing != 0; missing &= missing - 1) {
        const auto r = static_cast<std::size_t>(std::countr_zero(missing));
        for (std::uint32_t i = group.right_begin; i < group.right_end; ++i) masks[right_[i].tree * kernels::kTreeRows + r] &= right_[i].keep;
      }
    }
    for (std::uint32_t i = block.categorical_begin; i < block.categorical_end; ++i) {
      const CategoricalNode& node = categorical_[i];
      for (std::size_t r = 0; r < kernels::kTreeRows; ++r)
        if (!goes_left(p, node.node, values[std::size_t{node.value} * kernels::kTreeRows + r])) masks[node.tree * kernels::kTreeRows + r] &= node.keep;
    }
    for (std::size_t t = block.first_tree; t < block.last_tree; ++t) {
      const std::size_t output = p.output.empty() ? 0 : static_cast<std::size_t>(p.output[t]);
      const std::int64_t leaves = leaf_begin_[t];
      if (leaves >= 0) {
        const std::uint64_t* mask = masks + (t - block.first_tree) * kernels::kTreeRows;
        const double* value = leaves_.data() + leaves;
        for (std::size_t r = 0; r < kernels::kTreeRows; ++r) sums[r * outputs + output] += static_cast<Sum>(value[std::countr_zero(mask[r])]);
      } else {
        for (std::size_t r = 0; r < kernels::kTreeRows; ++r) sums[r * outputs + output] += static_cast<Sum>(p.value[walk(p, static_cast<std::size_t>(p.roots[t]), rows[r])]);
      }
    }
  }
}

template void MaskScorer::add(const TreeEnsembleParts&, const float* const*, Buffers&, float*) const;
template void MaskScorer::add(const TreeEnsembleParts&, const float* const*, Buffers&, double*) const;
template void MaskScorer::add(const TreeEnsembleParts&, const double* const*, Buffers&, float*) const;
template void MaskScorer::add(const TreeEnsembleParts&, const double* const*, Buffers&, double*) const;

}  // namespace etalage::trees
