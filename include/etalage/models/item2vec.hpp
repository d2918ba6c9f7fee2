// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/array.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"
#include "etalage/models/sequence_model.hpp"

namespace etalage {

/// Settings of item vectors by skip-gram with negative sampling.
struct ETALAGE_EXPORT Item2VecOptions {
  int factors = 64;                 ///< length of the vectors, in [1, 4096]
  std::int32_t window = 5;          ///< places that a context may be away, >= 1; nearer ones count more
  int num_negatives = 5;            ///< drawn for each pair, >= 1
  int epochs = 20;                  ///< passes over the pairs, >= 0
  float learning_rate = 0.1f;       ///< > 0; falls in a straight line to a hundredth
  float subsample = 1e-3f;          ///< share of all events above which an item is thinned out, >= 0; 0 keeps all
  float negative_exponent = 0.75f;  ///< negatives are drawn by (occurrences)^this, in [-2, 2]
  float query_decay = 5.0f;         ///< places after which an item of the query weighs 1/e, >= 0; 0 means all weigh the same
  std::int32_t max_history = 50;    ///< newest items of a query that count, >= 1
  bool compute_objective = true;    ///< mean loss of the epoch's pairs, before their steps, into the report
  Auto<ExcludeLast> exclude_last = Auto<ExcludeLast>::unless_given(ExcludeLast::kSession);  ///< leave out the newest item of a query
  bool keep_history = true;         ///< keep the lists, so that a user can be asked for by index
  int num_threads = 0;              ///< 0 means all CPUs this process may use
  std::uint64_t seed = 42;  ///< of start and draws; equal seeds, equal models for one thread
  void validate() const;            ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "factors", o.factors, OptionRule("in [1, 4096]"), "window", o.window, OptionRule(">= 1, at most 65536"),
                  "num_negatives", o.num_negatives, OptionRule(">= 1, at most 1024"), "epochs", o.epochs, OptionRule(">= 0, at most 100000"),
                  "learning_rate", o.learning_rate, OptionRule("finite and > 0"), "subsample", o.subsample, OptionRule("finite and >= 0"),
                  "negative_exponent", o.negative_exponent, OptionRule("in [-2, 2]"),
                  "query_decay", o.query_decay, OptionRule("finite and >= 0 (0 means no decay)"), "max_history", o.max_history, OptionRule(">= 1"),
                  "compute_objective", o.compute_objective, "exclude_last", o.exclude_last, "keep_history", o.keep_history,
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"), "seed", o.seed);
  }
};

/// Item vectors from sessions: items that are met in the same company get similar vectors.
///
/// Minimises  sum over pairs (i, c) at most `window` places apart, kept with probability (window + 1 - distance) / window
///            and thinned by `subsample`, of  -ln sigma(v_i . w_c) - sum over num_negatives drawn items n of
///            ln sigma(-v_i . w_n); the model keeps the v_i, scaled to unit length
/// Scores     sum over the newest max_history items p of the history, w_p = exp(-age / query_decay), of
///            w_p cos(v_p, v_j) / sum w_p; one part for each
/// Shapes     item_vectors float32 [num_items x factors]; zero rows for items that never occurred
/// Choose     where the vectors themselves are wanted. Transitions and SessionKNN predict the next item better and fit in a second
/// Cost       fit O(epochs x pairs x factors x num_negatives), pairs up to 2 x window x events; 12 bytes for each pair of
///            items that occurs in the window, 8 for each pair of an epoch; a query O((history + num_items) factors)
/// Threads    const members are safe to call concurrently; fit() needs exclusive access
/// Repeats    bit-identical for equal seed and SIMD level, whatever num_threads is (schedule as at PairwiseModel)
/// Errors     std::invalid_argument (options, no lists), NotFittedError, NumericalError (diverged); UnsupportedError for
///            similar_users
/// Source     Mikolov et al., NIPS 2013; Barkan, Koenigstein, MLSP 2016 (item2vec), with the order kept
class ETALAGE_EXPORT Item2VecModel final : public SequenceModel {
 public:
  static constexpr std::string_view kKind = "Item2Vec";  ///< its kind in files
  Item2VecModel() : Item2VecModel(Item2VecOptions{}) {}
  explicit Item2VecModel(const Item2VecOptions& options);  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return kKind; }
  [[nodiscard]] const Item2VecOptions& options() const noexcept { return options_; }
  /// Unit rows, [num_items x factors].
  [[nodiscard]] const Array<float>& item_vectors() const noexcept { return item_vectors_; }
  FitReport fit(const Sequences& sequences, const ProgressCallback& callback = {});

  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<Item2VecModel> from_state(const StateReader& reader);

 protected:
  [[nodiscard]] Auto<ExcludeLast>* exclude_last_option() noexcept override { return &options_.exclude_last; }
  void add_scores(const OrderedItems& history, detail::SparseScores& scores, detail::SequenceScratch& scratch) const override;
  void add_similar(std::int32_t item, detail::SparseScores& scores, detail::SequenceScratch& scratch) const override;
  void add_parts(const OrderedItems& history, std::int32_t item, std::span<float> parts,
                 detail::SequenceScratch& scratch) const override;

 private:
  [[nodiscard]] std::span<const float> vector_of(std::int32_t item) const noexcept;
  /// Weights of the newest items of the history, which sum to 1; the first of them is items[n - size].
  void weigh(std::size_t n, std::vector<float>& weights) const;
  void add_products(const float* x, detail::SparseScores& scores) const;

  Item2VecOptions options_;
  Array<float> item_vectors_;
};

}  // namespace etalage
