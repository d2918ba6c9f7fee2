// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// How the product of an explored place is drawn among the candidates that may stand there.
/// kEpsilon where weights of the log need a known bound, n / epsilon; kSoftmax where what is nearly as good should be shown nearly as often;
/// kSquareCb where exploration should shrink where the ranking is sure; kThompson where many products are new and clicks are what counts,
/// at an integral over a grid for each drawn place; kBootstrap where a LearnedRanker orders the page and what it learned is unsure, at as
/// many scorings more as the bag has models. Whatever is drawn costs what the best would have earned there: docs/loop.md has a shop in
/// which two percent did not pay for themselves in five weeks.
enum class PlacePolicy : std::uint8_t {
  kGreedy,    ///< the best one: nothing is explored
  kEpsilon,   ///< uniform with probability epsilon, else the best: p = epsilon / n, and 1 - epsilon more for the best
  kSoftmax,   ///< p ~ exp(value / temperature); place after place without the ones above this is Plackett-Luce
  kThompson,  ///< the probability that a product's rate is the highest, rates being Beta(1 + reacted, 1 + shown - reacted)
  kSquareCb,  ///< p = 1 / (n + gamma (best value - value)), the rest for the best (Foster, Rakhlin, ICML 2020)
  /// The best by one of the bootstrapped models of the learned second stage, drawn anew at each place, and uniform with probability
  /// epsilon: p = (1 - epsilon) share of the models whose best it is + epsilon / n (Bietti, Agarwal, Langford, JMLR 2021, bag)
  kBootstrap
};
/// As options spell them.
template <>
inline constexpr auto option_names<PlacePolicy> = std::to_array<OptionName<PlacePolicy>>(
    {{"greedy", PlacePolicy::kGreedy}, {"epsilon", PlacePolicy::kEpsilon}, {"softmax", PlacePolicy::kSoftmax},
     {"thompson", PlacePolicy::kThompson}, {"squarecb", PlacePolicy::kSquareCb}, {"bootstrap", PlacePolicy::kBootstrap}});
/// "greedy", "epsilon", "softmax", "thompson", "squarecb", "bootstrap".
[[nodiscard]] ETALAGE_EXPORT std::string_view exploration_name(PlacePolicy policy) noexcept;

/// How often a product was shown, and how often somebody reacted to it.
struct ShownCounts {
  std::uint32_t shown = 0;  ///< how often, in the log
  std::uint32_t reacted = 0;  ///< of these, with a reaction
};

/// Exploration of one placement. Values are what the ranking says a candidate is worth at the place: relevance in (0, 1] times
/// boosts, less what variety takes away.
struct ETALAGE_EXPORT Exploration {
  PlacePolicy policy = PlacePolicy::kEpsilon;  ///< how the place is drawn
  double epsilon = 0.1;                  ///< in [0, 1]; of kEpsilon and kBootstrap
  double temperature = 0.1;              ///< > 0, of values in (0, 1]
  double gamma = 100;                    ///< of SquareCB, > 0: the larger, the less is explored
  std::vector<std::size_t> slots = {};   ///< places from 0 that are explored, the others show the best; empty: all
  double max_share = 1;                  ///< at most this share of the places of an answer, the first ones; in [0, 1]
  std::size_t pool = 20;                 ///< best candidates of a place that it draws from; in [2, 256]
  std::uint64_t seed = 42;               ///< with the number of the request it makes the draws
  void validate() const;                 ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "policy", o.policy, "epsilon", o.epsilon, OptionRule("in [0, 1]"), "temperature", o.temperature,
                  OptionRule("finite and > 0"), "gamma", o.gamma, OptionRule("finite and > 0"), "slots", o.slots, "max_share", o.max_share,
                  OptionRule("in [0, 1]"), "pool", o.pool, OptionRule("in [2, 256]"), "seed", o.seed);
  }
  /// Whether a place is drawn; explored_before: places of the list that were.
  [[nodiscard]] bool explores(std::size_t place, std::size_t places, std::size_t explored_before) const noexcept;
};

/// What a shopper passed over again and again sinks, in logged answers and others: a product that was shown to them n >= `after` times
/// since they last reacted to it is worth factor^(n - after + 1) of what it would be, before variety and before places are drawn.
struct ETALAGE_EXPORT Fatigue {
  int after = 3;                         ///< >= 1
  double factor = 0.5;                   ///< in [0, 1]
  int days = 30;                         ///< what was shown earlier does not count; >= 1
  int answers = 50;                      ///< nor what stands further back than so many of their logged answers; in [1, 256]
  void validate() const;                 ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "after", o.after, OptionRule(">= 1"), "factor", o.factor, OptionRule("in [0, 1]"), "days", o.days, OptionRule(">= 1"),
                  "answers", o.answers, OptionRule("in [1, 256]"));
  }
};

/// The probability of each candidate, [n]; adds up to 1. `counts` is read by kThompson alone, [n] or empty for none shown; `opinions` by
/// kBootstrap alone, which needs them: [models x n] what each model says that the candidates are worth. Of equals a model takes the first.
/// What is drawn is drawn by these numbers: for kThompson they are the exact integral over 64 nodes, not a share of simulations.
ETALAGE_EXPORT void exploration_probabilities(const Exploration& exploration, std::span<const double> values, std::span<const ShownCounts> counts,
                                              std::span<double> out, std::span<const float> opinions = {});
/// The candidate that `uniform` in [0, 1) stands for: the first whose cumulated probability is above it.
[[nodiscard]] ETALAGE_EXPORT std::size_t draw_candidate(std::span<const double> probabilities, double uniform) noexcept;
/// The uniform number of one place of one request.
[[nodiscard]] ETALAGE_EXPORT double exploration_uniform(std::uint64_t seed, std::size_t place) noexcept;

}  // namespace etalage
