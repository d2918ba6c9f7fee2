// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

namespace detail {
class SparseScores;
struct SequenceScratch;
}  // namespace detail

/// A model to which order matters: what the models on Sequences share.
///
/// History    the items of a query, oldest first: the history (given, or the user's kept sequence), then the session
/// Kept rows  history() holds each user's items in order with repeats, not sorted; history_times() their times. A user with
///            several lists has them one behind the other
/// Scores     score(q, j) = what the model says + 1e-6 * count(j) / largest count. The last term orders what the model
///            says nothing about by popularity; it is the whole answer to an empty history
/// Lists      always min(k, allowed) long
/// Newest     the newest item of a session is what the shopper is looking at: where options do not say, it is left out
///            (kSession) unless kRepeatShare or more of the steps from an item to the next, in what was fitted and added, go to
///            the same item (kNo). kYes leaves out the newest item of a history too, where there is no session
/// Explain    one part for each distinct item of the history, repeats added up; the parts and the popularity term sum
///            to the score
/// Threads    const members are safe to call concurrently; a single query never opens a parallel region
class ETALAGE_EXPORT SequenceModel : public Recommender {
 public:
  /// From this share of immediate repeats on the newest item is listed where options do not say.
  static constexpr double kRepeatShare = 0.05;
  [[nodiscard]] std::int32_t num_users() const noexcept override { return num_users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return static_cast<std::int32_t>(counts_.size()); }
  [[nodiscard]] bool fitted() const noexcept { return fitted_; }
  [[nodiscard]] const FitReport& report() const noexcept { return report_; }
  /// How often each item occurred, float32 [num_items].
  [[nodiscard]] const Array<float>& counts() const noexcept { return counts_; }
  /// UTC milliseconds beside history().columns, or empty.
  [[nodiscard]] const Array<std::int64_t>& history_times() const noexcept { return history_times_; }
  /// Steps from an item of a list to the next, and how many of them go to the same item.
  [[nodiscard]] std::int64_t num_steps() const noexcept { return num_steps_; }
  [[nodiscard]] std::int64_t num_repeats() const noexcept { return num_repeats_; }
  /// Whether num_repeats() of num_steps() are kRepeatShare or more.
  [[nodiscard]] bool repeats_happen() const noexcept {
    return static_cast<double>(num_repeats_) >= kRepeatShare * static_cast<double>(std::max<std::int64_t>(num_steps_, 1));
  }
  /// What holds for queries that do not say: as options have it, or as the data decide.
  [[nodiscard]] ExcludeLast exclude_last() const noexcept { return exclude_last_; }
  [[nodiscard]] bool excludes_last(const Query& query) const noexcept override;

  /// Replaces the kept rows; columns in order, oldest first. Their times are not known.
  void set_history(CsrMatrix history) override;

  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override;
  void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
             Scratch& scratch) const override;
  /// Nothing for an item that never occurred.
  std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                            const ItemFilter* filter = nullptr) const override;
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;
  void save_state(StateWriter& writer) const override;

 protected:
  /// What a query says, in order. times is empty when the time of one item is not known; now is the query's, else the
  /// newest time of the model.
  struct OrderedItems {
    std::span<const std::int32_t> items;  ///< oldest first
    std::span<const std::int64_t> times;  ///< UTC milliseconds [items.size()], or empty
    std::optional<std::int64_t> now_ms;  ///< when the question is asked
  };

  SequenceModel() = default;
  /// When a query is asked that does not say so.
  [[nodiscard]] virtual std::optional<std::int64_t> default_now() const noexcept { return newest_ms_; }
  /// The model's option of this name, which what is counted settles; null without one.
  [[nodiscard]] virtual Auto<ExcludeLast>* exclude_last_option() noexcept { return nullptr; }
  /// Counts items and takes ids and, if wanted, rows. std::invalid_argument without a list or an item.
  void take_sequences(const Sequences& sequences, bool keep_history);
  /// Adds the counts and times of more sessions; grows the catalogue to hold their items.
  void add_counts(const Sequences& sequences);
  /// Another measure of popularity than the number of occurrences, float32 [num_items].
  void set_counts(Array<float> counts);
  /// `sequences` in this model's indices. Keys on both sides are matched by key, new ones get indices behind the last;
  /// without keys indices are taken as they are, and are std::invalid_argument beyond the catalogue of a model that has
  /// keys.
  [[nodiscard]] Sequences translated(const Sequences& sequences);
  void load_sequences(const StateReader& reader);
  void set_report(FitReport report) { report_ = std::move(report); }
  /// The report of a fit in closed form, kept; tells the callback.
  FitReport finish(const char* phase, double seconds, const ProgressCallback& callback, bool cancelled = false);
  void require_fitted() const;

  /// Adds the model's scores for the items of `history`.
  virtual void add_scores(const OrderedItems& history, detail::SparseScores& scores,
                          detail::SequenceScratch& scratch) const = 0;
  /// Adds the items like `item`.
  virtual void add_similar(std::int32_t item, detail::SparseScores& scores, detail::SequenceScratch& scratch) const = 0;
  /// parts[p] is what history.items[p] adds to the score of `item`; zero on entry.
  virtual void add_parts(const OrderedItems& history, std::int32_t item, std::span<float> parts,
                         detail::SequenceScratch& scratch) const = 0;

 private:
  [[nodiscard]] OrderedItems ordered(const Query& query, detail::SequenceScratch& scratch) const;
  [[nodiscard]] float prior(std::int32_t item) const noexcept { return counts_[static_cast<std::size_t>(item)] * prior_scale_; }
  void set_largest_count(float count) noexcept;
  void count_steps(const Sequences& sequences) noexcept;
  void settle_exclude_last() noexcept;
  std::size_t best(detail::SparseScores& scores, std::span<const std::int32_t> excluded, const ItemFilter* filter,
                   std::span<ItemScore> out, Scratch& scratch) const;

  bool fitted_ = false;
  FitReport report_;
  std::int32_t num_users_ = 0;
  float largest_count_ = 0;
  float prior_scale_ = 0;
  Array<float> counts_;
  Array<std::int64_t> history_times_;
  std::int64_t num_steps_ = 0;
  std::int64_t num_repeats_ = 0;
  ExcludeLast exclude_last_ = ExcludeLast::kSession;
};

/// Each user's items in order as CSR rows with values of 1, repeats kept; times go to `times` where there are any.
[[nodiscard]] ETALAGE_EXPORT CsrMatrix ordered_rows(const Sequences& sequences, Array<std::int64_t>* times = nullptr);
/// One more than the largest user of the sequences, or the number of their keys.
[[nodiscard]] ETALAGE_EXPORT std::int32_t count_users(const Sequences& sequences);

}  // namespace etalage
