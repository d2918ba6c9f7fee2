// SPDX-License-Identifier: Apache-2.0
// Settings that fit by themselves: what options that were not given become, from the size and shape of the data alone. The rules and the
// evidence behind them are in docs/tuning.md. Every fit() applies them; here they can be asked without one.
#pragma once

#include <cstdint>

#include "etalage/export.hpp"

namespace etalage {

class Interactions;
struct AlsOptions;
struct BprOptions;
struct EaseOptions;
struct GraphFilterOptions;
struct ItemKnnOptions;
struct RandomWalkOptions;
struct WarpOptions;

/// What the rules look at.
struct ETALAGE_EXPORT DataShape {
  std::int64_t users = 0;  ///< rows of the data
  std::int64_t items = 0;  ///< columns of the data
  std::int64_t pairs = 0;  ///< stored entries
  double item_mean = 0;    ///< pairs an item with any

  [[nodiscard]] double density() const noexcept;  ///< pairs among all that could be, in [0, 1]
  /// Pairs a row of factors, of users and items alike.
  [[nodiscard]] double row_mean() const noexcept;
  /// Where popular items and long rows overlap so much that what is common says little.
  [[nodiscard]] bool dense() const noexcept { return density() >= 4e-3; }
  /// Where rows hold so little that what is common is the best guess.
  [[nodiscard]] bool is_short() const noexcept { return !dense() && row_mean() < 6; }
};
/// The shape of a matrix; a stored zero counts as a pair.
[[nodiscard]] ETALAGE_EXPORT DataShape shape_of(const Interactions& data);

/// The options with every Auto that was not given chosen; those that were given stay, and others follow them where they belong together.
[[nodiscard]] ETALAGE_EXPORT AlsOptions settled(AlsOptions options, const DataShape& shape);
[[nodiscard]] ETALAGE_EXPORT BprOptions settled(BprOptions options, const DataShape& shape);
[[nodiscard]] ETALAGE_EXPORT EaseOptions settled(EaseOptions options, const DataShape& shape);
[[nodiscard]] ETALAGE_EXPORT GraphFilterOptions settled(GraphFilterOptions options, const DataShape& shape);
[[nodiscard]] ETALAGE_EXPORT ItemKnnOptions settled(ItemKnnOptions options, const DataShape& shape);
[[nodiscard]] ETALAGE_EXPORT RandomWalkOptions settled(RandomWalkOptions options, const DataShape& shape, bool with_beta);
[[nodiscard]] ETALAGE_EXPORT WarpOptions settled(WarpOptions options, const DataShape& shape);

}  // namespace etalage
