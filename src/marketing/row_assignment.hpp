// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marketing/page_cells.hpp"

namespace etalage::marketing {

/// The order of rows of the largest sum of worth [rows, positions] that puts rows where they were promised; order [positions], -1: no
/// row. Rows that are dropped stay off. Shortest augmenting paths (Jonker & Volgenant, Computing 38, 1987). Gives the sum.
double assign_rows(const PageProblem& problem, const PageCells& cells, std::span<const std::uint8_t> dropped, std::span<const double> worth, std::vector<std::int32_t>& order);

}  // namespace etalage::marketing
