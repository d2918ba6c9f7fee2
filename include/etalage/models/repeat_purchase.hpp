// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/sequence_model.hpp"

namespace etalage {

/// Settings of the repeat-purchase model.
struct ETALAGE_EXPORT RepeatPurchaseOptions {
  float min_gap_days = 0.5f;      ///< purchases of an item closer than this are one, >= 0
  float item_shrinkage = 10.0f;   ///< an item's own rates count as n / (n + this) against those of all items, > 0
  float user_shrinkage = 2.0f;    ///< a user's own gaps against those of the item, > 0
  std::int64_t now_ms = 0;        ///< when queries are asked that do not say so, UTC milliseconds; 0: the newest event
  bool keep_history = true;       ///< keep the lists and their times
  int num_threads = 0;            ///< 0 means all CPUs; for batches
  void validate() const;          ///< throws std::invalid_argument: field, value, bound
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "min_gap_days", o.min_gap_days, OptionRule("finite and >= 0"),
                  "item_shrinkage", o.item_shrinkage, OptionRule("finite and > 0"), "user_shrinkage", o.user_shrinkage, OptionRule("finite and > 0"),
                  "now_ms", o.now_ms, OptionRule(">= 0 (0 means the newest event)"), "keep_history", o.keep_history,
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// What a shopper is about to buy again: a renewal model of the times between purchases of the same item.
///
/// Purchases  events of an item by a user less than min_gap_days after the one before belong to it
/// Again      a(i, m): the chance that the m-th purchase of i is followed by another. p(m) is that share over all items
///            (m from 8 on as one), n_i the purchases of i, r_i those that were followed, s the item_shrinkage:
///            a(i, m) = (r_i + s p(m)) / (n_i + s)
/// Gaps       log(days) between purchases is normal. Mean of all items mu with deviation sigma; of item i, from its g_i gaps,
///            mu_i = (sum log gap + s mu) / (g_i + s); of user u, from their own gaps of i, mu_ui = (sum log gap + t mu_i) / (g_ui + t),
///            t the user_shrinkage
/// Scores     for an item last bought d days before now, m times in all: the hazard of a purchase that may never come,
///            h = a f(d) / (1 - a F(d)), f and F the density (per day) and distribution of the gap;
///            a(i, m) alone where times are not known. Items not in the history score 0. Plus the popularity term, which
///            counts repeat purchases first (counts() is r_i + count_i / 1000)
/// Explain    the item's own h is the one part
/// Choose     for goods that are bought again, beside a model of what is new (Blend); it knows nothing where nobody buys twice
/// Cost       fit O(events log events of a user); a query O(history log history)
/// Repeats    bit-identical
/// Errors     std::invalid_argument (options, no lists), NotFittedError; UnsupportedError for similar_items, similar_users
/// Source     in the spirit of Bhagat et al., KDD 2018 (Buy It Again); gaps and censoring are modelled as said here
class ETALAGE_EXPORT RepeatPurchaseModel final : public SequenceModel {
 public:
  static constexpr std::string_view kKind = "RepeatPurchase";  ///< its kind in files
  explicit RepeatPurchaseModel(RepeatPurchaseOptions options = {});  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return kKind; }
  [[nodiscard]] const RepeatPurchaseOptions& options() const noexcept { return options_; }
  FitReport fit(const Sequences& sequences, const ProgressCallback& callback = {});
  /// When queries are asked that do not say so; 0: the newest event.
  void set_now(std::int64_t now_ms) noexcept { options_.now_ms = now_ms; }

  /// a(i, m), m >= 1.
  [[nodiscard]] double again(std::int32_t item, std::size_t purchases) const noexcept;
  /// exp(mu_i): the median days between purchases of an item; 0 without times.
  [[nodiscard]] double median_gap_days(std::int32_t item) const noexcept;

  std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                            const ItemFilter* filter = nullptr) const override;
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<RepeatPurchaseModel> from_state(const StateReader& reader);

 protected:
  [[nodiscard]] std::optional<std::int64_t> default_now() const noexcept override {
    return options_.now_ms != 0 ? std::optional<std::int64_t>(options_.now_ms) : newest_ms();
  }
  void add_scores(const OrderedItems& history, detail::SparseScores& scores, detail::SequenceScratch& scratch) const override;
  void add_similar(std::int32_t item, detail::SparseScores& scores, detail::SequenceScratch& scratch) const override;
  void add_parts(const OrderedItems& history, std::int32_t item, std::span<float> parts,
                 detail::SequenceScratch& scratch) const override;

 private:
  template <class Visit>
  void each_item(const OrderedItems& history, detail::SequenceScratch& scratch, const Visit& visit) const;

  RepeatPurchaseOptions options_;
  bool timed_ = false;
  double mu_ = 0;
  double sigma_ = 1;
  Array<double> shares_;           // p(m), [8]
  Array<float> purchases_;         // n_i
  Array<float> followed_;          // r_i
  Array<float> mean_log_gaps_;     // mu_i
};

}  // namespace etalage
