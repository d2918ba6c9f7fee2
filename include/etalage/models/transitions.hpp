// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/directed_items.hpp"

namespace etalage {

/// Settings of the decayed item-to-item transitions.
struct ETALAGE_EXPORT TransitionsOptions {
  float forward = 1.0f;           ///< weight of j after i, >= 0
  float backward = 0.5f;          ///< weight of j before i, >= 0; one of the two must be > 0
  float decay = 5.0f;             ///< places after which a pair's weight falls to 1/e, >= 0; 0 means no decay
  std::int32_t window = 50;       ///< pairs farther apart do not count, >= 1
  float row_exponent = 0.6f;      ///< W is divided by (sum of row i)^this, >= 0
  float column_exponent = 0.2f;   ///< and by (sum of column j)^this, >= 0
  float query_decay = 2.0f;       ///< places after which an item of the query weighs 1/e, >= 0; 0 means all weigh the same
  std::int32_t max_history = 50;  ///< newest items of a query that count, >= 1
  Auto<ExcludeLast> exclude_last = Auto<ExcludeLast>::unless_given(ExcludeLast::kSession);  ///< leave out the newest item of a query
  bool keep_history = true;       ///< keep the lists, so that a user can be asked for by index
  int num_threads = 0;            ///< 0 means all CPUs
  void validate() const;          ///< throws std::invalid_argument: field, value, bound
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "forward", o.forward, OptionRule("finite and >= 0"), "backward", o.backward, OptionRule("finite and >= 0"),
                  "decay", o.decay, OptionRule("finite and >= 0 (0 means no decay)"), "window", o.window, OptionRule(">= 1, at most 65536"),
                  "row_exponent", o.row_exponent, OptionRule("finite and >= 0"), "column_exponent", o.column_exponent, OptionRule("finite and >= 0"),
                  "query_decay", o.query_decay, OptionRule("finite and >= 0 (0 means no decay)"), "max_history", o.max_history, OptionRule(">= 1"),
                  "exclude_last", o.exclude_last, "keep_history", o.keep_history, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// Decayed directed item-to-item transitions: what tends to come near what, and more so behind it.
///
/// W(i, j)    sum over pairs of places p of i and q of j in one list, d = |p - q| in [1, window], of
///            (q > p ? forward : backward) exp(-(d - 1) / decay)
/// Scores     as DirectedItemModel says, with r(i) = (sum_j W(i, j))^-row_exponent, c(j) = (sum_i W(i, j))^-column_exponent
/// Choose     for purchases or clicks in order, "what next?": fitted by counting, kept current by add_sessions(). Where tastes last and order
///            says little, EASE or ALS; LinearSequence is ahead where several past items say the same thing, and must be refitted
/// Cost       fit O(events x window) time; 8 bytes for each pair of items that occurs within the window
/// Repeats    bit-identical for any num_threads
/// Errors     std::invalid_argument (options, no lists), NotFittedError; UnsupportedError for similar_users
class ETALAGE_EXPORT TransitionsModel final : public DirectedItemModel {
 public:
  static constexpr std::string_view kKind = "Transitions";  ///< its kind in files
  explicit TransitionsModel(TransitionsOptions options = {});  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return kKind; }
  [[nodiscard]] const TransitionsOptions& options() const noexcept { return options_; }
  FitReport fit(const Sequences& sequences, const ProgressCallback& callback = {});
  /// Counts more lists in, as if they had been there at fit() (up to float rounding). Kept rows do not change. Keys on
  /// both sides are matched; new items join the catalogue. Costs what the lists hold and the rows of W of their items; the
  /// first call on a loaded model, and the first after a copy, goes once over all.
  void add_sessions(const Sequences& sequences);

  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<TransitionsModel> from_state(const StateReader& reader);

 protected:
  [[nodiscard]] Auto<ExcludeLast>* exclude_last_option() noexcept override { return &options_.exclude_last; }

 private:
  struct Sums;
  [[nodiscard]] CsrMatrix count_pairs(const Sequences& sequences) const;
  void sum_up();
  TransitionsOptions options_;
  std::shared_ptr<const Sums> sums_;  // made when they are first needed
};

}  // namespace etalage
