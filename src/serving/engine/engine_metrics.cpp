// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/engine_metrics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <locale>
#include <sstream>

namespace etalage {
namespace {

// Buckets below 8 ns hold one value each; from there each power of two has eight.
constexpr std::uint64_t kLinear = 8;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out + "\"";
}

}  // namespace

std::size_t LatencyHistogram::bucket_of(std::uint64_t ns) noexcept {
  if (ns < kLinear) return static_cast<std::size_t>(ns);
  const auto power = static_cast<int>(std::bit_width(ns)) - 1;  // >= 3
  const auto part = static_cast<std::size_t>((ns >> (power - 3)) & 7);
  return std::min(kBuckets - 1, static_cast<std::size_t>(power - 2) * 8 + part);
}

std::uint64_t LatencyHistogram::upper_bound(std::size_t bucket) noexcept {
  if (bucket < kLinear) return bucket + 1;
  const std::size_t power = bucket / 8 + 2;
  return (std::uint64_t{8} + bucket % 8 + 1) << (power - 3);
}

double LatencyHistogram::quantile(double q) const noexcept {
  if (count == 0) return 0;
  const double rank = std::clamp(q, 0.0, 1.0) * static_cast<double>(count);
  std::uint64_t below = 0;
  for (std::size_t b = 0; b < kBuckets; ++b) {
    below += counts[b];
    if (counts[b] != 0 && static_cast<double>(below) >= rank) return static_cast<double>(upper_bound(b)) * 1e-9;
  }
  return static_cast<double>(upper_bound(kBuckets - 1)) * 1e-9;
}

std::string EngineMetrics::prometheus() const {
  std::ostringstream s;
  s.imbue(std::locale::classic());
  const auto head = [&](const char* name, const char* type, const char* help) {
    s << "# HELP etalage_" << name << ' ' << help << "\n# TYPE etalage_" << name << ' ' << type << '\n';
  };
  const auto number = [&](const char* name, const char* type, const char* help, double value) {
    head(name, type, help);
    s << "etalage_" << name << ' ' << value << '\n';
  };
  s.precision(17);
  head("stage_seconds", "histogram", "Time of a request's stages.");
  for (const Stage& stage : stages) {
    std::uint64_t below = 0;
    std::size_t b = 0;
    // From a microsecond to a second, by powers of two, which are borders of buckets.
    for (int power = 10; power <= 30; ++power) {
      const std::uint64_t bound = std::uint64_t{1} << power;
      for (; b < LatencyHistogram::kBuckets && LatencyHistogram::upper_bound(b) <= bound; ++b) below += stage.seconds.counts[b];
      s << "etalage_stage_seconds_bucket{stage=" << quoted(stage.name) << ",le=\"" << static_cast<double>(bound) * 1e-9 << "\"} " << below << '\n';
    }
    s << "etalage_stage_seconds_bucket{stage=" << quoted(stage.name) << ",le=\"+Inf\"} " << stage.seconds.count << '\n'
      << "etalage_stage_seconds_sum{stage=" << quoted(stage.name) << "} " << static_cast<double>(stage.seconds.sum_ns) * 1e-9 << '\n'
      << "etalage_stage_seconds_count{stage=" << quoted(stage.name) << "} " << stage.seconds.count << '\n';
  }
  head("candidates_total", "counter", "Candidates that a source named.");
  for (const Source& source : sources) s << "etalage_candidates_total{source=" << quoted(source.name) << "} " << source.candidates << '\n';
  head("shown_total", "counter", "Products of answers by the source that named them first.");
  for (const Source& source : sources) s << "etalage_shown_total{source=" << quoted(source.name) << "} " << source.shown << '\n';
  head("source_failures_total", "counter", "Times a source threw and was passed over.");
  for (const Source& source : sources) s << "etalage_source_failures_total{source=" << quoted(source.name) << "} " << source.failures << '\n';
  const auto counter = [&](const char* name, const char* help, std::uint64_t value) { number(name, "counter", help, static_cast<double>(value)); };
  counter("requests_total", "Requests answered.", requests);
  counter("unknown_users_total", "Requests of shoppers without model row and events.", unknown_users);
  counter("empty_answers_total", "Answers without a product.", empty_answers);
  counter("short_answers_total", "Answers of fewer products than asked for.", short_answers);
  counter("fallback_candidates_total", "Candidates that only a fallback named.", fallback_candidates);
  counter("filled_total", "Products of answers that no source named.", filled);
  counter("denied_total", "Products kept out because they were seen, bought or on the page.", denied);
  counter("filtered_total", "Products that filters and rules kept out.", filtered);
  counter("fold_ins_total", "Factor rows folded in.", folded_in);
  counter("fold_in_cache_hits_total", "Folded-in factor rows taken from the cache.", folded_from_cache);
  counter("profiles_total", "Profiles brought up to now.", profiles_made);
  counter("profile_cache_hits_total", "Profiles taken from the cache.", profiles_from_cache);
  counter("filter_cache_hits_total", "Filters taken from the cache, since the snapshot was published.", filters.hits);
  counter("filter_cache_misses_total", "Filters compiled, since the snapshot was published.", filters.misses);
  number("filter_cache_bytes", "gauge", "Memory of the compiled filters.", static_cast<double>(filters.bytes));
  counter("publications_total", "Snapshots published.", publications);
  counter("rollbacks_total", "Snapshots rolled back.", rollbacks);
  counter("events_total", "Events observed.", events);
  counter("duplicate_events_total", "Events told twice.", duplicate_events);
  counter("late_events_total", "Events older than what was known of their shopper.", late_events);
  number("events_not_durable", "gauge", "Events that a power loss would take.", static_cast<double>(events_not_durable));
  number("snapshot", "gauge", "Number of the publication in use.", static_cast<double>(snapshot));
  number("snapshot_age_seconds", "gauge", "Time since the models' newest event.", snapshot_age_seconds);
  number("coverage", "gauge", "Share of the catalogue that was shown since the snapshot was published.", coverage);
  number("journal_failing", "gauge", "1 while the journal holds events back.", journal_failure.empty() ? 0 : 1);
  return s.str();
}

}  // namespace etalage
