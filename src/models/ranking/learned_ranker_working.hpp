// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "etalage/models/learned_ranker.hpp"
#include "core/scratch.hpp"

namespace etalage {

struct LearnedRankerModel::Working {
  std::vector<Scratch> scratch;          // one a source
  std::vector<ItemScore> list;           // what one source proposes
  std::vector<std::int32_t> items;       // the union, ascending
  std::vector<float> scores;             // [sources x items], NaN where a source has none
  std::vector<std::uint64_t> keys;       // [sources x items] rank keys of known scores, best first
  std::vector<std::size_t> known;        // [sources]
  std::vector<double> mean;              // [sources]
  std::vector<double> inverse_deviation;
  struct Mass {
    double all = 0;
    double fresh = 0;  // of items that the history lacks
    double best_fresh = 0;
  };
  std::vector<Mass> mass;                // [sources] sums of positive scores over the candidates
  std::vector<std::int32_t> had;         // the history, ascending
  std::vector<std::int32_t> outside;     // items asked for that nobody proposed
  std::vector<float> outside_scores;     // [sources x outside]
  std::vector<std::int32_t> history;
  std::vector<std::int64_t> times;
  RankingFeatures::Scratch features;
  std::vector<float> rows;
  std::vector<double> tree_scores;
  std::vector<float> fused;
  Scratch trees;
};

}  // namespace etalage
