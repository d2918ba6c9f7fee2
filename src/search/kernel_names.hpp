// SPDX-License-Identifier: Apache-2.0
// What search asks of the kernels: scores of rows, in float32 and in eight bits, and keys that order as results do.
#pragma once

#include "kernels/code_kernels.hpp"
#include "kernels/rank_key.hpp"
#include "kernels/row_scores.hpp"
#include "kernels/scan_kernels.hpp"

namespace etalage::search {

using kernels::Bounded;
using kernels::code;
using kernels::CodePanel;
using kernels::CodeShape;
using kernels::CodeTable;
using kernels::CodeTail;
using kernels::CodeTerms;
using kernels::key_index;
using kernels::key_score;
using kernels::kMostCoded;
using kernels::kMostPanel;
using kernels::rank_key;
using kernels::row_scores;
using kernels::RowScores;
using kernels::scan;
using kernels::ScanTable;

}  // namespace etalage::search
