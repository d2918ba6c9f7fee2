// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// How the slot chooses between what is known and what is not.
enum class ExplorationPolicy : std::uint8_t { kThompson, kUniform };
/// As options spell them.
template <>
inline constexpr auto option_names<ExplorationPolicy> = std::to_array<OptionName<ExplorationPolicy>>(
    {{"thompson", ExplorationPolicy::kThompson}, {"uniform", ExplorationPolicy::kUniform}});

/// Settings of ExplorationSlot.
struct ETALAGE_EXPORT ExplorationOptions {
  ExplorationPolicy policy = ExplorationPolicy::kThompson;  ///< how the item is chosen
  double share = 0.2;              ///< of requests that get a slot; in [0, 1]
  std::int32_t position = 4;       ///< place of the slot in the list, 0 is the first; >= 0
  double prior_clicks = 1;         ///< of a product never shown; > 0
  double prior_shown = 20;         ///< > prior_clicks
  std::uint64_t seed = 42;  ///< of the draws
  void validate() const;           ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "policy", o.policy, "share", o.share, OptionRule("in [0, 1]"), "position", o.position, OptionRule(">= 0"),
                  "prior_clicks", o.prior_clicks, OptionRule("a finite number > 0"), "prior_shown", o.prior_shown, "seed", o.seed);
  }
};

/// One place in some lists for products that nobody knows yet, so that they get known.
///
/// Thompson   each candidate draws a click rate from Beta(prior_clicks + clicks, prior_shown - prior_clicks + shown - clicks)
///            and the highest draw gets the place: what is unknown is tried, what fails is soon left alone
///            (W. Thompson 1933; O. Chapelle, L. Li, An empirical evaluation of Thompson sampling, NIPS 2011)
/// Uniform    any candidate with the same chance
/// Repeats    a draw depends on the seed, the request's number and the counts alone
/// Threads    place() is const and safe to call concurrently; shown() and clicked() need exclusive access
class ETALAGE_EXPORT ExplorationSlot {
 public:
  explicit ExplorationSlot(ExplorationOptions options = {});  ///< validates the options

  /// Puts one candidate that is not in the list at the slot; what was there and behind moves down, the last one leaves.
  /// The candidate takes the score of what it displaces. Returns its place, or nothing when this request gets no slot,
  /// the list is shorter than the position, or every candidate is in it already.
  std::optional<std::size_t> place(std::span<ItemScore> list, std::span<const std::int32_t> candidates, std::uint64_t request) const;
  /// std::out_of_range for an item below 0; a click without a showing counts as both.
  void shown(std::int32_t item);
  void clicked(std::int32_t item);

  /// What is known of one product in the slot.
  struct Count {
    std::int64_t shown = 0;  ///< impressions that were told
    std::int64_t clicked = 0;  ///< clicks that were told
  };
  [[nodiscard]] Count count(std::int32_t item) const noexcept;  ///< zeros for an item of which nothing was told
  /// Expected click rate: (prior_clicks + clicked) / (prior_shown + shown).
  [[nodiscard]] double rate(std::int32_t item) const noexcept;
  [[nodiscard]] const ExplorationOptions& options() const noexcept { return options_; }

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static ExplorationSlot from_state(const StateReader& reader);

 private:
  Count& at(std::int32_t item);
  ExplorationOptions options_;
  std::vector<Count> counts_;
};

}  // namespace etalage
