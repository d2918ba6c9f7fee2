// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/serving/request.hpp"

namespace etalage {

/// How the scores of one source become comparable with another's, each over the candidates it produced.
enum class Normalization : std::uint8_t {
  kRank,    ///< 61 / (60 + rank), rank from 1 (Cormack, Clarke, Buettcher, SIGIR 2009)
  kMinMax,  ///< (s - min) / (max - min); 1 where all are equal
  kNone     ///< s
};
/// As options spell them.
template <>
inline constexpr auto option_names<Normalization> =
    std::to_array<OptionName<Normalization>>({{"rank", Normalization::kRank}, {"min_max", Normalization::kMinMax}, {"none", Normalization::kNone}});

/// A source's part in a mix.
struct SourceSlot {
  std::string source;   ///< name of a source
  int quota = 100;      ///< candidates asked of it, >= 1
  float weight = 1.0f;  ///< of its normalised scores in the sum, >= 0
  /// visit("name", field, rule) for each option: what errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "quota", o.quota, OptionRule(">= 1, at most 65536"), "weight", o.weight, OptionRule("finite and >= 0"));
  }
};

/// What one placement asks.
struct PlacementMix {
  std::vector<SourceSlot> sources;  ///< asked in this order
  std::vector<std::string> fallback;  ///< asked in this order, each only while candidates are fewer than wanted
  Normalization normalization = Normalization::kRank;  ///< how scores of sources become comparable
};

/// What each placement asks.
struct ETALAGE_EXPORT MixOptions {
  PlacementMix standard = {};                        ///< of placements that are not named
  std::map<Placement, PlacementMix> placements = {};  ///< by placement
  void validate() const;                        ///< std::invalid_argument: placement, slot, field, rule
};

}  // namespace etalage
