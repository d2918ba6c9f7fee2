// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/serving/catalog_index.hpp"

namespace etalage {

/// How long something took, counted in buckets of at most an eighth of their lower bound.
struct ETALAGE_EXPORT LatencyHistogram {
  static constexpr std::size_t kBuckets = 8 * 40;  ///< eight to each power of two of nanoseconds
  std::array<std::uint64_t, kBuckets> counts{};  ///< [kBuckets] of observations
  std::uint64_t count = 0;  ///< observations
  std::uint64_t sum_ns = 0;  ///< of all of them

  [[nodiscard]] static std::size_t bucket_of(std::uint64_t ns) noexcept;  ///< the bucket of a duration
  /// Nanoseconds below which all of a bucket lies.
  [[nodiscard]] static std::uint64_t upper_bound(std::size_t bucket) noexcept;
  /// Upper bound of the bucket that holds the q-th part, in seconds; 0 without counts.
  [[nodiscard]] double quantile(double q) const noexcept;
};

/// The engine's counters at one moment, since it was made.
struct ETALAGE_EXPORT EngineMetrics {
  /// How long one stage of requests took.
  struct Stage {
    std::string name;  ///< "user", "fold_in", "filter", "sources", "rules", "rerank", "fallback", "total"
    LatencyHistogram seconds;  ///< how long it took
  };
  /// What one source did.
  struct Source {
    std::string name;  ///< as the mix calls it
    std::uint64_t candidates = 0;  ///< it named
    std::uint64_t shown = 0;       ///< of the answers, named by it first
    std::uint64_t failures = 0;    ///< times it threw and was passed over
  };
  std::vector<Stage> stages;  ///< in the order in which a request runs through them
  std::vector<Source> sources;  ///< by name
  std::uint64_t requests = 0;  ///< answered
  std::uint64_t unknown_users = 0;  ///< from shoppers of whom nothing is known
  std::uint64_t empty_answers = 0;  ///< without any item
  std::uint64_t short_answers = 0;       ///< fewer than k
  std::uint64_t fallback_candidates = 0;  ///< candidates that only a fallback named
  std::uint64_t filled = 0;              ///< products that no source named
  std::uint64_t denied = 0;              ///< seen, anchors, bought: kept out of answers
  std::uint64_t filtered = 0;            ///< products that filters and rules kept out, summed over requests
  std::uint64_t folded_in = 0;  ///< shoppers whose factor was made for the request
  std::uint64_t folded_from_cache = 0;  ///< shoppers whose factor was kept since their last event
  std::uint64_t profiles_made = 0;  ///< profiles that were made for the request
  std::uint64_t profiles_from_cache = 0;  ///< profiles that were kept since the shopper's last event
  CatalogIndex::CacheStats filters;      ///< of the current publication's compiled filters
  /// Of the look-ups in factor_cache, profile_cache and the compiled filters, the part that found something; 0 without any.
  [[nodiscard]] double factor_hit_rate() const noexcept { return rate(folded_from_cache, folded_in); }
  [[nodiscard]] double profile_hit_rate() const noexcept { return rate(profiles_from_cache, profiles_made); }
  [[nodiscard]] double filter_hit_rate() const noexcept { return rate(filters.hits, filters.misses); }
  std::uint64_t distinct_shown = 0;      ///< of the current snapshot's products
  double coverage = 0;                   ///< distinct_shown / products
  std::uint64_t snapshot = 0;
  std::uint64_t publications = 0;
  std::uint64_t rollbacks = 0;
  double snapshot_age_seconds = 0;       ///< since trained_ms; 0 where that is not given
  std::uint64_t events = 0;
  std::uint64_t duplicate_events = 0;
  std::uint64_t late_events = 0;
  std::uint64_t events_not_durable = 0;
  std::string journal_failure;

  /// The text format of Prometheus, metrics named etalage_*.
  [[nodiscard]] std::string prometheus() const;

 private:
  [[nodiscard]] static double rate(std::uint64_t hits, std::uint64_t misses) noexcept {
    return hits + misses == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(hits + misses);
  }
};

}  // namespace etalage
