// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/exploration_slot.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/random_stream.hpp"

namespace etalage {
namespace {

/// Numbers that depend on where they start alone.
class Draws : public detail::SplitMix64 {
 public:
  using SplitMix64::SplitMix64;
  /// In (0, 1).
  double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1.0p-53; }
  double normal() { return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform()); }
  /// G. Marsaglia, W. Tsang, A simple method for generating gamma variables, 2000; shapes below 1 by their boost.
  double gamma(double shape) {
    if (shape < 1) return gamma(shape + 1) * std::pow(uniform(), 1 / shape);
    const double d = shape - 1.0 / 3;
    const double c = 1 / std::sqrt(9 * d);
    for (;;) {
      const double x = normal();
      const double v = std::pow(1 + c * x, 3);
      if (v <= 0) continue;
      if (std::log(uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
    }
  }
  double beta(double a, double b) {
    const double x = gamma(a);
    return x / (x + gamma(b));
  }
};

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) { return Draws(a ^ (b * 0xD6E8FEB86659FD93ull)).next(); }

}  // namespace

void ExplorationOptions::validate() const {
  require_options(*this);
  detail::require_finite(prior_shown > prior_clicks, "prior_shown", prior_shown, "a finite number > prior_clicks");
}

ExplorationSlot::ExplorationSlot(ExplorationOptions options) : options_(options) { options_.validate(); }

std::optional<std::size_t> ExplorationSlot::place(std::span<ItemScore> list, std::span<const std::int32_t> candidates, std::uint64_t request) const {
  const auto slot = static_cast<std::size_t>(options_.position);
  Draws request_draws(mixed(options_.seed, request));
  if (slot >= list.size() || request_draws.uniform() >= options_.share) return std::nullopt;
  const std::uint64_t own = request_draws.next();
  std::int32_t best = -1;
  double highest = -1;
  for (const std::int32_t item : candidates) {
    if (item < 0 || std::ranges::any_of(list, [&](const ItemScore& s) { return s.item == item; })) continue;
    // A stream of its own for each item, so that the order of the candidates does not matter.
    Draws draws(mixed(own, static_cast<std::uint64_t>(item)));
    double draw = draws.uniform();
    if (options_.policy == ExplorationPolicy::kThompson) {
      const Count c = count(item);
      const auto clicks = static_cast<double>(c.clicked);
      const auto misses = static_cast<double>(c.shown - c.clicked);
      draw = draws.beta(options_.prior_clicks + clicks, options_.prior_shown - options_.prior_clicks + misses);
    }
    if (draw > highest || (draw == highest && item < best)) {
      highest = draw;
      best = item;
    }
  }
  if (best < 0) return std::nullopt;
  const float score = list[slot].score;
  std::copy_backward(list.begin() + static_cast<std::ptrdiff_t>(slot), list.end() - 1, list.end());
  list[slot] = {best, score};
  return slot;
}

ExplorationSlot::Count& ExplorationSlot::at(std::int32_t item) {
  detail::require_index(item, 2147483647, "item");
  if (static_cast<std::size_t>(item) >= counts_.size()) counts_.resize(static_cast<std::size_t>(item) + 1);
  return counts_[static_cast<std::size_t>(item)];
}

void ExplorationSlot::shown(std::int32_t item) { ++at(item).shown; }

void ExplorationSlot::clicked(std::int32_t item) {
  Count& c = at(item);
  ++c.clicked;
  c.shown = std::max(c.shown, c.clicked);
}

ExplorationSlot::Count ExplorationSlot::count(std::int32_t item) const noexcept {
  return item >= 0 && static_cast<std::size_t>(item) < counts_.size() ? counts_[static_cast<std::size_t>(item)] : Count{};
}

double ExplorationSlot::rate(std::int32_t item) const noexcept {
  const Count c = count(item);
  return (options_.prior_clicks + static_cast<double>(c.clicked)) / (options_.prior_shown + static_cast<double>(c.shown));
}

void ExplorationSlot::save_state(StateWriter& writer) const {
  put_options(writer, options_);
  Array<std::int64_t> flat(2 * counts_.size(), uninitialized);
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    flat.mutable_data()[2 * i] = counts_[i].shown;
    flat.mutable_data()[2 * i + 1] = counts_[i].clicked;
  }
  writer.put_array("counts", flat);
}

ExplorationSlot ExplorationSlot::from_state(const StateReader& reader) {
  ExplorationSlot out(get_options<ExplorationOptions>(reader));
  const Array<std::int64_t> flat = reader.get_array<std::int64_t>("counts");
  if (flat.size() % 2 != 0) reader.fail("counts", "found an odd number of counts");
  for (std::size_t i = 0; i < flat.size(); i += 2) {
    if (flat[i] < 0 || flat[i + 1] < 0 || flat[i + 1] > flat[i]) reader.fail("counts", "found more clicks than showings, or less than none");
    out.counts_.push_back({flat[i], flat[i + 1]});
  }
  return out;
}

}  // namespace etalage
