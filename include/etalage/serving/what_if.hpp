// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "etalage/serving/exploration.hpp"
#include "etalage/serving/request.hpp"

namespace etalage {

/// Which answers Engine::what_if() reads, and what they earned.
struct WhatIfOptions {
  std::optional<Placement> placement = {};     ///< of these alone
  std::map<std::string, double> worth = {};    ///< of each type of event, once a place; empty: 1 for every type that takes nothing back
  /// Probabilities over all that could have stood above, for ListForm::kIndependent, in place of those given what stood there.
  bool marginals = false;
  /// How another snapshot would draw its places; nothing: it shows its best. Not PlacePolicy::kThompson, whose counts of then are gone.
  std::optional<Exploration> exploration = {};
};

/// What each place of the answers that were drawn earned, how likely it was, and how likely it is under another policy: what
/// estimate_off_policy() reads (OffPolicyLog::rewards, propensities, targets, groups). A shorter answer is padded as it asks.
/// A purchase that was returned earns nothing, unless `worth` names the type that returns: then that is what a return is worth.
struct WhatIf {
  std::size_t rows = 0;                   ///< answers
  std::size_t places = 0;                 ///< of the longest of them
  std::vector<double> rewards;            ///< [rows x places]
  std::vector<double> propensities;       ///< [rows x places]
  std::vector<double> targets;            ///< [rows x places]
  std::vector<std::int32_t> shoppers;     ///< [rows] numbers from 0 on; each answer to nobody known is one of its own
  std::map<std::string, double> worth;    ///< as it was counted
  std::int64_t not_drawn = 0;             ///< left out: answers of which no place was drawn, which say nothing of others
  std::int64_t without_question = 0;      ///< left out for a snapshot: what was asked for is not on record
  std::int64_t before_training = 0;       ///< left out for a snapshot: its models may know what came of them
  std::int64_t shopper_changed = 0;       ///< left out for a snapshot: what the shopper had done by then cannot be told any more
};

}  // namespace etalage
