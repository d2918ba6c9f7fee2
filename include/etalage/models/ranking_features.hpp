// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// What a learned ranker knows of the products at one moment. Everything but counts may be absent (an empty array).
struct ETALAGE_EXPORT ItemSignals {
  Array<float> counts;               ///< [items] events
  Array<float> again;                ///< [items] log odds that the next event of a list is on the same item, smoothed; absent without lists of two
  Array<float> recent;               ///< [items] sum of 2^(-age / half-life) over events; needs times
  Array<std::int64_t> first_ms;      ///< [items] first event, UTC milliseconds; kNever without one
  Array<std::int64_t> last_ms;       ///< [items] last event; kNever without one
  Array<float> prices;               ///< [items] > 0, NaN unknown
  Array<std::int32_t> categories;    ///< [items] -1 unknown
  Array<float> vectors;              ///< [items x dimensions], rows of length 1, or all NaN where unknown
  std::int32_t dimensions = 0;  ///< columns of signals beside the fixed ones
  CsrMatrix neighbors;               ///< items x items, cosine of the sets of shoppers; columns ascend
  std::optional<std::int64_t> now_ms;  ///< newest event
  double recent_share = 0;           ///< sum of recent / sum of counts

  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();  ///< stands for a time that is not known

  /// Counts, times and neighbors of ordered histories; prices, categories and vectors are set by whoever has them.
  /// half_life_days > 0; num_neighbors >= 1 of each item are kept.
  [[nodiscard]] static ItemSignals of(const Sequences& histories, double half_life_days = 30, std::int32_t num_neighbors = 100,
                                      int num_threads = 0);
  /// std::invalid_argument names the array, the value and the rule. Makes vectors' rows of length 1.
  void set_facts(Array<float> item_prices, Array<std::int32_t> item_categories, Array<float> item_vectors);
  [[nodiscard]] std::int32_t num_items() const noexcept { return static_cast<std::int32_t>(counts.size()); }

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static ItemSignals from_state(const StateReader& reader);
};

/// A shopper at the moment of a question: items oldest first; times beside them or empty.
struct ShopperContext {
  std::span<const std::int32_t> items;  ///< oldest first
  std::span<const std::int64_t> times;  ///< UTC milliseconds [items.size()], or empty
  std::optional<std::int64_t> now_ms;  ///< when the question is asked
};

/// The columns behind those of the sources, in this order. Missing is NaN, never 0.
///
///   popularity            log(1 + events of the item)
///   recent, trend         log(1 + r), r the decayed events; log((1 + r) / (1 + events * share)), share that of all items
///   age_days, idle_days   log(1 + days) since the item's first and last event
///   price                 log(price)
///   history               log(1 + events of the shopper)
///   shopper_idle_days     log(1 + days) since the shopper's last event
///   popularity_gap        popularity minus its mean over the history
///   price_gap, price_band log(price) minus its mean over the history; the same over the deviation there (at least .1)
///   category_share        share of the history's items of known category that are of this item's
///   category_steps        1 / (1 + steps back to the last of them), 0 where there is none
///   times_taken           log(1 + events of the item in the history)
///   steps_since           1 / (1 + steps back to the item's last event); missing where there is none
///   days_since            log(1 + days) since that event
///   anchor_last, _best, _mean   cosine with the last item, the best and the mean over the last `anchors` items
///   vector_last, _best, _mean   the same of the vectors
///   repeat_rate           of the last item of the history: log odds that it follows itself (ItemSignals::again); missing for others
///   repeat_run            of the last item: log of how many events in a row it has had; missing for others
///   repeats               of items of the history: log(1 + its events that were not the first on their item); missing for others
///   placement, position   where the item stood; fixed when served
class ETALAGE_EXPORT RankingFeatures {
 public:
  /// Numbers of the columns.
  enum Column : std::size_t {
    kPopularity, kRecent, kTrend, kAgeDays, kIdleDays, kPrice, kHistory, kShopperIdleDays, kPopularityGap, kPriceGap, kPriceBand,
    kCategoryShare, kCategorySteps, kTimesTaken, kStepsSince, kDaysSince, kAnchorLast, kAnchorBest, kAnchorMean, kVectorLast,
    kVectorBest, kVectorMean, kRepeatRate, kRepeatRun, kRepeats, kPlacement, kPosition, kColumns
  };
  /// Numbers of a source's columns.
  enum SourceColumn : std::size_t { kScore, kZ, kShare, kTop, kNew, kAgain, kSure, kColumnsOfSource };
  /// Names of all columns, those of the sources first: "<name>.score", ".z", ".share", ".top", ".new", ".again", ".sure".
  [[nodiscard]] static std::vector<std::string> names(std::span<const std::string> sources);

  /// Working memory, one a thread.
  struct Scratch {
    /// Place of an item among the candidates, -1 between calls.
    std::vector<std::int32_t> slot;  // [items], -1 between calls
    std::vector<std::int32_t> anchors;  ///< newest items of the history
    std::vector<std::int32_t> seen;  ///< the history, ascending
  };
  /// Writes kColumns of each of items [n] to out + i * stride; placement and position are NaN. Items may repeat.
  static void compute(const ItemSignals& signals, const ShopperContext& shopper, std::size_t anchors,
                      std::span<const std::int32_t> items, float* out, std::size_t stride, Scratch& scratch);
};

}  // namespace etalage
