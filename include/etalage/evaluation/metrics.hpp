// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "etalage/export.hpp"

namespace etalage {

// Metrics of one ranked list. `relevant` is sorted and unique; `ranked` is best first, without repeats, and ends at the
// first negative entry (padding); k >= 0 is the length that counts, however many entries `ranked` has. With hits the
// number of relevant items among the first k:
//   precision        hits / k                                           0 for k = 0
//   recall           hits / |relevant|
//   capped_recall    hits / min(k, |relevant|)
//   hit_rate         1 if hits > 0
//   ndcg             sum of 1 / log2(rank + 1) over hits, divided by the same sum over ranks 1 .. min(k, |relevant|)
//   average_precision  sum over hits of precision at their rank, divided by min(k, |relevant|); its mean is map
//   reciprocal_rank  1 / rank of the first hit; its mean is mrr
// Every one is 0 where nothing is relevant. Where a list comes with its scores, items of equal score have no order of their
// own: metric_at_k gives the exact expectation over all orders of them.

/// Of a ranked list without ties; relevant [any order], ranked best first; k >= 1.
[[nodiscard]] ETALAGE_EXPORT double precision_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k);
[[nodiscard]] ETALAGE_EXPORT double recall_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k);
[[nodiscard]] ETALAGE_EXPORT double capped_recall_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k);
[[nodiscard]] ETALAGE_EXPORT double hit_rate_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k);
[[nodiscard]] ETALAGE_EXPORT double ndcg_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k);
[[nodiscard]] ETALAGE_EXPORT double average_precision_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k);
[[nodiscard]] ETALAGE_EXPORT double reciprocal_rank_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k);

/// What an evaluation can report. kCoverage is of all lists together: distinct items in them / items of the catalogue.
enum class Metric : std::uint8_t { kPrecision, kRecall, kCappedRecall, kHitRate, kNdcg, kMap, kMrr, kCoverage };

/// "precision", "recall", "capped_recall", "hit_rate", "ndcg", "map", "mrr", "coverage".
[[nodiscard]] ETALAGE_EXPORT const char* name(Metric metric) noexcept;
/// std::invalid_argument listing the known names.
[[nodiscard]] ETALAGE_EXPORT Metric metric_of(std::string_view name);
/// The value for one list; std::invalid_argument for kCoverage, which one list does not have.
/// scores  descending [ranked.size()], or empty: the order is meant as it stands. With scores, the mean over all orders of
///         tied items (McSherry and Najork, ECIR 2008), in closed form. `ranked` may be longer than k, and must be where
///         the item at place k ties with later ones, so that all of them are counted.
[[nodiscard]] ETALAGE_EXPORT double metric_at_k(Metric metric, std::span<const std::int32_t> relevant,
                                                std::span<const std::int32_t> ranked, int k, std::span<const float> scores = {});

}  // namespace etalage
