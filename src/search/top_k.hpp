// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "etalage/core/item_filter.hpp"
#include "etalage/core/scratch.hpp"

namespace etalage {

/// Top k of scores, shared by all models. Order: descending score, ties by lower index. A score of -infinity (or NaN) means
/// "not a candidate" and is never returned.

/// The items to leave out, sorted and unique; the result is valid until scratch.seen is used again. Returns `history`
/// itself where that is sorted already and there is no session.
std::span<const std::int32_t> sorted_unique(std::span<const std::int32_t> history, std::span<const std::int32_t> session,
                                            Scratch& scratch);

/// The best out.size() of scores [num_items], without the sorted `excluded` and what `filter` (may be null) does not
/// allow; with an allow list only the listed entries of scores are read. Returns the count written. Uses
/// scratch.impl().keys; allocates nothing once that is warm.
std::size_t select_top_k(std::span<const float> scores, std::span<const std::int32_t> excluded, const ItemFilter* filter,
                         std::span<ItemScore> out, Scratch& scratch);

/// The same over the blocks of scores whose bit in `blocks` [at least scores.size() / block / 64] is set; filter has no
/// allow list.
std::size_t select_top_k(std::span<const float> scores, std::span<const std::uint64_t> blocks, std::size_t block,
                         std::span<const std::int32_t> excluded, const ItemFilter* filter, std::span<ItemScore> out,
                         Scratch& scratch);

/// The same over a list of candidates, whose items ascend strictly: scores[i] belongs to items[i].
std::size_t select_top_k(std::span<const std::int32_t> items, std::span<const float> scores,
                         std::span<const std::int32_t> excluded, const ItemFilter* filter, std::span<ItemScore> out,
                         Scratch& scratch);

}  // namespace etalage
