// SPDX-License-Identifier: Apache-2.0
#include "evaluation/tie_groups.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace etalage {
namespace {

double ratio(double a, std::size_t b) { return b == 0 ? 0.0 : a / static_cast<double>(b); }

// 1 / log2(rank + 1)
double discount(std::size_t rank) { return 1.0 / std::log2(static_cast<double>(rank) + 1.0); }

// All expectations below are of a group of g items, h of them relevant, in random order. A place holds a relevant item
// with probability h / g; given that, another place of the group does with (h - 1) / (g - 1).

double hits(std::span<const TieGroup> groups, std::size_t k) {
  double sum = 0;
  for (const TieGroup& t : groups)
    sum += static_cast<double>(t.hits) * static_cast<double>(t.within(k)) / static_cast<double>(t.size);
  return sum;
}

// 1 - the chance that none of the places within k has a hit: drawing without replacement, place by place.
double any_hit(std::span<const TieGroup> groups, std::size_t k) {
  for (const TieGroup& t : groups) {
    const std::size_t within = t.within(k);
    if (t.hits == 0 || within == 0) continue;
    if (within > t.size - t.hits) return 1.0;
    double none = 1;
    for (std::size_t j = 0; j < within; ++j) none *= static_cast<double>(t.size - t.hits - j) / static_cast<double>(t.size - j);
    return 1 - none;  // a group that is not wholly within k is the last one
  }
  return 0.0;
}

double gain(std::span<const TieGroup> groups, std::size_t k) {
  double sum = 0;
  for (const TieGroup& t : groups) {
    if (t.hits == 0) continue;
    const double share = static_cast<double>(t.hits) / static_cast<double>(t.size);
    for (std::size_t j = 0; j < t.within(k); ++j) sum += share * discount(t.begin + j + 1);
  }
  return sum;
}

// Sum over places of P(hit there) x E[hits up to and with it | hit there] / place.
double precision_sum(std::span<const TieGroup> groups, std::size_t k) {
  double sum = 0;
  double before = 0;
  for (const TieGroup& t : groups) {
    if (t.hits == 0) continue;
    const auto h = static_cast<double>(t.hits);
    const auto g = static_cast<double>(t.size);
    const double other = t.size == 1 ? 0.0 : (h - 1) / (g - 1);
    for (std::size_t j = 0; j < t.within(k); ++j)
      sum += h / g * (before + 1 + static_cast<double>(j) * other) / static_cast<double>(t.begin + j + 1);
    before += h;
  }
  return sum;
}

double first_hit(std::span<const TieGroup> groups, std::size_t k) {
  for (const TieGroup& t : groups) {
    if (t.hits == 0) continue;
    double sum = 0;
    double none = 1;  // no hit at the places of this group so far
    // After size - hits misses the next place is a hit for certain and `none` is 0.
    for (std::size_t j = 0; j < t.within(k) && none > 0; ++j) {
      const auto left = static_cast<double>(t.size - j);
      sum += none * (static_cast<double>(t.hits) / left) / static_cast<double>(t.begin + j + 1);
      none *= (left - static_cast<double>(t.hits)) / left;
    }
    return sum;  // every later group comes after a hit, or after place k
  }
  return 0.0;
}

}  // namespace

void tie_groups(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, std::span<const float> scores,
                std::size_t k, std::vector<TieGroup>& out) {
  out.clear();
  for (std::size_t begin = 0; begin < std::min(k, ranked.size()) && ranked[begin] >= 0;) {
    std::size_t end = begin + 1;
    bool ascending = true;
    if (!scores.empty())
      for (; end < ranked.size() && ranked[end] >= 0 && scores[end] == scores[begin]; ++end) ascending = ascending && ranked[end] > ranked[end - 1];
    const auto group = ranked.subspan(begin, end - begin);
    // A long tie is asked for what is relevant, not the other way round; lists of models have their ties in order of index.
    const bool turned = ascending && group.size() > 4 * relevant.size();
    std::size_t hits = 0;
    for (const std::int32_t item : turned ? relevant : group) hits += std::ranges::binary_search(turned ? group : relevant, item) ? 1 : 0;
    out.push_back({begin, group.size(), hits});
    begin = end;
  }
}

bool cut_in_tie(std::span<const TieGroup> groups, std::size_t k) noexcept {
  return std::any_of(groups.begin(), groups.end(), [&](const TieGroup& t) { return t.within(k) > 0 && t.within(k) < t.size; });
}

double expected_metric(Metric metric, std::span<const TieGroup> groups, std::size_t num_relevant, std::size_t k) {
  const std::size_t attainable = std::min(num_relevant, k);
  switch (metric) {
    case Metric::kPrecision: return ratio(hits(groups, k), k);
    case Metric::kRecall: return ratio(hits(groups, k), num_relevant);
    case Metric::kCappedRecall: return ratio(hits(groups, k), attainable);
    case Metric::kHitRate: return any_hit(groups, k);
    case Metric::kNdcg: {
      double ideal = 0;
      for (std::size_t rank = 1; rank <= attainable; ++rank) ideal += discount(rank);
      return ideal > 0 ? gain(groups, k) / ideal : 0.0;
    }
    case Metric::kMap: return ratio(precision_sum(groups, k), attainable);
    case Metric::kMrr: return first_hit(groups, k);
    case Metric::kCoverage: break;
  }
  throw std::invalid_argument("metric is 'coverage', must be one that a single list has");
}

}  // namespace etalage
