// SPDX-License-Identifier: Apache-2.0
// Moments of a log, with what was known and what followed.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "etalage/profile/purchase_intent.hpp"
#include "detail/days.hpp"
#include "detail/random_stream.hpp"
#include "profile/replay.hpp"

namespace etalage {
namespace {


/// A number that depends on seed, user and time alone, so that a sample is the same for any number of threads.
std::uint64_t mixed(std::uint64_t seed, std::int32_t user, std::int64_t time) {
  return detail::split_mix(seed ^ (static_cast<std::uint64_t>(static_cast<std::uint32_t>(user)) * detail::kSplitMixStep) ^
                           (static_cast<std::uint64_t>(time) * 0xC2B2AE3D27D4EB4Full));
}

/// Cut-offs of the log, oldest first: the newest one's horizon ends with the log.
std::vector<std::int64_t> cutoffs(std::int64_t first, std::int64_t newest, std::int64_t horizon, std::int64_t step) {
  std::vector<std::int64_t> out;
  for (std::int64_t t = newest - horizon; t >= first; t -= step) out.push_back(t);
  std::reverse(out.begin(), out.end());
  return out;
}

/// Calls visit(time, number of rows known) for each moment of one shopper. rows: their events by time.
template <class Visit>
void moments(const profile::Replay& replay, std::span<const std::int64_t> rows, const PurchaseIntentOptions& options,
             std::span<const std::int64_t> cuts, std::int64_t first, std::int64_t last, Visit visit) {
  if (options.unit == IntentUnit::kShopper) {
    std::size_t known = 0;
    for (const std::int64_t cut : cuts) {
      while (known < rows.size() && replay.event(rows[known]).time_ms <= cut) ++known;
      if (known == 0) continue;
      const double idle = static_cast<double>(cut - replay.event(rows[known - 1]).time_ms) / detail::kMsPerDay;
      if (options.max_idle_days > 0 && idle > options.max_idle_days) continue;
      visit(cut, known);
    }
    return;
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t t = replay.event(rows[i]).time_ms;
    // Events of one instant are one moment: the rest of an invoice is no future.
    if (t < first || t > last || (i + 1 < rows.size() && replay.event(rows[i + 1]).time_ms == t)) continue;
    visit(t, i + 1);
  }
}

}  // namespace

IntentExamples PurchaseIntent::examples(const EventLog& log, const ItemFacts& facts, std::optional<std::int64_t> since_ms) const {
  IntentExamples out;
  if (log.size() == 0) return out;
  const profile::Replay replay(log, profile_options_, options_.num_threads);
  const auto& times = log.columns().times_ms;
  const auto [oldest, newest] = std::minmax_element(times.begin(), times.end());
  const auto ms = [](double days) { return static_cast<std::int64_t>(std::llround(days * detail::kMsPerDay)); };
  const std::int64_t horizon = ms(options_.horizon_days);
  const std::int64_t step = options_.step_days > 0 ? std::max<std::int64_t>(1, ms(options_.step_days)) : horizon;
  const std::int64_t first = std::max(*oldest + ms(options_.warmup_days), since_ms.value_or(std::numeric_limits<std::int64_t>::min()));
  const std::int64_t last = *newest - horizon;
  const std::vector<std::int64_t> cuts = cutoffs(first, *newest, horizon, step);

  const auto users = static_cast<std::size_t>(log.num_users());
  constexpr std::size_t grain = 128;
  // Events that say nothing are no part of a shopper's history.
  std::vector<std::vector<std::int64_t>> heard(users);
  std::vector<std::size_t> counts(users, 0);
  detail::parallel_for(users, grain, options_.num_threads, [&](std::size_t b, std::size_t e, int) {
    for (std::size_t u = b; u < e; ++u) {
      for (const std::int64_t row : replay.rows_of(static_cast<std::int32_t>(u)))
        if (replay.event(row).role != EventRole::kIgnore) heard[u].push_back(row);
      moments(replay, heard[u], options_, cuts, first, last, [&](std::int64_t, std::size_t) { ++counts[u]; });
    }
  });
  const std::size_t all = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
  const bool sampled = all > static_cast<std::size_t>(options_.max_examples);
  const double share = sampled ? static_cast<double>(options_.max_examples) / static_cast<double>(all) : 1.0;
  const auto below = static_cast<std::uint64_t>(share * 9007199254740992.0);  // of 2^53
  const auto taken = [&](std::size_t u, std::int64_t t) { return !sampled || (mixed(options_.seed, static_cast<std::int32_t>(u), t) >> 11) < below; };
  if (sampled)
    detail::parallel_for(users, grain, options_.num_threads, [&](std::size_t b, std::size_t e, int) {
      for (std::size_t u = b; u < e; ++u) {
        counts[u] = 0;
        moments(replay, heard[u], options_, cuts, first, last, [&](std::int64_t t, std::size_t) { counts[u] += taken(u, t) ? 1 : 0; });
      }
    });
  std::vector<std::size_t> begins(users + 1, 0);
  std::partial_sum(counts.begin(), counts.end(), begins.begin() + 1);

  const std::size_t n = begins.back();
  const std::size_t d = IntentFeatures::count();
  out.features = Array<float>(n * d, uninitialized);
  out.labels = Array<std::uint8_t>(n, uninitialized);
  out.users = Array<std::int32_t>(n, uninitialized);
  out.times_ms = Array<std::int64_t>(n, uninitialized);
  float* features = out.features.mutable_data();
  std::uint8_t* labels = out.labels.mutable_data();
  std::int32_t* whose = out.users.mutable_data();
  std::int64_t* when = out.times_ms.mutable_data();
  detail::parallel_for(users, grain, options_.num_threads, [&](std::size_t b, std::size_t e, int) {
    for (std::size_t u = b; u < e; ++u) {
      if (counts[u] == 0) continue;
      UserProfile profile;
      std::size_t observed = 0;
      std::size_t to = begins[u];
      std::size_t ahead = 0;  // first purchase after the moment
      const std::vector<std::int64_t>& rows = heard[u];
      moments(replay, rows, options_, cuts, first, last, [&](std::int64_t t, std::size_t known) {
        if (!taken(u, t)) return;
        for (; observed < known; ++observed) profile.observe(replay.event(rows[observed]), facts, profile_options_);
        ahead = std::max(ahead, known);
        while (ahead < rows.size() && replay.event(rows[ahead]).role != EventRole::kPurchase) ++ahead;
        labels[to] = ahead < rows.size() && replay.event(rows[ahead]).time_ms - t <= horizon ? 1 : 0;
        whose[to] = static_cast<std::int32_t>(u);
        when[to] = t;
        IntentFeatures::compute(profile, t, profile_options_, {features + to * d, d});
        ++to;
      });
    }
  });
  return out;
}

void PurchaseIntent::split(const IntentExamples& examples, std::vector<std::size_t>& training, std::vector<std::size_t>& calibration) const {
  training.clear();
  calibration.clear();
  if (examples.size() == 0) return;
  // By time and not by number, which would cut through a day of the many.
  const auto [low, high] = std::minmax_element(examples.times_ms.begin(), examples.times_ms.end());
  const double span = static_cast<double>(*high) - static_cast<double>(*low);
  const auto from = static_cast<std::int64_t>(std::llround(static_cast<double>(*high) - options_.calibration_share * span));
  std::int64_t begins = *high;
  for (std::size_t i = 0; i < examples.size(); ++i)
    if (examples.times_ms[i] >= from) begins = std::min(begins, examples.times_ms[i]);
  const auto horizon = static_cast<std::int64_t>(std::llround(options_.horizon_days * detail::kMsPerDay));
  for (std::size_t i = 0; i < examples.size(); ++i) {
    if (examples.times_ms[i] >= begins) calibration.push_back(i);
    else if (examples.times_ms[i] + horizon <= begins) training.push_back(i);
  }
}

}  // namespace etalage
