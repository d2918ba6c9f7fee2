// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/gap_weight.hpp"
#include "etalage/models/sequence_model.hpp"

namespace etalage {

/// Weight of the item at place i = 1 ... L of a query of L items.
enum class PlaceWeight : std::uint8_t {
  kDiv,          ///< i / L
  kQuadratic,    ///< (i / L)^2
  kLinear,       ///< max(0, 1 - 0.1 (L - i))
  kLog,          ///< 1 / log10(L - i + 1.7)
  kSame,         ///< 1
  kExponential   ///< exp(-(L - i) / place_decay)
};
/// As options spell them.
template <>
inline constexpr auto option_names<PlaceWeight> = std::to_array<OptionName<PlaceWeight>>(
    {{"div", PlaceWeight::kDiv}, {"quadratic", PlaceWeight::kQuadratic}, {"linear", PlaceWeight::kLinear},
     {"log", PlaceWeight::kLog}, {"same", PlaceWeight::kSame}, {"exponential", PlaceWeight::kExponential}});

/// Settings of session-based nearest neighbours.
struct ETALAGE_EXPORT SessionKnnOptions {
  std::int32_t num_neighbors = 500;         ///< k: most similar sessions that vote, >= 1
  std::int32_t recent_sessions = 5000;      ///< m: newest sessions with an item of the query that are looked at, >= 1
  PlaceWeight weighting = PlaceWeight::kQuadratic;  ///< of the query's items in the similarity
  float place_decay = 2;                    ///< of kExponential, > 0
  GapWeight score_weighting = GapWeight::kDiv;  ///< of a neighbour by the age d = 1, 2, ... of the newest item shared with it
  float idf_weight = 5;                     ///< items count 1 + idf_weight log(sessions / count), >= 0
  float item_decay = 0;                     ///< an item of a neighbour d places from the newest shared one counts exp(-d / this); 0: 1
  float backward = 1;                       ///< weight of items that come before the newest shared one, >= 0
  float length_exponent = 0;                ///< similarity is divided by (distinct items of the session)^this, >= 0
  float session_decay_days = 0;             ///< similarity falls by exp(-age / this); 0 means no decay; needs times
  std::int32_t max_history = 50;            ///< newest items of a query that count, >= 1
  Auto<ExcludeLast> exclude_last = Auto<ExcludeLast>::unless_given(ExcludeLast::kSession);  ///< leave out the newest item of a query
  bool keep_history = true;                 ///< keep the lists, so that a user can be asked for by index
  int num_threads = 0;                      ///< 0 means all CPUs; for batches
  void validate() const;                    ///< throws std::invalid_argument: field, value, bound
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "num_neighbors", o.num_neighbors, OptionRule(">= 1"), "recent_sessions", o.recent_sessions, OptionRule(">= 1"),
                  "weighting", o.weighting, "place_decay", o.place_decay, OptionRule("finite and > 0"), "score_weighting", o.score_weighting,
                  "idf_weight", o.idf_weight, OptionRule("finite and >= 0"), "item_decay", o.item_decay, OptionRule("finite and >= 0 (0 means no decay)"),
                  "backward", o.backward, OptionRule("finite and >= 0"), "length_exponent", o.length_exponent, OptionRule("finite and >= 0"),
                  "session_decay_days", o.session_decay_days, OptionRule("finite and >= 0 (0 means no decay)"),
                  "max_history", o.max_history, OptionRule(">= 1"), "exclude_last", o.exclude_last, "keep_history", o.keep_history,
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// VMIS-kNN: what people did whose sessions look like this one.
///
/// Candidates  the m newest sessions that share an item with the query (newest: by the time of their last item, ties and
///             sessions without times by their order)
/// Similarity  sim(n) = sum over distinct items i of query and n of w(i) / |distinct items of the query|, times
///             |n|^-length_exponent, times exp(-(now - time(n)) / session_decay); w(i) is the weight of i's newest place
/// Neighbours  the k most similar candidates, ties by the newer session
/// Scores      score(q, j) = sum over neighbours n with j of sim(n) v(d) g(j, n) (1 + idf_weight idf(j)), plus the
///             popularity term; d is the age of the newest item shared with n, v = score_weighting; g(j, n) =
///             exp(-(places between j and that item in n) / item_decay), times `backward` where j comes before it; each
///             session holds an item once, at its last place; idf(j) = max(0, log(sessions / count(j)))
/// Similar     the scores of a session of that one item
/// Explain     a neighbour's vote is divided among the items it shares with the query by their w(i)
/// Index       each item's newest m sessions, newest first, so that a query stops early; new sessions are appended in
///             time proportional to their length, and merged from time to time
/// Choose      for sessions of visitors whom nobody knows; new sessions count at once. Long purchase histories rarely look alike: Transitions
///             or LinearSequence there, whose queries cost less too
/// Cost        fit O(events); a query O(items x m + k x length); 8 bytes an event
/// Repeats     bit-identical
/// Errors      std::invalid_argument (options, no lists), NotFittedError; UnsupportedError for similar_users
/// Source      Kersbergen et al., SIGMOD 2022 (VMIS-kNN); Ludewig and Jannach, UMUAI 2018 (VSKNN); Garg et al., SIGIR 2019
///             (STAN), whose decays by place, session age and distance are the optional ones here
class ETALAGE_EXPORT SessionKnnModel final : public SequenceModel {
 public:
  static constexpr std::string_view kKind = "SessionKNN";  ///< its kind in files
  explicit SessionKnnModel(SessionKnnOptions options = {});  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return kKind; }
  [[nodiscard]] const SessionKnnOptions& options() const noexcept { return options_; }
  FitReport fit(const Sequences& sequences, const ProgressCallback& callback = {});
  /// Adds sessions behind those that are there: they count as newer. Kept rows do not change. Keys on both sides are
  /// matched; new items join the catalogue. Time O(events added) on average.
  void add_sessions(const Sequences& sequences);
  /// Sessions in the index. Those that no item's newest m hold any more are dropped at a merge.
  [[nodiscard]] std::int64_t num_sessions() const noexcept {
    return static_cast<std::int64_t>(session_times_.size() + fresh_times_.size());
  }

  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<SessionKnnModel> from_state(const StateReader& reader);

 protected:
  [[nodiscard]] Auto<ExcludeLast>* exclude_last_option() noexcept override { return &options_.exclude_last; }
  void add_scores(const OrderedItems& history, detail::SparseScores& scores, detail::SequenceScratch& scratch) const override;
  void add_similar(std::int32_t item, detail::SparseScores& scores, detail::SequenceScratch& scratch) const override;
  void add_parts(const OrderedItems& history, std::int32_t item, std::span<float> parts,
                 detail::SequenceScratch& scratch) const override;

 private:
  struct Merged;
  /// Fills scratch.sessions with the neighbours, best first, and slots of it with the place of the newest shared item.
  void find_neighbors(const OrderedItems& history, detail::SequenceScratch& scratch) const;
  void forget_neighbors(detail::SequenceScratch& scratch) const noexcept;
  [[nodiscard]] std::span<const std::int32_t> session(std::size_t number) const noexcept;
  [[nodiscard]] std::int64_t session_time(std::size_t number) const noexcept;
  [[nodiscard]] float place_weight(std::size_t age, std::size_t length) const noexcept;
  void append(const Sequences& sequences);
  [[nodiscard]] Merged merged() const;
  void merge();
  void update_log_counts(std::span<const std::int32_t> items);
  [[nodiscard]] float item_weight(std::int32_t item) const noexcept;

  SessionKnnOptions options_;
  std::int64_t sessions_seen_ = 0;
  // Sessions by number, older first; items of a session once each, by their last place.
  Array<std::int64_t> session_offsets_;
  Array<std::int32_t> session_items_;
  Array<std::int64_t> session_times_;
  // Postings: sessions of an item, newest first.
  Array<std::int64_t> item_offsets_;
  Array<std::int32_t> item_sessions_;
  Array<float> log_counts_;
  float log_sessions_ = 0;
  // What was added since the last merge: sessions behind the others, and chains of postings, newest first.
  struct Posting {
    std::int32_t session;
    std::int32_t next;
  };
  std::vector<std::int64_t> fresh_offsets_{0};
  std::vector<std::int32_t> fresh_items_;
  std::vector<std::int64_t> fresh_times_;
  std::vector<Posting> postings_;
  std::vector<std::int32_t> chains_;
};

}  // namespace etalage
