// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/evaluation/metrics.hpp"
#include "etalage/evaluation/statistics.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// What is measured.
struct ETALAGE_EXPORT EvaluationOptions {
  std::vector<int> k{10, 20};                               ///< list lengths, each >= 1
  std::vector<std::string> metrics{"recall", "ndcg"};       ///< names as in metrics.hpp
  bool exclude_seen = true;       ///< items of the train row are not ranked, and not counted as relevant either
  bool recalculate_user = false;  ///< fold each user in from their train row instead of taking what was fitted
  bool check_fit = true;          ///< refuse a model whose fit held pairs that test asks for (fit_check.hpp)
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;          ///< throws std::invalid_argument: field, value, bound
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "k", o.k, OptionRule(">= 1"), "exclude_seen", o.exclude_seen, "recalculate_user", o.recalculate_user,
                  "check_fit", o.check_fit, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// Users by what train holds of them: those without history get a model's cold-start answer, and often decide which of two
/// models looks better.
enum class HistoryGroup : std::uint8_t { kAll, kWith, kWithout };

/// The outcome: one value a metric, k and user. Users are those with a relevant item; all means are over them.
class ETALAGE_EXPORT Evaluation {
 public:
  /// Everything that an evaluation holds, to keep it elsewhere.
  struct Parts {
    std::vector<std::string> names;  ///< of the metrics, "recall@20" say
    std::vector<double> values;  ///< [names] means over users
    std::vector<Array<double>> per_user;  ///< by name; empty for coverage
    Array<std::int32_t> user_index;  ///< [users] rows of test
    Array<std::uint8_t> has_history;  ///< [users] 1 where the user has rows in train
    std::vector<std::pair<int, double>> tied;  ///< by list length
    std::int64_t hidden = 0;  ///< relevant items of test that were left out because train has them
    double seconds = 0;  ///< of the measurement
  };
  Evaluation() = default;
  /// std::invalid_argument unless the sizes agree.
  explicit Evaluation(Parts parts);
  [[nodiscard]] Parts parts() const;

  /// "recall@10", "recall@20", "ndcg@10", ... in the order in which they were asked for.
  [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }
  /// The mean over users (for coverage, over the catalogue). std::invalid_argument lists the names for an unknown one;
  /// NaN when no user has a relevant item.
  [[nodiscard]] double value(std::string_view name) const;
  /// Share of the lists whose place k and the next place, listed or not, hold items of equal score: where their order is
  /// a matter of chance, and so is what a shopper would be shown. One of the lengths asked for, else std::invalid_argument.
  [[nodiscard]] double tied(int k) const;
  /// The mean over a group alone; NaN when nobody is in it. std::invalid_argument for coverage.
  [[nodiscard]] double value(std::string_view name, HistoryGroup group) const;
  /// float64 [users], in the order of user_index(). std::invalid_argument for coverage, which users do not have.
  [[nodiscard]] const Array<double>& per_user(std::string_view name) const;
  [[nodiscard]] Interval interval(std::string_view name, const ResamplingOptions& options = {}) const;
  /// This one minus the other on the same users.
  [[nodiscard]] PairedTest compare(const Evaluation& other, std::string_view name, const ResamplingOptions& options = {}) const;

  [[nodiscard]] std::int64_t users() const noexcept { return static_cast<std::int64_t>(user_index_.size()); }  ///< users that were measured
  [[nodiscard]] std::int64_t users(HistoryGroup group) const;  ///< of these, those of a group
  /// 1 where train holds something of the user, [users]; empty where there is no train: next items, rankings without one.
  [[nodiscard]] const Array<std::uint8_t>& has_history() const noexcept { return has_history_; }
  /// Row of the test matrix (or sequence, or row of the rankings) behind each value, ascending.
  [[nodiscard]] const Array<std::int32_t>& user_index() const noexcept { return user_index_; }
  /// Relevant items that were left out because the user has them in train.
  [[nodiscard]] std::int64_t hidden() const noexcept { return hidden_; }
  [[nodiscard]] double seconds() const noexcept { return seconds_; }  ///< spent in recommending and measuring

 private:
  friend class EvaluationBuilder;
  [[nodiscard]] std::size_t find(std::string_view name) const;
  std::vector<std::string> names_;
  std::vector<double> values_;
  std::vector<std::pair<int, double>> tied_;
  std::vector<Array<double>> per_user_;  // empty for coverage
  Array<std::int32_t> user_index_;
  Array<std::uint8_t> has_history_;
  std::int64_t hidden_ = 0;
  double seconds_ = 0;
};

/// Items with equal scores have no order of their own: every metric is its exact expectation over all orders of them (see
/// metric_at_k), so that it does not depend on how items are numbered. Items behind the list that tie with its last place
/// are found by asking the model for longer lists; the places that a short list lacks are misses, not ties.
///
/// Ranks the full catalogue for every user with a relevant item: an entry of their test row with a value > 0 that is not
/// in their train row (with exclude_seen). The train rows are given to the model as history.
/// Shapes   train and test [n_users x n_items]; the model covers all rows and exactly these items
/// Errors   std::invalid_argument: shapes or keys that differ, an unknown metric, a test without a relevant item
/// Repeats  the same bits for any thread count, as far as the model's answers are
[[nodiscard]] ETALAGE_EXPORT Evaluation evaluate(const Recommender& model, const CsrView& train, const CsrView& test,
                                                 const EvaluationOptions& options = {});
/// Checks too that both parts and the model mean the same shoppers and products by their indices.
[[nodiscard]] ETALAGE_EXPORT Evaluation evaluate(const Recommender& model, const Interactions& train, const Interactions& test,
                                                 const EvaluationOptions& options = {});
/// History in the order in which it happened, for models to which order matters.
[[nodiscard]] ETALAGE_EXPORT Evaluation evaluate(const Recommender& model, const Sequences& train, const CsrView& test,
                                                 const EvaluationOptions& options = {});

/// Measures lists that were made elsewhere: rankings int32 [n x k'], best first, -1 where a list ends, row j for user
/// users[j] (or user j where `users` is empty). With a train matrix, its items are not counted as relevant; a list that
/// holds them has them as misses. std::invalid_argument on repeats within a list, items or users out of range.
/// scores  [n x k'], descending in each list up to its end, or empty: the order is meant as it stands. With scores tied
///         items count as above; k' must be larger than k for ties across place k to be seen, and reach to their end.
[[nodiscard]] ETALAGE_EXPORT Evaluation evaluate_ranking(MatrixView<const std::int32_t> rankings, const CsrView& test,
                                                         std::span<const std::int32_t> users = {}, const CsrView* train = nullptr,
                                                         const EvaluationOptions& options = {}, MatrixView<const float> scores = {});

/// The same for lists that come block by block, each block as wide as it needs.
class ETALAGE_EXPORT RankingEvaluator {
 public:
  /// std::invalid_argument names the argument and the rule.
  RankingEvaluator(const CsrView& test, std::span<const std::int32_t> users = {}, const CsrView* train = nullptr,
                   const EvaluationOptions& options = {});
  ~RankingEvaluator();
  RankingEvaluator(RankingEvaluator&&) noexcept;
  RankingEvaluator& operator=(RankingEvaluator&&) noexcept;
  /// Row j of rankings and scores is the list of users[rows[j]] (or of user rows[j]). Errors as evaluate_ranking, and rows
  /// that were given before. After an error the evaluator is of no more use.
  void add(std::span<const std::int32_t> rows, MatrixView<const std::int32_t> rankings, MatrixView<const float> scores = {});
  /// Lists that were not given count as empty. Call once.
  [[nodiscard]] Evaluation finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Which places of a sequence are asked for.
enum class Positions : std::uint8_t {
  kLast,  ///< the last item of each sequence from all before it
  kAll    ///< each item from all before it
};

/// Next-item prediction: the model sees the items before a position as session (and the user, with `known_users`) and
/// ranks the catalogue; the item at the position is the only relevant one. Items may repeat within a sequence, so
/// exclude_seen is best left off. Sequences of one item are passed over. One value a position; user_index() holds the
/// sequence.
struct NextItemOptions {
  Positions positions = Positions::kLast;  ///< which places of a list are asked for
  std::vector<int> k{10, 20};  ///< lengths of lists; each >= 1
  std::vector<std::string> metrics{"hit_rate", "mrr", "ndcg"};  ///< "hit_rate", "mrr", "ndcg", "recall", "precision", "map"
  bool exclude_seen = false;  ///< whether what the list held before may not be named
  std::optional<bool> exclude_last = {};  ///< never list the item before the position; unset: as the model decides
  bool known_users = false;   ///< ask for the sequence's user of the fitted model, not for an unknown one
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
};
/// Asks a model for the next items of sequences.
[[nodiscard]] ETALAGE_EXPORT Evaluation evaluate_next(const Recommender& model, const Sequences& sequences,
                                                      const NextItemOptions& options = {});

}  // namespace etalage
