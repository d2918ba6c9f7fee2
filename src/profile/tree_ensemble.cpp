// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/tree_ensemble.hpp"

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "detail/check.hpp"

namespace etalage {

TreeEnsemble::TreeEnsemble(Array<std::int32_t> feature, Array<double> threshold, Array<std::int32_t> left, Array<std::int32_t> right,
                           Array<std::uint8_t> nan_left, Array<double> value, Array<std::int32_t> roots, double base,
                           std::int32_t num_features)
    : feature_(std::move(feature)), threshold_(std::move(threshold)), left_(std::move(left)), right_(std::move(right)),
      nan_left_(std::move(nan_left)), value_(std::move(value)), roots_(std::move(roots)), base_(base), num_features_(num_features) {
  const std::size_t n = feature_.size();
  detail::require(n < (std::size_t{1} << 31), "feature.size()", n, "below 2^31");
  const auto sized = [&](std::size_t size, const char* name) {
    if (size != n) throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) + " entries, must have one for each of the " + std::to_string(n) + " nodes");
  };
  sized(threshold_.size(), "threshold");
  sized(left_.size(), "left");
  sized(right_.size(), "right");
  sized(nan_left_.size(), "nan_left");
  sized(value_.size(), "value");
  detail::require(num_features >= 1, "num_features", num_features, ">= 1");
  detail::require_finite(true, "base", base, "finite");
  const auto count = static_cast<std::int64_t>(n);
  const auto bad = [](const char* name, std::size_t node, const char* rule) {
    throw std::invalid_argument(std::string(name) + " of node " + std::to_string(node) + " must be " + rule);
  };
  for (const std::int32_t r : roots_)
    if (r < 0 || r >= count) throw std::invalid_argument("roots holds " + std::to_string(r) + ", must be a node");
  for (std::size_t i = 0; i < n; ++i) {
    if (feature_[i] < 0) {
      if (!std::isfinite(value_[i])) bad("value", i, "finite");
      continue;
    }
    if (feature_[i] >= num_features) bad("feature", i, "below num_features");
    if (std::isnan(threshold_[i])) bad("threshold", i, "a number");
    // Later than its parent: every walk ends.
    if (left_[i] <= static_cast<std::int64_t>(i) || left_[i] >= count) bad("left", i, "a later node");
    if (right_[i] <= static_cast<std::int64_t>(i) || right_[i] >= count) bad("right", i, "a later node");
  }
}

double TreeEnsemble::margin(std::span<const float> row) const {
  detail::require(row.size() == static_cast<std::size_t>(num_features_), "row.size()", row.size(), "num_features");
  double sum = base_;
  for (const std::int32_t root : roots_) {
    auto i = static_cast<std::size_t>(root);
    while (feature_[i] >= 0) {
      const auto x = static_cast<double>(row[static_cast<std::size_t>(feature_[i])]);
      const bool left = std::isnan(x) ? nan_left_[i] != 0 : x <= threshold_[i];
      i = static_cast<std::size_t>(left ? left_[i] : right_[i]);
    }
    sum += value_[i];
  }
  return sum;
}

void TreeEnsemble::save_state(StateWriter& writer) const {
  writer.put_int("features", num_features_);
  writer.put_double("base", base_);
  writer.put_array("feature", feature_);
  writer.put_array("threshold", threshold_);
  writer.put_array("left", left_);
  writer.put_array("right", right_);
  writer.put_array("nan_left", nan_left_);
  writer.put_array("value", value_);
  writer.put_array("roots", roots_);
}

TreeEnsemble TreeEnsemble::from_state(const StateReader& reader) {
  const Array<std::int32_t> feature = reader.get_array<std::int32_t>("feature");
  const std::size_t n = feature.size();
  return TreeEnsemble(feature, reader.get_array<double>("threshold", n), reader.get_array<std::int32_t>("left", n),
                      reader.get_array<std::int32_t>("right", n), reader.get_array<std::uint8_t>("nan_left", n),
                      reader.get_array<double>("value", n), reader.get_array<std::int32_t>("roots"), reader.get_double("base"),
                      static_cast<std::int32_t>(reader.get_int("features", 1, 65536)));
}

}  // namespace etalage
