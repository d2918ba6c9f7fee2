// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "etalage/core/array.hpp"
#include "etalage/core/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// A sum of decision trees, scored without the library that grew them: gradient boosting from scikit-learn or LightGBM.
///
/// Node i asks whether row[feature[i]] <= threshold[i] and goes to left[i] or right[i]; a leaf has feature -1 and adds
/// value[i]. A feature that is NaN goes to the left where nan_left[i] is not 0. Children come after their parents.
/// Shapes    every array [nodes]; roots [trees]
/// Threads   immutable; safe to call concurrently; no allocation
/// Errors    std::invalid_argument names the array and the node; std::invalid_argument for a row of another length
class ETALAGE_EXPORT TreeEnsemble {
 public:
  TreeEnsemble() = default;
  TreeEnsemble(Array<std::int32_t> feature, Array<double> threshold, Array<std::int32_t> left, Array<std::int32_t> right,
               Array<std::uint8_t> nan_left, Array<double> value, Array<std::int32_t> roots, double base, std::int32_t num_features);

  /// base plus one leaf of each tree; row [num_features].
  [[nodiscard]] double margin(std::span<const float> row) const;
  [[nodiscard]] std::size_t num_trees() const noexcept { return roots_.size(); }
  [[nodiscard]] std::size_t num_nodes() const noexcept { return feature_.size(); }
  [[nodiscard]] std::int32_t num_features() const noexcept { return num_features_; }

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static TreeEnsemble from_state(const StateReader& reader);

 private:
  Array<std::int32_t> feature_;
  Array<double> threshold_;
  Array<std::int32_t> left_;
  Array<std::int32_t> right_;
  Array<std::uint8_t> nan_left_;
  Array<double> value_;
  Array<std::int32_t> roots_;
  double base_ = 0;
  std::int32_t num_features_ = 0;
};

}  // namespace etalage
