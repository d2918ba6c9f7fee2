// SPDX-License-Identifier: Apache-2.0
#include "etalage/trees/tree_ensemble.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/scratch.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "trees/mask_scorer.hpp"
#include "trees/tree_walk.hpp"

namespace etalage {
namespace {

// A chunk long enough that its buffers do not count.
constexpr std::size_t kRowsOfChunk = 32 * kernels::kTreeRows;

void check(const TreeEnsembleParts& p) {
  const std::size_t n = p.feature.size();
  detail::require(n < (std::size_t{1} << 31), "feature.size()", n, "below 2^31");
  const auto sized = [&](std::size_t size, const char* name) {
    if (size != n) throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) + " entries, must have one for each of the " + std::to_string(n) + " nodes");
  };
  sized(p.threshold.size(), "threshold");
  sized(p.left.size(), "left");
  sized(p.right.size(), "right");
  sized(p.flag.size(), "flag");
  sized(p.value.size(), "value");
  detail::require(p.num_features >= 1, "num_features", p.num_features, ">= 1");
  detail::require(!p.base.empty() && p.base.size() <= 65536, "base.size()", p.base.size(), "in [1, 65536]");
  for (const double b : p.base) detail::require_finite(true, "base", b, "finite");
  if (!p.output.empty() && p.output.size() != p.roots.size())
    throw std::invalid_argument("output has " + std::to_string(p.output.size()) + " entries, must have one for each of the " + std::to_string(p.roots.size()) + " trees");
  for (const std::int32_t o : p.output)
    if (o < 0 || static_cast<std::size_t>(o) >= p.base.size()) throw std::invalid_argument("output holds " + std::to_string(o) + ", must be below the " + std::to_string(p.base.size()) + " outputs");
  const std::size_t sets = p.set_offsets.empty() ? 0 : p.set_offsets.size() - 1;
  for (std::size_t s = 0; s < p.set_offsets.size(); ++s)
    if (s == 0 ? p.set_offsets[0] != 0 : p.set_offsets[s] < p.set_offsets[s - 1] || p.set_offsets[s] > static_cast<std::int64_t>(p.set_words.size()))
      throw std::invalid_argument("set_offsets[" + std::to_string(s) + "] is " + std::to_string(p.set_offsets[s]) + ", must rise from 0 to at most the words of sets");
  const auto count = static_cast<std::int64_t>(n);
  const auto bad = [](const char* name, std::size_t node, const char* rule) {
    throw std::invalid_argument(std::string(name) + " of node " + std::to_string(node) + " must be " + rule);
  };
  // One parent for each node, so that a tree cannot be larger than its arrays.
  std::vector<bool> taken(n);
  for (const std::int32_t r : p.roots) {
    if (r < 0 || r >= count) throw std::invalid_argument("roots holds " + std::to_string(r) + ", must be a node");
    if (taken[static_cast<std::size_t>(r)]) throw std::invalid_argument("roots holds " + std::to_string(r) + " twice, must be different nodes");
    taken[static_cast<std::size_t>(r)] = true;
  }
  const auto child = [&](std::int32_t c, const char* name, std::size_t parent) {
    // Later than its parent: every walk ends.
    if (c <= static_cast<std::int64_t>(parent) || c >= count) bad(name, parent, "a later node");
    if (taken[static_cast<std::size_t>(c)]) bad(name, parent, "the child of no other node");
    taken[static_cast<std::size_t>(c)] = true;
  };
  for (std::size_t i = 0; i < n; ++i) {
    if (p.feature[i] < 0) {
      if (!std::isfinite(p.value[i])) bad("value", i, "finite");
      continue;
    }
    if (p.feature[i] >= p.num_features) bad("feature", i, "below num_features");
    if (std::isnan(p.threshold[i])) bad("threshold", i, "a number");
    if ((p.flag[i] & ~0xFu) != 0 || trees::missing_type(p.flag[i]) > MissingType::kNaN) bad("flag", i, "one of TreeEnsembleParts::flags()");
    if ((p.flag[i] & TreeEnsembleParts::kCategorical) != 0 &&
        !(p.threshold[i] >= 0 && p.threshold[i] < static_cast<double>(sets) && p.threshold[i] == std::floor(p.threshold[i])))
      bad("threshold", i, "the number of a set");
    child(p.left[i], "left", i);
    child(p.right[i], "right", i);
  }
}

template <class T>
double margin_of(const TreeEnsembleParts& p, std::span<const T> row) {
  detail::require(row.size() == static_cast<std::size_t>(p.num_features), "row.size()", row.size(), "num_features");
  detail::require(p.base.size() == 1, "num_outputs", p.base.size(), "1 for margin(); see predict()");
  const auto sum = [&](auto total) {
    for (const std::int32_t root : p.roots)
      total += static_cast<decltype(total)>(p.value[trees::walk(p, static_cast<std::size_t>(root), row.data())]);
    return static_cast<double>(total);
  };
  return p.float_sums ? sum(static_cast<float>(p.base[0])) : sum(p.base[0]);
}

template <class T>
void require_shape(const TreeEnsembleParts& p, MatrixView<const T> rows, std::span<double> out) {
  if (rows.rows() != 0 && rows.cols() != static_cast<std::size_t>(p.num_features))
    throw std::invalid_argument("rows have " + std::to_string(rows.cols()) + " features, must have " + std::to_string(p.num_features));
  detail::require(out.size() / p.base.size() == rows.rows() && out.size() % p.base.size() == 0, "out.size()", out.size(), "rows x num_outputs");
}

/// Working memory of predict(): a part of Scratch.
struct TreeMemory {
  trees::MaskScorer::Buffers buffers;
  std::vector<double> sums;
  std::vector<float> float_sums;
};

/// Rows [begin, end) on this thread.
template <class T>
void predict_rows(const TreeEnsembleParts& p, const trees::MaskScorer& scorer, MatrixView<const T> rows, std::span<double> out, std::size_t begin,
                  std::size_t end, TreeMemory& memory) {
  scorer.prepare(memory.buffers);
  const std::size_t outputs = p.base.size();
  const T* block[kernels::kTreeRows];
  const auto run = [&](auto& sums) {
    using Sum = typename std::remove_reference_t<decltype(sums)>::value_type;
    sums.resize(std::max(sums.size(), kernels::kTreeRows * outputs));
    for (std::size_t first = begin; first < end; first += kernels::kTreeRows) {
      // The last block is filled up with its last row.
      for (std::size_t r = 0; r < kernels::kTreeRows; ++r) block[r] = rows.row(std::min(first + r, end - 1)).data();
      for (std::size_t r = 0; r < kernels::kTreeRows; ++r)
        for (std::size_t o = 0; o < outputs; ++o) sums[r * outputs + o] = static_cast<Sum>(p.base[o]);
      scorer.add(p, block, memory.buffers, sums.data());
      const std::size_t count = std::min(kernels::kTreeRows, end - first) * outputs;
      for (std::size_t i = 0; i < count; ++i) out[first * outputs + i] = static_cast<double>(sums[i]);
    }
  };
  if (p.float_sums) run(memory.float_sums);
  else run(memory.sums);
}

}  // namespace

TreeEnsemble::TreeEnsemble() : TreeEnsemble([] {
  TreeEnsembleParts p;
  p.num_features = 1;
  return p;
}()) {}

TreeEnsemble::TreeEnsemble(TreeEnsembleParts parts) : parts_(std::move(parts)) {
  check(parts_);
  scorer_ = std::make_shared<const trees::MaskScorer>(parts_);
}

TreeEnsemble::TreeEnsemble(Array<std::int32_t> feature, Array<double> threshold, Array<std::int32_t> left, Array<std::int32_t> right,
                           Array<std::uint8_t> nan_left, Array<double> value, Array<std::int32_t> roots, double base,
                           std::int32_t num_features)
    : TreeEnsemble([&] {
        TreeEnsembleParts p;
        p.flag = Array<std::uint8_t>(nan_left.size());
        std::uint8_t* flags = p.flag.mutable_data();
        for (std::size_t i = 0; i < nan_left.size(); ++i) flags[i] = TreeEnsembleParts::flags(nan_left[i] != 0, MissingType::kNaN);
        p.feature = std::move(feature);
        p.threshold = std::move(threshold);
        p.left = std::move(left);
        p.right = std::move(right);
        p.value = std::move(value);
        p.roots = std::move(roots);
        p.base = {base};
        p.num_features = num_features;
        return p;
      }()) {}

double TreeEnsemble::margin(std::span<const float> row) const { return margin_of(parts_, row); }
double TreeEnsemble::margin(std::span<const double> row) const { return margin_of(parts_, row); }

void TreeEnsemble::predict(MatrixView<const double> rows, std::span<double> out, Scratch& scratch) const {
  require_shape(parts_, rows, out);
  predict_rows(parts_, *scorer_, rows, out, 0, rows.rows(), scratch.impl().part<TreeMemory>());
}

void TreeEnsemble::predict(MatrixView<const float> rows, std::span<double> out, Scratch& scratch) const {
  require_shape(parts_, rows, out);
  predict_rows(parts_, *scorer_, rows, out, 0, rows.rows(), scratch.impl().part<TreeMemory>());
}

void TreeEnsemble::predict(MatrixView<const double> rows, std::span<double> out, int num_threads) const {
  require_shape(parts_, rows, out);
  detail::parallel_for(rows.rows(), kRowsOfChunk, num_threads, [&](std::size_t begin, std::size_t end, int) {
    TreeMemory memory;
    predict_rows(parts_, *scorer_, rows, out, begin, end, memory);
  });
}

void TreeEnsemble::predict(MatrixView<const float> rows, std::span<double> out, int num_threads) const {
  require_shape(parts_, rows, out);
  detail::parallel_for(rows.rows(), kRowsOfChunk, num_threads, [&](std::size_t begin, std::size_t end, int) {
    TreeMemory memory;
    predict_rows(parts_, *scorer_, rows, out, begin, end, memory);
  });
}

void TreeEnsemble::save_state(StateWriter& writer) const {
  const TreeEnsembleParts& p = parts_;
  writer.put_int("features", p.num_features);
  writer.put_doubles("bases", p.base);
  writer.put_int("float_rows", p.float_rows ? 1 : 0);
  writer.put_int("float_sums", p.float_sums ? 1 : 0);
  writer.put_array("feature", p.feature);
  writer.put_array("threshold", p.threshold);
  writer.put_array("left", p.left);
  writer.put_array("right", p.right);
  writer.put_array("flag", p.flag);
  writer.put_array("value", p.value);
  writer.put_array("roots", p.roots);
  writer.put_array("output", p.output);
  writer.put_array("set_offsets", p.set_offsets);
  writer.put_array("set_words", p.set_words);
}

TreeEnsemble TreeEnsemble::from_state(const StateReader& reader) {
  const Array<std::int32_t> feature = reader.get_array<std::int32_t>("feature");
  const std::size_t n = feature.size();
  const auto features = static_cast<std::int32_t>(reader.get_int("features", 1, std::int64_t{1} << 30));
  TreeEnsembleParts p;
  p.feature = feature;
  p.threshold = reader.get_array<double>("threshold", n);
  p.left = reader.get_array<std::int32_t>("left", n);
  p.right = reader.get_array<std::int32_t>("right", n);
  p.flag = reader.get_array<std::uint8_t>("flag", n);
  p.value = reader.get_array<double>("value", n);
  p.roots = reader.get_array<std::int32_t>("roots");
  p.output = reader.get_array<std::int32_t>("output");
  p.set_offsets = reader.get_array<std::int64_t>("set_offsets");
  p.set_words = reader.get_array<std::uint32_t>("set_words");
  p.base = reader.get_doubles("bases");
  p.float_rows = reader.get_int("float_rows", 0, 1) != 0;
  p.float_sums = reader.get_int("float_sums", 0, 1) != 0;
  p.num_features = features;
  return TreeEnsemble(std::move(p));
}

}  // namespace etalage
