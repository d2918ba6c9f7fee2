// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/core/scratch.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// What a node takes for missing. A NaN that is not missing counts as 0 (LightGBM's missing_type None).
enum class MissingType : std::uint8_t { kNone = 0, kZero = 1, kNaN = 2 };

/// What a tree ensemble is made of; one entry a node unless said otherwise.
///
/// A node asks one thing of a row. Numerical: row[feature] <= threshold goes to left, else to right. Categorical: a value
/// whose whole part is in the node's set goes to left, else to right. A missing value goes where the flags say.
struct TreeEnsembleParts {
  static constexpr std::uint8_t kMissingLeft = 1;   ///< bit 0: what is missing goes to the left
  static constexpr int kMissingShift = 1;           ///< bits 1 and 2: MissingType
  static constexpr std::uint8_t kCategorical = 8;   ///< bit 3: threshold is the number of a set
  /// The byte of `flag`.
  static constexpr std::uint8_t flags(bool missing_left, MissingType type, bool categorical = false) noexcept {
    return static_cast<std::uint8_t>((missing_left ? kMissingLeft : 0) | (static_cast<int>(type) << kMissingShift) | (categorical ? kCategorical : 0));
  }

  Array<std::int32_t> feature;        ///< -1 for a leaf
  Array<double> threshold;            ///< or the number of a set
  Array<std::int32_t> left;           ///< a later node, the child of this one alone
  Array<std::int32_t> right;          ///< the same
  Array<std::uint8_t> flag;  ///< [nodes] what flags() gives
  Array<double> value;                ///< what a leaf adds
  Array<std::int32_t> roots;          ///< [trees]
  Array<std::int32_t> output;         ///< [trees], to which output a tree adds; empty: all to output 0
  Array<std::int64_t> set_offsets;    ///< [sets + 1] into set_words; may be empty where nothing is categorical
  Array<std::uint32_t> set_words;     ///< bit c % 32 of word c / 32: category c is in the set
  std::vector<double> base{0.0};      ///< [outputs], what the sum begins with
  std::int32_t num_features = 0;  ///< columns that a row must have
  bool float_rows = false;            ///< rows are rounded to float32 first (XGBoost, CatBoost)
  bool float_sums = false;            ///< sums are made in float32 (XGBoost)
};

namespace trees {
class MaskScorer;
}

/// A sum of decision trees, scored without the library that grew them: gradient boosting of LightGBM, XGBoost, CatBoost or
/// scikit-learn. Files of theirs are read by load_tree_model (etalage/io/tree_files.hpp).
///
/// Algorithm many rows: eight rows at a time; each tree keeps the leaves still reachable as bits of a word, and the nodes
///           whose answer is "right" strike out the leaves to their left. Nodes of one feature lie by threshold over all
///           trees, so that a scan ends at the first one that no row exceeds (Lucchese et al., QuickScorer, SIGIR 2015, and
///           its vectorised form, SIGIR 2016). Trees of more than 64 leaves, and single rows, are walked.
/// Bits      leaves are added tree by tree in the order of the file, in float64 (XGBoost: float32) as the library itself does
/// Threads   immutable; safe to call concurrently; with a warm Scratch no allocation
/// Errors    std::invalid_argument names the array and the node; std::invalid_argument for rows of another length
class ETALAGE_EXPORT TreeEnsemble {
 public:
  TreeEnsemble();
  explicit TreeEnsemble(TreeEnsembleParts parts);  ///< std::invalid_argument names the array and the node
  /// One output, numerical splits, NaN missing; nan_left [nodes] is not 0 where it goes to the left.
  TreeEnsemble(Array<std::int32_t> feature, Array<double> threshold, Array<std::int32_t> left, Array<std::int32_t> right,
               Array<std::uint8_t> nan_left, Array<double> value, Array<std::int32_t> roots, double base, std::int32_t num_features);

  /// The raw score of one row [num_features]: base plus one leaf of each tree. Needs num_outputs() == 1.
  [[nodiscard]] double margin(std::span<const float> row) const;
  [[nodiscard]] double margin(std::span<const double> row) const;

  /// Raw scores of rows [n, num_features] into out [n * num_outputs], row by row. On the calling thread.
  void predict(MatrixView<const double> rows, std::span<double> out, Scratch& scratch) const;
  void predict(MatrixView<const float> rows, std::span<double> out, Scratch& scratch) const;
  /// The same on up to num_threads threads, 0 all CPUs of the process; equal bits for any number.
  void predict(MatrixView<const double> rows, std::span<double> out, int num_threads = 0) const;
  void predict(MatrixView<const float> rows, std::span<double> out, int num_threads = 0) const;

  [[nodiscard]] std::size_t num_trees() const noexcept { return parts_.roots.size(); }  ///< roots
  [[nodiscard]] std::size_t num_nodes() const noexcept { return parts_.feature.size(); }  ///< inner nodes and leaves of all trees
  [[nodiscard]] std::int32_t num_features() const noexcept { return parts_.num_features; }  ///< columns that a row must have
  [[nodiscard]] std::size_t num_outputs() const noexcept { return parts_.base.size(); }  ///< raw scores a row
  [[nodiscard]] const TreeEnsembleParts& parts() const noexcept { return parts_; }  ///< the arrays as they are kept

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static TreeEnsemble from_state(const StateReader& reader);

 private:
  TreeEnsembleParts parts_;
  std::shared_ptr<const trees::MaskScorer> scorer_;
};

}  // namespace etalage
