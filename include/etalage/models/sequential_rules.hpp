// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/directed_items.hpp"
#include "etalage/models/gap_weight.hpp"

namespace etalage {

/// Settings of the sequential rules.
struct ETALAGE_EXPORT SequentialRulesOptions {
  GapWeight weighting = GapWeight::kDiv;  ///< of the gap d between a rule's items
  std::int32_t max_gap = 10;         ///< j at most this many places behind i makes a rule i -> j, >= 1
  float min_support = 0;             ///< rules whose weights sum to less are dropped, >= 0
  std::int32_t num_neighbors = 500;  ///< strongest rules kept for each item, >= 1
  float query_decay = 0;             ///< places after which an item of the query weighs 1/e; 0 means all weigh the same
  std::int32_t max_history = 1;      ///< newest items of a query whose rules count, >= 1
  Auto<ExcludeLast> exclude_last = Auto<ExcludeLast>::unless_given(ExcludeLast::kSession);  ///< leave out the newest item of a query
  bool keep_history = true;          ///< keep the lists, so that a user can be asked for by index
  int num_threads = 0;               ///< 0 means all CPUs
  void validate() const;             ///< throws std::invalid_argument: field, value, bound
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "weighting", o.weighting, "max_gap", o.max_gap, OptionRule(">= 1, at most 65536"),
                  "min_support", o.min_support, OptionRule("finite and >= 0"), "num_neighbors", o.num_neighbors, OptionRule(">= 1"),
                  "query_decay", o.query_decay, OptionRule("finite and >= 0 (0 means no decay)"), "max_history", o.max_history, OptionRule(">= 1"),
                  "exclude_last", o.exclude_last, "keep_history", o.keep_history, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// Sequential rules i -> j: who took i took j some places later.
///
/// W(i, j)    confidence: sum over pairs of places of i and, d <= max_gap places behind it, j of weight(d), divided by
///            the occurrences of i. A gap never crosses from one list to the next
/// Scores     as DirectedItemModel says; by default from the newest item alone
/// Choose     for the next click on a page of which nothing else is known, or where a merchant must be able to read the rules; Transitions and
///            SessionKNN are ahead where more than the newest item is known
/// Cost       fit O(events x max_gap) time; num_items x num_neighbors x 8 bytes at most
/// Repeats    bit-identical for any num_threads
/// Errors     std::invalid_argument (options, no lists), NotFittedError; UnsupportedError for similar_users
/// Source     Ludewig and Jannach, UMUAI 2018 (SR), with confidence in place of counts
class ETALAGE_EXPORT SequentialRulesModel final : public DirectedItemModel {
 public:
  static constexpr std::string_view kKind = "SequentialRules";  ///< its kind in files
  explicit SequentialRulesModel(SequentialRulesOptions options = {});  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return kKind; }
  [[nodiscard]] const SequentialRulesOptions& options() const noexcept { return options_; }
  FitReport fit(const Sequences& sequences, const ProgressCallback& callback = {});

  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<SequentialRulesModel> from_state(const StateReader& reader);

 protected:
  [[nodiscard]] Auto<ExcludeLast>* exclude_last_option() noexcept override { return &options_.exclude_last; }

 private:
  SequentialRulesOptions options_;
};

}  // namespace etalage
