// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/ranking_features.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

#include "detail/check.hpp"
#include "detail/days.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/sequence_model.hpp"
#include "models/ranking/missing_value.hpp"

namespace etalage {
namespace {


// Subtracted as doubles: the times of a file may be any. What lies ahead counts as now.
float log_days(std::int64_t from, std::int64_t to) {
  return static_cast<float>(std::log1p(std::max(0.0, (static_cast<double>(to) - static_cast<double>(from)) / detail::kMsPerDay)));
}

struct Taste {
  float popularity = kMissing;
  float log_price = kMissing;
  double price_deviation = 0;
  std::size_t categorized = 0;
};

Taste taste_of(const ItemSignals& s, std::span<const std::int32_t> items) {
  Taste t;
  double popularity = 0;
  double price = 0;
  double squares = 0;
  std::size_t priced = 0;
  for (const std::int32_t item : items) {
    const auto i = static_cast<std::size_t>(item);
    popularity += std::log1p(static_cast<double>(s.counts[i]));
    if (!s.prices.empty() && !std::isnan(s.prices[i])) {
      const double p = std::log(static_cast<double>(s.prices[i]));
      price += p;
      squares += p * p;
      ++priced;
    }
    if (!s.categories.empty() && s.categories[i] >= 0) ++t.categorized;
  }
  if (!items.empty()) t.popularity = static_cast<float>(popularity / static_cast<double>(items.size()));
  if (priced > 0) {
    const double mean = price / static_cast<double>(priced);
    t.log_price = static_cast<float>(mean);
    t.price_deviation = std::sqrt(std::max(0.0, squares / static_cast<double>(priced) - mean * mean));
  }
  return t;
}

float dot(const float* a, const float* b, std::size_t n) {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return static_cast<float>(sum);
}

constexpr double kRepeatPrior = 10;  // steps that an item's own rate must outweigh

// ln(p / (1 - p)) of each item, p the share of steps from it that lead to it again, drawn towards that of all items.
Array<float> repeat_log_odds(const Sequences& histories) {
  const auto n = static_cast<std::size_t>(histories.num_items());
  std::vector<double> steps(n, 0.0);
  std::vector<double> same(n, 0.0);
  double all = 0;
  double all_same = 0;
  for (std::int64_t l = 0; l < histories.size(); ++l) {
    const auto list = histories.items_of(l);
    for (std::size_t p = 0; p + 1 < list.size(); ++p) {
      const double again = list[p] == list[p + 1] ? 1 : 0;
      steps[static_cast<std::size_t>(list[p])] += 1;
      same[static_cast<std::size_t>(list[p])] += again;
      all += 1;
      all_same += again;
    }
  }
  if (all == 0) return {};
  const double base = (all_same + 0.5) / (all + 1);
  Array<float> out(n, uninitialized);
  float* odds = out.mutable_data();
  for (std::size_t i = 0; i < n; ++i)
    odds[i] = static_cast<float>(std::log((same[i] + kRepeatPrior * base) / (steps[i] - same[i] + kRepeatPrior * (1 - base))));
  return out;
}

// The last `anchors` items of the history, newest first, each once.
std::vector<std::int32_t>& anchors_of(std::span<const std::int32_t> items, std::size_t anchors, std::vector<std::int32_t>& out) {
  out.clear();
  for (std::size_t p = items.size(); p-- > 0 && out.size() < anchors;)
    if (std::find(out.begin(), out.end(), items[p]) == out.end()) out.push_back(items[p]);
  return out;
}

}  // namespace

ItemSignals ItemSignals::of(const Sequences& histories, double half_life_days, std::int32_t num_neighbors, int num_threads) {
  detail::require_finite(half_life_days > 0, "half_life_days", half_life_days, "finite and > 0");
  ItemSignals s;
  const auto n = static_cast<std::size_t>(histories.num_items());
  s.counts = Array<float>(n);
  float* counts = s.counts.mutable_data();
  for (const std::int32_t i : histories.items()) counts[i] += 1.0f;
  s.again = repeat_log_odds(histories);
  if (histories.has_times() && !histories.times().empty()) {
    s.now_ms = *std::max_element(histories.times().begin(), histories.times().end());
    s.recent = Array<float>(n);
    s.first_ms = Array<std::int64_t>(n, uninitialized);
    s.last_ms = Array<std::int64_t>(n, uninitialized);
    s.first_ms.fill(kNever);
    s.last_ms.fill(kNever);
    std::int64_t* first = s.first_ms.mutable_data();
    std::int64_t* last = s.last_ms.mutable_data();
    std::vector<double> recent(n, 0.0);
    double sum = 0;
    for (std::size_t e = 0; e < histories.items().size(); ++e) {
      const auto i = static_cast<std::size_t>(histories.items()[e]);
      const std::int64_t t = histories.times()[e];
      first[i] = first[i] == kNever ? t : std::min(first[i], t);
      last[i] = last[i] == kNever ? t : std::max(last[i], t);
      const double weight = std::exp2(-(static_cast<double>(*s.now_ms) - static_cast<double>(t)) / (half_life_days * detail::kMsPerDay));
      recent[i] += weight;
      sum += weight;
    }
    std::transform(recent.begin(), recent.end(), s.recent.mutable_data(), [](double r) { return static_cast<float>(r); });
    s.recent_share = sum / static_cast<double>(histories.items().size());
  }
  if (n == 0 || histories.items().empty()) return s;
  CsrMatrix sets = canonical(ordered_rows(histories), "histories");
  std::fill_n(sets.values.mutable_data(), sets.values.size(), 1.0f);
  ItemKnnModel knn(ItemKnnOptions{.similarity = Similarity::kCosine, .num_neighbors = num_neighbors, .keep_history = false, .num_threads = num_threads});
  knn.fit(Interactions(std::move(sets)));
  s.neighbors = knn.weights();
  return s;
}

void ItemSignals::set_facts(Array<float> item_prices, Array<std::int32_t> item_categories, Array<float> item_vectors) {
  const std::size_t n = counts.size();
  const auto expect = [n](const char* name, std::size_t size) {
    if (size != 0 && size != n)
      throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) + " entries, must have one for each of the " +
                                  std::to_string(n) + " items");
  };
  expect("prices", item_prices.size());
  expect("categories", item_categories.size());
  for (const float p : item_prices)
    if (!std::isnan(p)) detail::require_finite(p > 0, "prices", p, "finite and > 0, or NaN where unknown");
  for (const std::int32_t c : item_categories) detail::require(c >= -1, "categories", c, ">= 0, or -1 where unknown");
  std::size_t d = 0;
  if (!item_vectors.empty()) {
    if (n == 0 || item_vectors.size() % n != 0)
      throw std::invalid_argument("vectors has " + std::to_string(item_vectors.size()) + " numbers, must have a row for each of the " +
                                  std::to_string(n) + " items");
    d = item_vectors.size() / n;
    float* v = item_vectors.mutable_data();
    for (std::size_t i = 0; i < n; ++i) {
      double length = 0;
      for (std::size_t j = 0; j < d; ++j) {
        if (std::isinf(v[i * d + j])) throw std::invalid_argument("vectors holds inf, must be finite, or NaN where unknown");
        length += static_cast<double>(v[i * d + j]) * static_cast<double>(v[i * d + j]);
      }
      // A row of zeros has no direction, and one with a gap none that is known.
      const bool known = length > 0;
      for (std::size_t j = 0; j < d; ++j)
        v[i * d + j] = known ? static_cast<float>(static_cast<double>(v[i * d + j]) / std::sqrt(length)) : kMissing;
    }
  }
  prices = std::move(item_prices);
  categories = std::move(item_categories);
  vectors = std::move(item_vectors);
  dimensions = static_cast<std::int32_t>(d);
}

void ItemSignals::save_state(StateWriter& w) const {
  w.put_array("counts", counts);
  w.put_array("again", again);
  w.put_array("recent", recent);
  w.put_array("first_ms", first_ms);
  w.put_array("last_ms", last_ms);
  w.put_array("prices", prices);
  w.put_array("categories", categories);
  w.put_array("vectors", vectors);
  w.put_bool("has_neighbors", !neighbors.offsets.empty());
  if (!neighbors.offsets.empty()) w.put_csr("neighbors", neighbors);
  w.put_bool("has_now", now_ms.has_value());
  w.put_int("now_ms", now_ms.value_or(0));
  w.put_double("recent_share", recent_share);
}

ItemSignals ItemSignals::from_state(const StateReader& r) {
  ItemSignals s;
  s.counts = r.get_array<float>("counts");
  const std::size_t n = s.counts.size();
  const auto optional = [&]<class T>(const char* name, Array<T>& into) {
    into = r.get_array<T>(name);
    if (!into.empty() && into.size() != n) r.fail(name, "found " + std::to_string(into.size()) + " elements, expected none or one an item");
  };
  optional("again", s.again);
  optional("recent", s.recent);
  optional("first_ms", s.first_ms);
  optional("last_ms", s.last_ms);
  Array<float> prices;
  Array<std::int32_t> categories;
  optional("prices", prices);
  optional("categories", categories);
  Array<float> vectors = r.get_array<float>("vectors");
  if (s.first_ms.size() != s.recent.size() || s.last_ms.size() != s.recent.size()) r.fail("recent", "found times of some kinds only, expected all or none");
  if (!vectors.empty() && (n == 0 || vectors.size() % n != 0)) r.fail("vectors", "found another size than a row an item");
  s.prices = std::move(prices);
  s.categories = std::move(categories);
  s.dimensions = n == 0 ? 0 : static_cast<std::int32_t>(vectors.size() / n);
  s.vectors = std::move(vectors);
  if (r.get_bool("has_neighbors")) {
    s.neighbors = r.get_csr("neighbors");
    if (s.neighbors.rows != static_cast<std::int64_t>(n) || s.neighbors.cols != static_cast<std::int64_t>(n))
      r.fail("neighbors", "found another shape than items x items");
  }
  const std::int64_t now = r.get_int("now_ms");  // there in any case: a file's fields must all be read
  if (r.get_bool("has_now")) s.now_ms = now;
  s.recent_share = r.get_double("recent_share");
  return s;
}

std::vector<std::string> RankingFeatures::names(std::span<const std::string> sources) {
  std::vector<std::string> out;
  for (const std::string& s : sources)
    for (const char* what : {".score", ".z", ".share", ".top", ".new", ".again", ".sure"}) out.push_back(s + what);
  for (const char* name :
       {"popularity", "recent", "trend", "age_days", "idle_days", "price", "history", "shopper_idle_days", "popularity_gap", "price_gap",
        "price_band", "category_share", "category_steps", "times_taken", "steps_since", "days_since", "anchor_last", "anchor_best",
        "anchor_mean", "vector_last", "vector_best", "vector_mean", "repeat_rate", "repeat_run", "repeats", "placement", "position"})
    out.emplace_back(name);
  return out;
}

void RankingFeatures::compute(const ItemSignals& s, const ShopperContext& shopper, std::size_t anchors,
                              std::span<const std::int32_t> items, float* out, std::size_t stride, Scratch& scratch) {
  const std::span<const std::int32_t> history = shopper.items;
  const Taste taste = taste_of(s, history);
  const auto now = shopper.now_ms ? shopper.now_ms : s.now_ms;
  const bool timed = now.has_value() && shopper.times.size() == history.size() && !history.empty();
  std::size_t run = 0;
  while (run < history.size() && history[history.size() - 1 - run] == history.back()) ++run;
  scratch.seen.assign(history.begin(), history.end());
  std::sort(scratch.seen.begin(), scratch.seen.end());
  const auto distinct = static_cast<std::size_t>(std::unique(scratch.seen.begin(), scratch.seen.end()) - scratch.seen.begin());
  const auto repeats = static_cast<float>(std::log1p(static_cast<double>(history.size() - distinct)));
  for (std::size_t k = 0; k < items.size(); ++k) {
    float* f = out + k * stride;
    std::fill_n(f, static_cast<std::size_t>(kColumns), kMissing);
    const auto i = static_cast<std::size_t>(items[k]);
    f[kPopularity] = static_cast<float>(std::log1p(static_cast<double>(s.counts[i])));
    if (!s.recent.empty()) {
      const auto r = static_cast<double>(s.recent[i]);
      f[kRecent] = static_cast<float>(std::log1p(r));
      f[kTrend] = static_cast<float>(std::log1p(r) - std::log1p(static_cast<double>(s.counts[i]) * s.recent_share));
      if (now && s.first_ms[i] != ItemSignals::kNever) {
        f[kAgeDays] = log_days(s.first_ms[i], *now);
        f[kIdleDays] = log_days(s.last_ms[i], *now);
      }
    }
    f[kHistory] = static_cast<float>(std::log1p(static_cast<double>(history.size())));
    if (timed) f[kShopperIdleDays] = log_days(*std::max_element(shopper.times.begin(), shopper.times.end()), *now);
    f[kPopularityGap] = f[kPopularity] - taste.popularity;
    if (!s.prices.empty() && !std::isnan(s.prices[i])) {
      f[kPrice] = std::log(s.prices[i]);
      f[kPriceGap] = f[kPrice] - taste.log_price;
      f[kPriceBand] = f[kPriceGap] / static_cast<float>(std::max(0.1, taste.price_deviation));
    }
    std::size_t taken = 0;
    std::size_t alike = 0;
    std::size_t newest_alike = 0;
    std::size_t newest = 0;
    const std::int32_t category = s.categories.empty() ? -1 : s.categories[i];
    for (std::size_t p = 0; p < history.size(); ++p) {
      if (history[p] == items[k]) {
        ++taken;
        newest = p;
      }
      if (category >= 0 && s.categories[static_cast<std::size_t>(history[p])] == category) {
        ++alike;
        newest_alike = p;
      }
    }
    if (category >= 0 && taste.categorized > 0) {
      f[kCategoryShare] = static_cast<float>(alike) / static_cast<float>(taste.categorized);
      f[kCategorySteps] = alike == 0 ? 0.0f : 1.0f / static_cast<float>(history.size() - newest_alike);
    }
    f[kTimesTaken] = static_cast<float>(std::log1p(static_cast<double>(taken)));
    if (taken > 0) {
      f[kStepsSince] = 1.0f / static_cast<float>(history.size() - newest);
      if (timed) f[kDaysSince] = log_days(shopper.times[newest], *now);
      f[kRepeats] = repeats;
      if (newest + 1 == history.size()) {
        f[kRepeatRun] = static_cast<float>(std::log(static_cast<double>(run)));
        if (!s.again.empty()) f[kRepeatRate] = s.again[i];
      }
    }
  }
  if (history.empty()) return;
  const std::vector<std::int32_t>& few = anchors_of(history, anchors, scratch.anchors);
  const auto count = static_cast<float>(few.size());
  if (!s.neighbors.offsets.empty()) {
    // Items without a common shopper have cosine 0: known, not missing.
    if (scratch.slot.size() < s.counts.size()) scratch.slot.assign(s.counts.size(), -1);
    for (std::size_t k = 0; k < items.size(); ++k) {
      scratch.slot[static_cast<std::size_t>(items[k])] = static_cast<std::int32_t>(k);
      float* f = out + k * stride;
      f[kAnchorLast] = f[kAnchorBest] = f[kAnchorMean] = 0.0f;
    }
    const CsrView rows = s.neighbors.view();
    for (std::size_t a = 0; a < few.size(); ++a) {
      const auto columns = rows.row_columns(few[a]);
      const auto values = rows.row_values(few[a]);
      for (std::size_t e = 0; e < columns.size(); ++e) {
        const std::int32_t k = scratch.slot[static_cast<std::size_t>(columns[e])];
        if (k < 0) continue;
        float* f = out + static_cast<std::size_t>(k) * stride;
        if (a == 0) f[kAnchorLast] = values[e];
        f[kAnchorBest] = std::max(f[kAnchorBest], values[e]);
        f[kAnchorMean] += values[e] / count;
      }
    }
    for (std::size_t k = 0; k < items.size(); ++k) {
      const auto i = static_cast<std::size_t>(items[k]);
      const auto first = static_cast<std::size_t>(scratch.slot[i]);  // of an item that repeats, the one that was written to
      if (first != k)
        for (const Column c : {kAnchorLast, kAnchorBest, kAnchorMean}) out[k * stride + c] = out[first * stride + c];
    }
    for (const std::int32_t item : items) scratch.slot[static_cast<std::size_t>(item)] = -1;
  }
  if (s.dimensions > 0) {
    const auto d = static_cast<std::size_t>(s.dimensions);
    const float* v = s.vectors.data();
    const auto known = [&](std::int32_t i) { return !std::isnan(v[static_cast<std::size_t>(i) * d]); };
    for (std::size_t k = 0; k < items.size(); ++k) {
      if (!known(items[k])) continue;
      float* f = out + k * stride;
      double sum = 0;
      std::size_t n = 0;
      float best = kMissing;
      for (std::size_t a = 0; a < few.size(); ++a) {
        if (!known(few[a])) continue;
        const float c = dot(v + static_cast<std::size_t>(items[k]) * d, v + static_cast<std::size_t>(few[a]) * d, d);
        if (a == 0) f[kVectorLast] = c;
        best = n == 0 ? c : std::max(best, c);
        sum += static_cast<double>(c);
        ++n;
      }
      if (n == 0) continue;
      f[kVectorBest] = best;
      f[kVectorMean] = static_cast<float>(sum / static_cast<double>(n));
    }
  }
}

}  // namespace etalage
