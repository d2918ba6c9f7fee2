// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// How a member's scores of a query's n candidates become comparable with another's: kRank where scores have nothing in common or odd
/// outliers, kZScore where they are spread alike (the most accurate with factors and filters), kReciprocalRank where members are to be
/// trusted at the top of their lists only.
enum class FusionMethod : std::uint8_t {
  kRank,           ///< 1 - (rank - 1) / n: the share of the candidates that are not above
  kZScore,         ///< (score - mean) / standard deviation over the candidates
  kReciprocalRank  ///< 1 / (rrf_constant + rank)
};

/// As options spell them.
template <>
inline constexpr auto option_names<FusionMethod> = std::to_array<OptionName<FusionMethod>>(
    {{"rank", FusionMethod::kRank}, {"zscore", FusionMethod::kZScore}, {"rrf", FusionMethod::kReciprocalRank}});

/// Settings of BlendModel.
struct ETALAGE_EXPORT BlendOptions {
  FusionMethod method = FusionMethod::kRank;  ///< how members' answers become one
  std::vector<float> weights = {};  ///< one a member, >= 0, not all 0; empty means equal ones, until learn_weights()
  std::int32_t candidates = 500;  ///< taken from each member, >= 1; more where more results are asked for
  float rrf_constant = 60;        ///< of kReciprocalRank, > 0
  /// Leave out the newest item of a query. Not given: as the members do to which order matters; one that lists it has the last word.
  Auto<ExcludeLast> exclude_last = Auto<ExcludeLast>::unless_given(ExcludeLast::kSession);
  int num_threads = 0;            ///< of batch calls that do not say; 0 means all CPUs this process may use
  void validate() const;          ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "method", o.method, "weights", o.weights, OptionRule("finite and >= 0"),
                  "candidates", o.candidates, OptionRule(">= 1"), "rrf_constant", o.rrf_constant, OptionRule("finite and > 0"),
                  "exclude_last", o.exclude_last, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// A model of a blend, under the name by which weights and reports call it.
struct BlendMember {
  std::string name;  ///< of the member, unique in the blend
  std::shared_ptr<const Recommender> model;  ///< fitted
};

/// Several models as one: each proposes candidates, and each scores what all of them proposed.
///
///   score(q, i) = sum_m weight_m f_m(i),  f_m by the method, over C(q) = the union of the members' best `candidates`
///
/// Members    fitted models of the same users and items, not blends themselves; never changed by the blend
/// Candidates come from the members' own recommend(), so filters, seen items and cold starts are theirs; a vector model
///            that has an index is asked through it
/// Scores     an item outside C(q) is placed among C(q) by the members' scores of it. Scores of different queries are
///            not comparable
/// Similar    items: reciprocal ranks in the members' lists, weighted; members without the call are left out. Users: no
/// Explain    a member's share weight_m f_m(i) is divided among the history in proportion to the positive parts of that
///            member's own explanation, evenly where it has none; the parts sum to the score
/// Weights    learn_weights() maximises NDCGat k by coordinate search on held-out rows; the same answer for any number of
///            threads
/// Choose     where several models err differently: usually the most accurate, at the cost of all members' queries. Not where one is much better
///            than the rest, or where a few milliseconds a query are too many
/// Cost       a query is one recommend() and one score() of each member. Memory: the members; a file holds an array that
///            several of them share once
/// Threads    const members are safe to call concurrently; a single query never opens a parallel region
/// Errors     std::invalid_argument (names, sizes, weights)
/// Source     Cormack, Clarke, Buettcher, SIGIR 2009 (reciprocal rank fusion); Fox, Shaw, TREC-2 1994
class ETALAGE_EXPORT BlendModel final : public Recommender {
 public:
  /// Takes keys and history from the first member that has them.
  BlendModel(std::vector<BlendMember> members, BlendOptions options);
  ~BlendModel() override;

  [[nodiscard]] std::string_view kind() const noexcept override { return "Blend"; }
  [[nodiscard]] std::int32_t num_users() const noexcept override { return num_users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return num_items_; }
  [[nodiscard]] const BlendOptions& options() const noexcept { return options_; }
  [[nodiscard]] std::span<const BlendMember> members() const noexcept { return members_; }  ///< in the order of the weights
  /// In use, one a member; they sum to 1.
  [[nodiscard]] std::span<const float> weights() const noexcept { return weights_; }

  /// Sets the weights that rank held_out [users x items] best, each user asked with their row of `histories` (the rows that
  /// the members were fitted on) and up to max_users of them, evenly spaced; exclude_seen as in the queries to come, false
  /// where what is bought again counts; importance [num_users] >= 0 says how much each user's NDCG counts, empty means 1.
  /// Returns the mean NDCGat k reached, and leaves the weights alone when nobody has held-out items of any importance.
  double learn_weights(const CsrView& histories, const CsrView& held_out, int k = 20, int max_users = 4096,
                       int num_threads = 0, bool exclude_seen = true, std::span<const float> importance = {});
  /// The same with histories in order, one list a user at most, for members to which order matters.
  double learn_weights(const Sequences& histories, const CsrView& held_out, int k = 20, int max_users = 4096,
                       int num_threads = 0, bool exclude_seen = true, std::span<const float> importance = {});
  /// Sets the weights that rank next items best: what stands at a place of a list is asked for with the items before it as
  /// the session of somebody unknown, as evaluate_next() does. Places are the last of each list, or all but the first;
  /// up to max_places of them, evenly spaced. Returns the mean NDCGat k; leaves the weights alone when there is no place.
  double learn_weights_next(const Sequences& lists, bool last_only, int k = 20, int max_places = 4096, int num_threads = 0,
                            bool exclude_seen = false);

  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override;
  void recommend_batch(std::span<const Query> queries, MatrixView<ItemScore> out, std::span<std::size_t> counts,
                       int num_threads = 0) const override;
  void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
             Scratch& scratch) const override;
  std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                            const ItemFilter* filter = nullptr) const override;
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;
  [[nodiscard]] bool is_cold(const Query& query) const noexcept override;
  [[nodiscard]] bool excludes_last(const Query& query) const noexcept override;
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<BlendModel> from_state(const StateReader& reader);

 private:
  struct Working;  // a thread's own memory, in Scratch
  Working& working(Scratch& scratch) const;
  void set_weights(std::span<const float> weights);
  struct Lesson;  // queries and what answers them
  double learn(const Lesson& lesson, int k, int num_threads);
  [[nodiscard]] Lesson lesson_of(const std::function<Query(std::int32_t)>& query, const CsrView& held_out, int max_users,
                                 std::span<const float> importance) const;
  void gather(const Query& query, std::size_t per_member, Working& w) const;
  void compare(const Query& query, Working& w) const;
  [[nodiscard]] float comparable(const Working& w, std::size_t member, std::int32_t item, float score) const noexcept;
  void fuse(Working& w) const;
  /// answer(q, w, scratch) for every query, whose candidates w holds by then: members are asked in batches, answers come
  /// from several threads.
  void for_each_compared(std::span<const Query> queries, std::size_t per_member, int num_threads,
                         const std::function<void(std::size_t, Working&, Scratch&)>& answer) const;
  [[nodiscard]] std::size_t list_length(std::size_t k) const noexcept;

  std::vector<BlendMember> members_;
  BlendOptions options_;
  std::vector<float> weights_;
  std::int32_t num_users_ = 0;
  std::int32_t num_items_ = 0;
};

}  // namespace etalage
