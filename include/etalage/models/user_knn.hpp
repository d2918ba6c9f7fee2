// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "etalage/core/array.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// Settings of user-based nearest neighbours. The similarities are those of ItemKNN with users and items in each other's
/// place: how alike two users are, from the items they share.
struct ETALAGE_EXPORT UserKnnOptions {
  Similarity similarity = Similarity::kCosine;  ///< of two users' rows
  std::int32_t num_neighbors = 100;  ///< users who are listened to, >= 1
  float shrinkage = 0;               ///< >= 0: pulls similarities that rest on few items towards 0
  float asymmetry = 0.5f;            ///< in [0, 1]
  float tversky_alpha = 1;           ///< >= 0
  float tversky_beta = 1;            ///< >= 0
  float popularity_penalty = 0.5f;   ///< of kConditional, in [0, 1]
  float bm25_k1 = 1.2f;              ///< > 0
  float bm25_b = 0.75f;              ///< in [0, 1]
  float item_damping = 0;            ///< d >= 0: what two users share in item i counts by (users of i)^-d
  bool normalize = false;            ///< divide the neighbours' weights by their sum, so that scores are averages
  bool keep_history = true;          ///< keep the training rows as the users' histories
  int num_threads = 0;               ///< of batches; 0 means all CPUs
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    each_similarity_option(o, visit);
    visit_options(visit, "item_damping", o.item_damping, OptionRule("finite and >= 0"), "normalize", o.normalize,
                  "keep_history", o.keep_history, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// User-based nearest neighbours: what the most similar users have.
///
/// Scores     score(q, j) = sum over the num_neighbors users v most similar to q of s(q, v) r_vj, s > 0
/// Who        a user stands for their history (the kept row, or the query's), a session item counts 1: nobody is unknown. A
///            fitted user is no neighbour of themselves
/// Cold start a query without any history or session is answered by popularity: the share of the users that have j
/// Similar    users by s, the others (which share nothing) follow with 0; items by the cosine of their sets of users
/// Explain    a history item's part is what it adds to the similarities that speak for the item: parts sum to the score
/// Choose     where users are few and items many, or to blend: nothing is trained, but a query goes through all users of its items,
///            so popular items make it slow
/// Cost       fit O(nnz); a query goes through the users of its items; memory 24 bytes an interaction
/// Threads    const members are safe to call concurrently; a single query never opens a parallel region
/// Repeats    bit-identical
/// Errors     std::invalid_argument (options, matrix), NotFittedError
/// Source     Resnick et al., CSCW 1994; Aiolli, RecSys 2013 (asymmetric cosine)
class ETALAGE_EXPORT UserKnnModel final : public Recommender {
 public:
  explicit UserKnnModel(UserKnnOptions options = {});  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return "UserKNN"; }
  [[nodiscard]] std::int32_t num_users() const noexcept override { return static_cast<std::int32_t>(rows_.rows); }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return static_cast<std::int32_t>(rows_.cols); }
  [[nodiscard]] bool fitted() const noexcept { return !rows_.offsets.empty(); }
  [[nodiscard]] const UserKnnOptions& options() const noexcept { return options_; }
  [[nodiscard]] const FitReport& report() const noexcept { return report_; }
  FitReport fit(const Interactions& data, const ProgressCallback& callback = {});

  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override;
  void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
             Scratch& scratch) const override;
  std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                            const ItemFilter* filter = nullptr) const override;
  std::size_t similar_users(std::int32_t user, std::span<ItemScore> out, Scratch& scratch) const override;
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<UserKnnModel> from_state(const StateReader& reader);

 private:
  struct Taste;
  void require_fitted() const;
  void prepare();
  [[nodiscard]] Taste taste_of(const Query& query, Scratch& scratch) const;
  /// All s(q, v) > 0 as keys, unordered, in scratch.keys; returns how many.
  std::size_t similarities(const Taste& taste, std::int32_t self, Scratch& scratch) const;
  /// The neighbours of the query in scratch.heap (item holds the user), best first.
  void neighbours(const Query& query, const Taste& taste, Scratch& scratch) const;
  /// The scores of all items into scratch.vector [num_items].
  void accumulate(const Query& query, Scratch& scratch) const;

  UserKnnOptions options_;
  CsrMatrix rows_;             // [num_users x num_items], as fitted
  CsrMatrix item_users_;       // [num_items x num_users], the damped weights
  Array<float> idf_;           // [num_items]
  Array<double> square_;       // [num_users]
  Array<float> popularity_;    // [num_items], share of the users
  double mean_length_ = 0;
  Array<float> column_times_;  // [num_users], from square_
  Array<float> column_plus_;
  FitReport report_;
};

}  // namespace etalage
