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

namespace etalage {

/// How the ridge regression of a linear sequence model is solved.
enum class LinearSequenceMethod : std::uint8_t {
  kExact,  ///< every item may speak for every item
  kCandidates  ///< for each target the num_candidates strongest sources, solved among themselves exactly
};
/// As options spell them.
template <>
inline constexpr auto option_names<LinearSequenceMethod> = std::to_array<OptionName<LinearSequenceMethod>>(
    {{"exact", LinearSequenceMethod::kExact}, {"candidates", LinearSequenceMethod::kCandidates}});

/// Settings of the linear sequence model. Numbers that are Auto are tried at fit on held out items where they are not given: see settled().
struct ETALAGE_EXPORT LinearSequenceOptions {
  Auto<float> l2 = Auto<float>::unless_given(100);  ///< ridge, > 0
  Auto<float> ridge_exponent = Auto<float>::unless_given(0.4f);  ///< the ridge on source i is l2 (square sum of i)^this, in [0, 1]
  float forward = 1.0f;             ///< weight of the items before a target as sources, >= 0
  float backward = 0.3f;            ///< weight of those behind it, >= 0; one of the two must be > 0
  Auto<float> decay = Auto<float>::unless_given(2);  ///< places after which a source's weight falls to 1/e, >= 0; 0 means no decay
  std::int32_t window = 20;         ///< sources are at most this many places from their target, >= 1
  Auto<float> column_exponent = Auto<float>::unless_given(0.2f);  ///< a target's weights are divided by (its count)^this, >= 0
  Auto<float> query_decay = Auto<float>::unless_given(2);  ///< places after which an item of the query weighs 1/e, >= 0; 0 means all weigh the same
  std::int32_t max_history = 50;    ///< newest items of a query that count, >= 1
  /// Not given: exact where the Gram matrix fits memory_budget, else by candidates.
  Auto<LinearSequenceMethod> method = Auto<LinearSequenceMethod>::unless_given(LinearSequenceMethod::kExact);
  std::int64_t memory_budget = std::int64_t{256} << 20;  ///< bytes for the Gram matrix of the exact method, > 0
  std::int32_t num_candidates = 200;  ///< sources of each target, >= 1
  std::int32_t num_neighbors = 0;   ///< weights kept for each source, the largest by size; 0 keeps all
  Auto<ExcludeLast> exclude_last = Auto<ExcludeLast>::unless_given(ExcludeLast::kSession);  ///< leave out the newest item of a query
  bool keep_history = true;         ///< keep the lists, so that a user can be asked for by index
  int num_threads = 0;              ///< 0 means all CPUs
  void validate() const;            ///< throws std::invalid_argument: field, value, bound
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "l2", o.l2, OptionRule("finite and > 0"), "ridge_exponent", o.ridge_exponent, OptionRule("in [0, 1]"),
                  "forward", o.forward, OptionRule("finite and >= 0"), "backward", o.backward, OptionRule("finite and >= 0"),
                  "decay", o.decay, OptionRule("finite and >= 0 (0 means no decay)"), "window", o.window, OptionRule(">= 1, at most 65536"),
                  "column_exponent", o.column_exponent, OptionRule("finite and >= 0"),
                  "query_decay", o.query_decay, OptionRule("finite and >= 0 (0 means no decay)"), "max_history", o.max_history, OptionRule(">= 1"),
                  "method", o.method, "memory_budget", o.memory_budget, OptionRule("> 0 bytes"), "num_candidates", o.num_candidates, OptionRule(">= 1"),
                  "num_neighbors", o.num_neighbors, OptionRule(">= 0 (0 keeps all)"), "exclude_last", o.exclude_last, "keep_history", o.keep_history,
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// The options with every Auto that was not given chosen: by models fitted without the last items of up to a quarter of the lists, of more
/// where they are long (4,000 at most, of at most 300,000 events), with 50 candidates, which are asked for those items. decay goes uphill over 1, 2, 4, 8, 16 from 4, then
/// the ridge over (100, .4), (100, .15), (400, .15); of each fit the best query_decay and column_exponent count, by NDCG of 20 places.
/// Where fewer than 200 items could be held out nothing is tried and the values before a fit hold. The same choice for any number of threads.
/// The callback hears phase "settings"; where it says stop, *stopped is true and the best so far holds.
[[nodiscard]] ETALAGE_EXPORT LinearSequenceOptions settled(LinearSequenceOptions options, const Sequences& data,
                                                           const ProgressCallback& callback = {}, bool* stopped = nullptr);

/// Closed-form linear sequence model: ridge regression from what is near a place to what stands there.
///
/// Minimises  sum over places t of |e(x_t) - s_t B|^2 + sum_i R_ii |B_i|^2, where s_t [num_items] holds
///            forward exp(-(d - 1) / decay) at items d <= window places before t and `backward` times that at those behind it
/// Solution   B = (G + R)^-1 K with G = sum_t s_t^T s_t, K = sum_t s_t^T e(x_t), R_ii = l2 G_ii^ridge_exponent
///            (the 1000 largest weights of each target are kept). By candidates: for each j the sources i with the largest K(i, j) / sqrt(G_ii), and their block of G + R alone
/// Scores     as DirectedItemModel says, with W = B, r = 1, c(j) = count(j)^-column_exponent
/// Settings   options that are not given are settled() first, by four to six smaller fits, fewer where some are given; options() then says what they became
/// Choose     for histories in order where several past items say the same thing, which counting adds up twice. Transitions is fitted faster
///            and learns new lists without a refit. By candidates memory stays 8 n m however large the catalogue
/// Cost       G and K O(events x window^2); exact 4 n^2 bytes and about n^3 flops for n items; by candidates n times
///            (m^3 / 3 flops), m = num_candidates, 8 n m bytes kept
/// Repeats    bit-identical for any num_threads
/// Errors     std::invalid_argument (options, no lists, exact beyond the budget), NotFittedError, NumericalError (ridge too
///            small); UnsupportedError for similar_users
/// Source     Choi et al., WWW 2021 (SLIST); Park et al., WSDM 2025 (TALE): one target at a time. Sources on both sides
///            are ours
class ETALAGE_EXPORT LinearSequenceModel final : public DirectedItemModel {
 public:
  static constexpr std::string_view kKind = "LinearSequence";  ///< its kind in files
  explicit LinearSequenceModel(LinearSequenceOptions options = {});  ///< validates the options
  [[nodiscard]] std::string_view kind() const noexcept override { return kKind; }
  [[nodiscard]] const LinearSequenceOptions& options() const noexcept { return options_; }
  FitReport fit(const Sequences& sequences, const ProgressCallback& callback = {});

  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<LinearSequenceModel> from_state(const StateReader& reader);

 protected:
  [[nodiscard]] Auto<ExcludeLast>* exclude_last_option() noexcept override { return &options_.exclude_last; }

 private:
  LinearSequenceOptions options_;
};

}  // namespace etalage
