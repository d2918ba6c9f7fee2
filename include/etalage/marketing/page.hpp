// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"

namespace etalage::marketing {

/// How places earn. Both take weights: the probability that a place is looked at. `position`: a place is clicked with weight x score,
/// whatever stands elsewhere (position-based model). `cascade`: places are looked at in the falling order of their weights (equal ones in
/// the order of the page) and the first click ends the visit: weight x score x the product of (1 - score) of all places before.
enum class ClickModel : std::uint8_t { position, cascade };

/// How many places of the page candidates of one kind (a category, a brand, a promotion) take.
struct PageLimit {
  std::string name;  ///< for messages
  std::int64_t at_least = 0;  ///< of the page's products; >= 0
  std::int64_t at_most = std::numeric_limits<std::int64_t>::max();  ///< of the page's products; >= at_least
};

/// A promised place: this candidate stands in this place of its row, wherever the row stands.
struct PagePin {
  std::size_t cell = 0;  ///< row of the cells
  std::int32_t slot = 0;  ///< of the page, from 0 on
};

inline constexpr std::int32_t kAnywhere = -1;    ///< of a row: where it is best, or not on the page
inline constexpr std::int32_t kMustAppear = -2;  ///< where it is best, and on the page

/// Candidate rows with their candidates, and the page that they may fill. Views only: the memory is the caller's and is not kept.
/// A cell is one candidate of one row; a product may be a candidate of several rows, once in each.
struct PageProblem {
  std::span<const std::int64_t> offsets;        ///< [rows + 1] into items and scores
  std::span<const std::int64_t> items;          ///< [cells], products, any number
  std::span<const double> scores;               ///< [cells], worth of being looked at, >= 0; cascade: probability of a click, < 1
  std::span<const std::int32_t> slots;          ///< [positions], places of each row of the page, from the top
  std::span<const double> weights;              ///< [places], position by position, >= 0 (cascade: at most 1)
  ClickModel click_model = ClickModel::position;  ///< how looks fall from place to place
  /// 0: nothing repeats. Otherwise a product may stand in several rows, and its n-th place in the order of looking is worth
  /// temperature^(n - 1) of its score; at most 1.
  double temperature = 0;
  std::span<const std::int64_t> limit_offsets;  ///< [cells + 1] into limit_of: the limits that a cell counts in; empty: none
  std::span<const std::int32_t> limit_of;
  std::span<const PageLimit> limits;
  std::span<const std::int32_t> row_position;   ///< [rows], a position, kAnywhere or kMustAppear; empty: anywhere
  std::span<const PagePin> pins;
  std::int32_t max_showings = 3;  ///< with a temperature: places of one product, promised ones not counted
};
/// Settings of compose_page().
struct PageOptions {
  double target_gap = 5e-3;     ///< prices are no longer changed once the gap is below
  std::int32_t max_steps = 3;   ///< changes of the prices
  std::int32_t min_items = 1;   ///< a row with fewer products is not shown; rows that must appear are
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "target_gap", o.target_gap, OptionRule("finite and >= 0"), "max_steps", o.max_steps, OptionRule("in [0, 100000]"),
                  "min_items", o.min_items, OptionRule(">= 1"));
  }
};

/// A page and what no page can exceed.
struct PageLayout {
  std::vector<std::int32_t> rows;          ///< [positions], candidate row, -1: none
  std::vector<std::int64_t> cells;         ///< [places], candidate, -1: empty
  double value = 0;                        ///< by the click model
  double bound = 0;                        ///< no page that keeps the limits is worth more
  double gap = 0;                          ///< (bound - value) / bound, 0 when both are 0
  std::vector<double> limit_prices;        ///< [limits], > 0 where a maximum binds, < 0 where a minimum does
  std::vector<std::int64_t> given;         ///< [limits], places taken
};

/// Rows and places of one page together: nothing repeats (or only at a lower worth), limits and promised places hold.
///
/// Method    Lagrangian relaxation, as allocate(): prices of showing a product twice, by an auction of the places with bids forward
///           and reverse (Bertsekas), and of limits, by subgradients. At given prices the best products of all rows in all positions are
///           read off upper envelopes and the best order of rows is an assignment, so any prices give a bound on every page. A cascade is
///           concave in sums of -log(1 - score); its tangents bound it by a position model, whose weights are those at the page found.
/// Cost      O(steps x rows x (candidates + places)) and the bids; no parallel loop
/// Bits      the same for the same input
/// Errors    std::invalid_argument names the argument, the value and the rule, and for promises that cannot hold what clashes, and
///           whether that was proved or only not found
[[nodiscard]] ETALAGE_EXPORT PageLayout compose_page(const PageProblem& problem, const PageOptions& options = {});

/// Number of the period in which a shopper's page should not change: floor((now + offset) / period), with an offset of the shopper's
/// own, so that not all pages change at once. Same units for both; period > 0.
[[nodiscard]] ETALAGE_EXPORT std::int64_t page_period(std::string_view shopper, std::string_view salt, std::int64_t now, std::int64_t period);

}  // namespace etalage::marketing
