// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/item_rates.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "detail/check.hpp"

namespace etalage {
namespace {

/// Impressions of one item at one position.
struct Cell {
  std::int32_t item;
  std::int32_t place;  // position - 1
  double shown;
};

void check_shown(std::span<const std::int32_t> items, std::span<const std::int32_t> positions, std::span<const float> reactions,
                 std::int32_t num_items) {
  detail::require(num_items >= 0, "num_items", num_items, ">= 0");
  detail::require(positions.size() == items.size(), "length of positions", positions.size(), "that of items");
  detail::require(reactions.size() == items.size(), "length of reactions", reactions.size(), "that of items");
  bool any = false;
  for (std::size_t e = 0; e < items.size(); ++e) {
    detail::require(items[e] >= 0 && items[e] < num_items, "an item", items[e], "in [0, num_items)");
    detail::require(positions[e] >= 1 && positions[e] <= ItemRates::kMostPositions, "a position", positions[e], "in [1, 10000]");
    detail::require_finite(reactions[e] >= 0, "a reaction", reactions[e], "finite and >= 0");
    any = any || reactions[e] > 0;
  }
  if (!any) throw std::invalid_argument("reactions holds nothing above 0, must: rates cannot be told from it");
}

std::vector<Cell> cells_of(std::span<const std::int32_t> items, std::span<const std::int32_t> positions) {
  std::vector<std::uint64_t> keys(items.size());
  for (std::size_t n = 0; n < items.size(); ++n)
    keys[n] = static_cast<std::uint64_t>(items[n]) << 32 | static_cast<std::uint32_t>(positions[n] - 1);
  std::sort(keys.begin(), keys.end());
  std::vector<Cell> out;
  for (std::size_t n = 0; n < keys.size(); ++n) {
    if (n == 0 || keys[n] != keys[n - 1]) out.push_back({static_cast<std::int32_t>(keys[n] >> 32), static_cast<std::int32_t>(keys[n] & 0xffffffffU), 0.0});
    out.back().shown += 1;
  }
  return out;
}

/// Mean and variance of the rates behind reactions / looks.
struct Prior {
  double mean;
  double variance;
};

/// Mean of the observed rates, and how far their squares are from what they should be, if the prior's variance were this one.
double excess(const std::vector<double>& reactions, const std::vector<double>& looks, double variance, double noise, double& mean) {
  double weights = 0;
  double sum = 0;
  std::size_t known = 0;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    if (!(looks[i] > 0)) continue;
    const double w = 1 / (noise / looks[i] + variance);
    weights += w;
    sum += w * reactions[i] / looks[i];
    ++known;
  }
  mean = sum / weights;
  double squares = 0;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    if (!(looks[i] > 0)) continue;
    const double off = reactions[i] / looks[i] - mean;
    squares += off * off / (noise / looks[i] + variance);
  }
  return squares - (static_cast<double>(known) - 1);
}

Prior prior_of(const std::vector<double>& reactions, const std::vector<double>& looks, double noise) {
  Prior p{noise, 0};
  if (excess(reactions, looks, 0, noise, p.mean) <= 0) return p;
  double low = 0;
  double high = noise;  // squares fall as the variance grows
  while (excess(reactions, looks, high, noise, p.mean) > 0 && high < 1e12) high *= 2;
  for (int step = 0; step < 60; ++step) {
    p.variance = (low + high) / 2;
    (excess(reactions, looks, p.variance, noise, p.mean) > 0 ? low : high) = p.variance;
  }
  return p;
}

}  // namespace

ItemRates ItemRates::of(std::span<const std::int32_t> items, std::span<const std::int32_t> positions, std::span<const float> reactions,
                        std::int32_t num_items) {
  check_shown(items, positions, reactions, num_items);
  const auto n = static_cast<std::size_t>(num_items);
  const std::vector<Cell> cells = cells_of(items, positions);
  const auto places = static_cast<std::size_t>(*std::max_element(positions.begin(), positions.end()));
  std::vector<double> of_item(n, 0.0);
  std::vector<double> of_place(places, 0.0);
  std::vector<double> shown_at(places, 0.0);
  for (std::size_t e = 0; e < items.size(); ++e) {
    of_item[static_cast<std::size_t>(items[e])] += static_cast<double>(reactions[e]);
    of_place[static_cast<std::size_t>(positions[e] - 1)] += static_cast<double>(reactions[e]);
    shown_at[static_cast<std::size_t>(positions[e] - 1)] += 1;
  }
  const auto first = static_cast<std::size_t>(std::find_if(shown_at.begin(), shown_at.end(), [](double s) { return s > 0; }) - shown_at.begin());
  const double all = std::accumulate(of_item.begin(), of_item.end(), 0.0);
  std::vector<double> looked(places, 1.0);
  std::vector<double> looks(n, 0.0);
  std::vector<double> rates(n, 0.0);
  std::vector<double> expected(places, 0.0);
  Prior prior{all / static_cast<double>(items.size()), 0};
  constexpr int kMostTurns = 200;
  for (int turn = 0; turn < kMostTurns; ++turn) {
    std::fill(looks.begin(), looks.end(), 0.0);
    for (const Cell& c : cells) looks[static_cast<std::size_t>(c.item)] += c.shown * looked[static_cast<std::size_t>(c.place)];
    const double before = prior.mean;
    prior = prior_of(of_item, looks, before);
    const double k = prior.variance > 0 ? prior.mean / prior.variance : 0;
    for (std::size_t i = 0; i < n; ++i) rates[i] = prior.variance > 0 ? (of_item[i] + k * prior.mean) / (looks[i] + k) : prior.mean;
    std::fill(expected.begin(), expected.end(), 0.0);
    for (const Cell& c : cells) expected[static_cast<std::size_t>(c.place)] += c.shown * rates[static_cast<std::size_t>(c.item)];
    const double top = (of_place[first] + 1) / (expected[first] + 1);
    double moved = std::abs(prior.mean - before) / prior.mean;
    for (std::size_t p = 0; p < places; ++p) {
      if (!(shown_at[p] > 0)) continue;
      const double next = (of_place[p] + 1) / (expected[p] + 1) / top;
      moved = std::max(moved, std::abs(next - looked[p]));
      looked[p] = next;
    }
    if (moved < 1e-7) break;
  }
  ItemRates out;
  out.rates = Array<float>(n, uninitialized);
  out.looks = Array<float>(n, uninitialized);
  std::transform(rates.begin(), rates.end(), out.rates.mutable_data(), [](double r) { return static_cast<float>(r); });
  std::transform(looks.begin(), looks.end(), out.looks.mutable_data(), [](double l) { return static_cast<float>(l); });
  out.looked = std::move(looked);
  out.prior_rate = prior.mean;
  out.prior_looks = prior.variance > 0 ? prior.mean / prior.variance : std::numeric_limits<double>::infinity();
  return out;
}

}  // namespace etalage
