// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace etalage::search {

struct ScoredRow {
  float score;
  std::int32_t row;
};

}  // namespace etalage::search
