// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "marketing/page_cells.hpp"

namespace etalage::marketing {

/// Sizes, ranges and indices of a page's arguments; std::invalid_argument.
void check_page(const PageProblem& problem);

/// What can be proved of promises by counting; std::invalid_argument names what clashes.
void check_promises(const PageProblem& problem, const PageCells& cells);

}  // namespace etalage::marketing
