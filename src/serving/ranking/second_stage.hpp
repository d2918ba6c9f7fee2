// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "etalage/models/learned_ranker.hpp"
#include "serving/ranking/mixer.hpp"

namespace etalage::serving {

/// Working memory of the second stage of one thread.
struct SecondStageScratch {
  Scratch scratch;                    ///< apart from the sources': models keep different things in it
  std::vector<std::int32_t> order;    ///< candidates by what the mix says
  std::vector<std::int32_t> known;    ///< those that the ranker has, likewise
  std::vector<std::int32_t> items;    ///< [known]
  std::vector<float> learned;         ///< [known]
  std::vector<std::int32_t> best;     ///< places in `known` by what the ranker says
  std::vector<float> learned_by;      ///< [models x known] what each bootstrapped model says
  std::vector<float> by_models;       ///< [models x candidates] scores as each of them makes them; empty where they were not asked
  std::size_t models = 0;
};

/// Puts the ranker's scores in the place of the mix's. Candidates of fallback sources alone stay as they are; those that the ranker does
/// not know keep their rank among the others, with a score between their neighbours'. With `ask_bag` s.by_models holds the same by each of its
/// bootstrapped models.
void score_anew(const LearnedRankerModel& ranker, const SourceQuery& query, bool ask_bag, CandidateSet& candidates, SecondStageScratch& s);

}  // namespace etalage::serving
