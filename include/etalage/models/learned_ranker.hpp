// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/models/linear_ranker.hpp"
#include "etalage/models/ranking_features.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/trees/tree_ensemble.hpp"

namespace etalage {

/// Settings of LearnedRankerModel.
struct ETALAGE_EXPORT LearnedRankerOptions {
  std::int32_t candidates = 200;  ///< taken from each source, >= 1; more where more results are asked for
  std::int32_t anchors = 10;      ///< newest items of a history that similarity is measured to, >= 1
  /// Leave out the newest item of a query. Not given: as the sources do to which order matters; one that lists it has the last word.
  Auto<ExcludeLast> exclude_last = Auto<ExcludeLast>::unless_given(ExcludeLast::kSession);
  float placement = std::numeric_limits<float>::quiet_NaN();  ///< served as this; NaN: not known
  float position = std::numeric_limits<float>::quiet_NaN();   ///< served as this; NaN: not known
  double half_life_days = 30;     ///< of the signal "recent", > 0
  std::int32_t neighbors = 100;   ///< of each item, that anchors are looked up in, >= 1
  std::string learning = {};      ///< how the scorer was learned, for whoever made it; kept in files, never read
  int num_threads = 0;            ///< of batch calls that do not say; 0 means all CPUs this process may use
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "candidates", o.candidates, OptionRule(">= 1"), "anchors", o.anchors, OptionRule(">= 1"),
                  "exclude_last", o.exclude_last, "half_life_days", o.half_life_days, OptionRule("finite and > 0"),
                  "neighbors", o.neighbors, OptionRule(">= 1"), "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// Lists to learn from: candidates of queries, their features, and what was taken.
struct ETALAGE_EXPORT RankingLists {
  std::vector<std::int64_t> offsets{0};   ///< [lists + 1]
  std::vector<std::int32_t> queries;      ///< [lists] which of the queries asked for
  std::vector<std::int32_t> groups;       ///< [lists] lists of one shopper or visit have one number: what a resample draws together
  std::vector<std::int32_t> relevant;     ///< [lists] what was held out, whether a candidate or not
  std::vector<std::int32_t> items;        ///< [rows]
  std::vector<float> gains;               ///< [rows] 1 where the item was held out
  std::vector<float> rows;                ///< [rows x features]
  std::int64_t asked = 0;                 ///< queries; those without a held-out candidate have no list
};

/// What scores rows of features: linear(x) + trees(x). One of them may be absent.
struct RankerScorer {
  LinearRanker linear = {};  ///< empty: absent
  std::optional<TreeEnsemble> trees = {};  ///< of one output
};

/// A second stage: the sources propose candidates, and what was learned from features of (question, item) orders them.
///
///   score(q, i) = linear(x(q, i)) + trees(x(q, i)),  i in C(q) = the union of the sources' best `candidates`
///
/// Features   RankingFeatures: columns of each source, over C(q): the score, z = (score - mean) / deviation, share =
///            1 - above / n, top = 1 / (1 + above), above the candidates with a better score; with p = max(0, score): new =
///            ln(p / sum of p over what the shopper does not have + .001), missing for what they have; again = ln(p / sum over
///            C(q) + .001), missing for what they do not have; sure, the largest new of C(q), missing where new is. Then those of
///            the item and the shopper. What is not known is NaN. One piece of code makes them for learning and for answering
/// Scores     an item outside C(q) is placed among C(q). Scores of different queries are not comparable
/// History    kept rows are in order, with their times where they are known. A history that is given without times and equals
///            the kept row has the times of that
/// Choose     where there is a log of what was taken, or of what was shown, to learn an order from; a Blend needs a few weights only, and less
///            data. It orders what its sources propose and finds nothing that they do not
/// Cost       a query is one recommend() and one score() of each source, and one row of features a candidate
/// Threads    const members are safe to call concurrently; a single query never opens a parallel region
/// Errors     std::invalid_argument (names, sizes, features), NotFittedError before set_scorer()
class ETALAGE_EXPORT LearnedRankerModel final : public Recommender {
 public:
  /// signals of as many items as the sources know (ItemSignals::of(histories, ...)); histories of the same users, as of the
  /// same moment.
  LearnedRankerModel(std::vector<BlendMember> sources, ItemSignals signals, const Sequences& histories, LearnedRankerOptions options = {});
  ~LearnedRankerModel() override;

  [[nodiscard]] std::string_view kind() const noexcept override { return "LearnedRanker"; }
  [[nodiscard]] std::int32_t num_users() const noexcept override { return num_users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return num_items_; }
  [[nodiscard]] const LearnedRankerOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::span<const BlendMember> sources() const noexcept { return sources_; }  ///< models whose candidates it orders
  [[nodiscard]] const ItemSignals& signals() const noexcept { return signals_; }  ///< what it knows of products
  [[nodiscard]] std::vector<std::string> feature_names() const;  ///< [num_features()]
  /// Columns of a row.
  [[nodiscard]] std::size_t num_features() const noexcept {
    return sources_.size() * RankingFeatures::kColumnsOfSource + RankingFeatures::kColumns;
  }

  void set_learning(std::string learning) { options_.learning = std::move(learning); }  ///< what it learned from, for files; no part of answers
  void set_served_at(float placement, float position);  ///< the options of these names
  /// What answers from now on. linear and trees must know num_features() features; one of them may be absent.
  void set_scorer(LinearRanker linear, std::optional<TreeEnsemble> trees = {});
  [[nodiscard]] const LinearRanker& linear() const noexcept { return scorer_.linear; }
  [[nodiscard]] const std::optional<TreeEnsemble>& trees() const noexcept { return scorer_.trees; }
  /// Models of the same features that were learned from bootstrap resamples (bootstrap_weights), for exploration alone
  /// (PlacePolicy::kBootstrap): answers do not read them. 2 to 256 of them, or none.
  void set_bag(std::vector<RankerScorer> bag);
  [[nodiscard]] std::span<const RankerScorer> bag() const noexcept { return bag_; }

  /// The candidates of queries with what was held out (each ascending, once), in the order of the queries. Where a list has
  /// more than max_negatives others, that many of them are drawn (seed). Bit-identical for any number of threads.
  [[nodiscard]] RankingLists lists(std::span<const Query> queries, std::span<const std::vector<std::int32_t>> relevant,
                                   std::size_t max_negatives, std::uint64_t seed = 0, int num_threads = 0) const;
  /// Of the users with held-out items (users x items), by their kept rows; up to max_users, evenly spaced.
  [[nodiscard]] RankingLists lists(const CsrView& held_out, std::int32_t max_users, bool exclude_seen, std::size_t max_negatives,
                                   std::uint64_t seed = 0, int num_threads = 0) const;
  /// Of places of lists, as BlendModel::learn_weights_next asks for them.
  [[nodiscard]] RankingLists lists_next(const Sequences& lists, bool last_only, std::int32_t max_places, bool exclude_seen,
                                        std::size_t max_negatives, std::uint64_t seed = 0, int num_threads = 0) const;
  /// Features of given items into out [items.size() x num_features()], as recommend() makes them.
  void features(const Query& query, std::span<const std::int32_t> items, MatrixView<float> out, Scratch& scratch) const;

  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override;
  void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out, Scratch& scratch) const override;
  /// Scores of candidates that somebody else proposed, each once: C(q) is `candidates`, and no source is asked for its list.
  /// out [candidates.size()]; by_models [bag().size() x candidates.size()] what each model of the bag says, or empty.
  void rank(const Query& query, std::span<const std::int32_t> candidates, std::span<float> out, Scratch& scratch,
            std::span<float> by_models = {}) const;
  [[nodiscard]] bool is_cold(const Query& query) const noexcept override;
  [[nodiscard]] bool excludes_last(const Query& query) const noexcept override;
  void set_history(CsrMatrix history) override;
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<LearnedRankerModel> from_state(const StateReader& reader);

 private:
  struct Working;
  LearnedRankerModel(std::vector<BlendMember> sources, ItemSignals signals, LearnedRankerOptions options);
  Working& working(Scratch& scratch) const;
  [[nodiscard]] Query asked_of(const Query& query, Working& w) const;
  void gather(const Query& query, std::size_t per_source, Working& w) const;
  void compare(const Query& query, Working& w) const;
  void weigh(const ShopperContext& shopper, Working& w) const;
  void rows_of(const Query& query, std::span<const std::int32_t> items, float* out, Working& w) const;
  [[nodiscard]] ShopperContext context_of(const Query& query, Working& w) const;
  void score_rows(const Query& query, std::span<const std::int32_t> items, std::span<float> out, std::span<float> by_models, Working& w) const;
  void check_scorer(const RankerScorer& scorer) const;
  [[nodiscard]] RankingLists lists_of(std::size_t queries, const std::function<Query(std::size_t)>& query,
                                      const std::function<std::span<const std::int32_t>(std::size_t)>& relevant,
                                      std::size_t max_negatives, std::uint64_t seed, int num_threads) const;
  [[nodiscard]] std::size_t list_length(std::size_t k) const noexcept;
  void require_scorer() const;

  std::vector<BlendMember> sources_;
  ItemSignals signals_;
  LearnedRankerOptions options_;
  Array<std::int64_t> history_times_;  // beside history_.columns, or empty
  RankerScorer scorer_;
  std::vector<RankerScorer> bag_;
  std::int32_t num_users_ = 0;
  std::int32_t num_items_ = 0;
};

}  // namespace etalage
