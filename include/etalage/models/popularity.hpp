// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "etalage/core/event_log.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/item_rates.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// Settings of the popularity model.
struct ETALAGE_EXPORT PopularityOptions {
  /// What an item is ranked by.
  enum class Count : std::uint8_t {
    kWeights,  ///< the sum of the weights of an item's events
    kUsers,    ///< the number of users with a positive weight; with a half-life each counts by their newest event
    kRate      ///< reactions per look of what was shown; counted from impressions (ItemRates), no half-life
  };
  Count count = Count::kWeights;  ///< what an item is ranked by
  double half_life_days = 0;            ///< an event's weight halves in this time; 0 means no decay; > 0 needs times
  std::optional<std::int64_t> now_ms = {};   ///< what the age of an event counts from; by default the newest event
  bool keep_history = true;             ///< keep the rows, to leave out what a user has
  void validate() const;                ///< throws std::invalid_argument: field, value, bound
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "count", o.count, "half_life_days", o.half_life_days, OptionRule("finite and >= 0"), "keep_history", o.keep_history);
  }
};

template <>
inline constexpr auto option_names<PopularityOptions::Count> =
    std::to_array<OptionName<PopularityOptions::Count>>({{"weights", PopularityOptions::Count::kWeights},
                                                         {"users", PopularityOptions::Count::kUsers},
                                                         {"rate", PopularityOptions::Count::kRate}});

/// The same ranking for everyone: what is bought most, less what this shopper has.
///
/// Segments   with set_segments() a user of segment g is answered by its own ranking:
///            s_gi = sum over the segment's users of their weight of i + prior s_i / sum_j s_j; everybody else by s_i
/// Score      s_i = sum over events of i of weight * 2^(-(now - time) / half_life), or distinct users of i, or with kRate the rate
///            of i: what was never shown has the prior's, and takes its place among the others by it
/// Shapes     user_items CSR [n_users x n_items]; scores float32 [n_items]
/// Choose     as the yardstick, and as the answer to whom nothing is known of; it shows everybody the same few products
/// Cost       fit O(nnz + n_items log n_items); a query O(k + seen + denied), however large the catalogue;
///            20 bytes an item
/// Threads    const members are safe to call concurrently; fit() and partial_fit_*() need exclusive access
/// Repeats    bit-identical
/// Errors     std::invalid_argument (options, shapes, a half-life without times), NotFittedError;
///            UnsupportedError for similar_items and similar_users
class ETALAGE_EXPORT PopularityModel final : public Recommender {
 public:
  static constexpr std::string_view kKind = "Popularity";  ///< its kind in files

  explicit PopularityModel(PopularityOptions options = {});  ///< validates the options

  /// Weights as they stand (make them decay with InteractionOptions::half_life_days): an own half-life is an error here.
  FitReport fit(const Interactions& data);
  FitReport fit(const CsrMatrix& user_items);
  /// Each event by its value and the weight of its type; decays where half_life_days says so.
  FitReport fit(const EventLog& log, InteractionOptions weights = {});
  /// Every entry counts 1; decays by the sequences' times.
  FitReport fit(const Sequences& sequences);

  /// By rates [n_items] of what was shown; data says who has what. For Count::kRate, and the only fit that has it; segments and
  /// partial fits count events, so they are std::invalid_argument after it.
  FitReport fit(const Interactions& data, const ItemRates& rates);

  /// A ranking for each segment of users (a country, a tier of loyalty, new and old): user_segments [n_users] holds a
  /// number in [0, 65535], or -1 for none; empty takes the segments away. `prior` >= 0 is the weight of the overall
  /// ranking in each, in events: a segment of few events follows it. Needs kept rows; a fit takes the segments away, a
  /// partial fit counts them anew. 12 bytes a segment and item.
  void set_segments(std::span<const std::int32_t> user_segments, double prior = 100);
  [[nodiscard]] std::int32_t num_segments() const noexcept { return num_segments_; }

  /// Rows [users.size() x n_items] replace the kept rows of these users, and the scores follow. Needs kept rows.
  void partial_fit_users(std::span<const std::int32_t> users, const CsrView& user_items);
  /// Rows [items.size() x n_users] replace the kept columns of these items, and the scores follow.
  void partial_fit_items(std::span<const std::int32_t> items, const CsrView& item_users);

  [[nodiscard]] const PopularityOptions& options() const noexcept { return options_; }
  [[nodiscard]] const FitReport& report() const noexcept { return report_; }
  /// Score of every item, float32 [n_items].
  [[nodiscard]] const Array<float>& scores() const noexcept { return scores_; }
  /// Items by descending score, ties by lower index, int32 [n_items].
  [[nodiscard]] const Array<std::int32_t>& order() const noexcept { return order_; }

  [[nodiscard]] std::string_view kind() const noexcept override { return kKind; }
  [[nodiscard]] std::int32_t num_users() const noexcept override { return num_users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return static_cast<std::int32_t>(scores_.size()); }
  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override;
  void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
             Scratch& scratch) const override;
  /// The total is the score; there are no contributions, since the history has no part in it.
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;

  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<PopularityModel> from_state(const StateReader& reader);

 private:
  void fit_rows(const CsrMatrix& rows, const SharedIdMap& user_ids, const SharedIdMap& item_ids, const ItemRates* rates = nullptr);
  void require_events(const char* what) const;
  void count(const CsrView& rows, double sign, double* totals) const noexcept;
  /// The ranking by scores [n_items]: order and places, both [n_items].
  static void sort_items(std::span<const float> scores, std::int32_t* order, std::int32_t* places);
  void rank(std::span<const double> totals);
  void rank_segments();
  /// Where the arrays of the query's ranking begin: those of their segment, or of all.
  struct Ranking {
    std::span<const float> scores;
    std::span<const std::int32_t> order, places;
  };
  [[nodiscard]] Ranking ranking_of(const Query& query) const noexcept;
  void require_fitted() const;

  PopularityOptions options_;
  FitReport report_;
  bool fitted_ = false;
  std::int32_t num_users_ = 0;
  Array<double> totals_;        // [n_items], what partial fits go on from
  Array<float> scores_;         // [n_items]
  Array<std::int32_t> order_;   // [n_items]
  Array<std::int32_t> places_;  // [n_items], place of an item in order_
  std::int32_t num_segments_ = 0;
  double prior_ = 0;
  Array<std::int32_t> segments_;        // [n_users], or empty
  Array<float> segment_scores_;         // [num_segments x n_items]
  Array<std::int32_t> segment_order_;   // the same
  Array<std::int32_t> segment_places_;  // the same
};

}  // namespace etalage
