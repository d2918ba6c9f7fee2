// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "etalage/models/blend.hpp"
#include "core/scratch.hpp"

namespace etalage {

struct BlendModel::Working {
  std::vector<Scratch> scratch;           // one a member: each keeps its own kind of memory in it
  std::vector<ItemScore> list;            // what one member proposes
  std::vector<std::int32_t> items;        // the union, ascending
  std::vector<float> scores;              // [members x items]
  std::vector<std::uint64_t> keys;        // [members x items] rank keys, best first (by rank)
  std::vector<double> mean;               // [members] (by z-score)
  std::vector<double> inverse_deviation;  // [members]
  std::vector<float> fused;               // [items]
  std::vector<float> given;               // a member's scores of items that the caller names
};

}  // namespace etalage
