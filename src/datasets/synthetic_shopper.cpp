// SPDX-License-Identifier: Apache-2.0
#include "datasets/synthetic_shopper.hpp"

#include <algorithm>

namespace etalage::detail {
namespace {

enum Type : std::uint16_t { kView, kCart, kPurchase, kReturn };
constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kMinuteMs = 60'000;

}  // namespace

void Shopper::form_taste(RandomStream& random, std::int32_t user, std::int32_t& segment) {
  const auto num_leaves = static_cast<std::uint32_t>(catalog_.leaves.size());
  segment = static_cast<std::int32_t>(RandomStream(options_.seed, 5, static_cast<std::uint64_t>(user)).below(kSegments));
  // What the circle loves, the same for all of it; each member shares most of it and adds something of their own.
  RandomStream circle(options_.seed, 6, static_cast<std::uint64_t>(segment));
  leaves_.clear();
  for (int j = 0; j < 6; ++j) {
    const auto shared = static_cast<std::int32_t>(circle.below(num_leaves));
    if (random.chance(700)) leaves_.push_back(shared);
    else if (random.chance(300)) leaves_.push_back(static_cast<std::int32_t>(random.below(num_leaves)));
  }
  if (leaves_.empty()) leaves_.push_back(static_cast<std::int32_t>(random.below(num_leaves)));
  // Not everyone ranks them alike.
  std::rotate(leaves_.begin(), leaves_.begin() + random.below(static_cast<std::uint32_t>(leaves_.size())), leaves_.end());
  const auto circle_style = static_cast<std::uint8_t>(circle.below(kStyles));
  style_ = random.chance(600) ? circle_style : static_cast<std::uint8_t>(random.below(kStyles));
  tier_ = static_cast<int>(random.below(kTiers));
  thrift_ = static_cast<int>(random.below(4));
  const auto& home = catalog_.brands_of_department[static_cast<std::size_t>(department_of(leaves_[0]))];
  for (std::uint16_t& brand : brands_) brand = home[random.below(static_cast<std::uint32_t>(home.size()))];
  // A third came new during the first half of the record.
  first_day_ = random.chance(333) ? static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(options_.days + 1) / 2 + 1)) : 0;
  first_day_ = std::min(first_day_, options_.days - 1);
  cycles_.clear();
  returns_.clear();
}

void Shopper::plan_visits(RandomStream& random, std::size_t events) {
  visits_.clear();
  const std::uint32_t low = days_[static_cast<std::size_t>(first_day_)];
  const std::uint32_t high = days_.back();
  // A visit brings about seven events; those left over stretch the last one.
  const std::size_t count = std::max<std::size_t>(1, events / 7);
  for (std::size_t v = 0; v < count; ++v) {
    const std::uint32_t at = low + random.below(high - low);
    const auto day = std::upper_bound(days_.begin(), days_.end(), at) - days_.begin() - 1;
    // From 7 to 23 o'clock, evenings twice as often.
    const std::uint32_t minute = random.chance(500) ? 420 + random.below(960) : 1080 + random.below(300);
    visits_.push_back(options_.start_ms + day * kDayMs + static_cast<std::int64_t>(minute) * kMinuteMs);
  }
  std::sort(visits_.begin(), visits_.end());
}

std::int32_t Shopper::pick_leaf(RandomStream& random, const Day& day) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    const std::int32_t leaf =
        random.chance(850) ? leaves_[random.skewed(static_cast<std::uint32_t>(leaves_.size()))]
                           : static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(catalog_.leaves.size())));
    const std::int8_t season = catalog_.leaves[static_cast<std::size_t>(leaf)].season;
    // Out of its season a leaf is passed over three times in four.
    if (season < 0 || season == day.season || random.chance(250)) return leaf;
  }
  return leaves_[0];
}

int Shopper::liking(const ItemTraits& t) const {
  int points = 0;
  if (t.style == style_) points += 6;
  if (t.brand == brands_[0] || t.brand == brands_[1]) points += 4;
  const int above = static_cast<int>(t.tier) - tier_;
  points -= above > 0 ? above * thrift_ : -above;
  return points;
}

std::int32_t Shopper::pick_item(RandomStream& random, std::int32_t leaf, std::int32_t day) {
  const Leaf& l = catalog_.leaves[static_cast<std::size_t>(leaf)];
  // The best liked of a few that the shelf shows; the shelf shows popular ones first.
  std::int32_t best = catalog_.by_leaf[static_cast<std::size_t>(l.begin)];
  int best_points = -1000;
  for (int j = 0; j < 5; ++j) {
    const std::int32_t item =
        catalog_.by_leaf[static_cast<std::size_t>(l.begin) + random.skewed(static_cast<std::uint32_t>(l.count))];
    const ItemTraits& t = catalog_.items[static_cast<std::size_t>(item)];
    if (t.launch_day > day) continue;
    const int points = liking(t) + static_cast<int>(random.below(4));
    if (points > best_points) {
      best_points = points;
      best = item;
    }
  }
  return best;
}

std::int32_t Shopper::shop(std::int32_t user, std::size_t begin, std::size_t end, ShopperEvents& out, std::int32_t& segment) {
  RandomStream random(options_.seed, 7, static_cast<std::uint64_t>(user));
  form_taste(random, user, segment);
  plan_visits(random, end - begin);

  std::size_t row = begin;
  std::int64_t clock = 0;
  std::int32_t session = 0;
  const auto write = [&](std::int32_t item, Type type, float quantity) {
    if (row == end) return;
    out.items[row] = item;
    out.types[row] = type;
    out.times[row] = clock;
    out.values[row] = quantity;
    out.sessions[row] = session;
    ++row;
    clock += 10'000 + static_cast<std::int64_t>(random.below(120'000));
  };
  const auto buy = [&](std::int32_t item, std::int32_t day) {
    const ItemTraits& t = catalog_.items[static_cast<std::size_t>(item)];
    const float quantity = static_cast<float>(random.steps(150, 5));
    write(item, kPurchase, quantity);
    const std::int16_t cycle = catalog_.leaves[static_cast<std::size_t>(t.leaf)].cycle_days;
    if (cycle > 0) {
      // What runs out is bought again, one and the same product, as long as this shopper keeps to it.
      if (cycles_.size() < 8 && random.chance(700)) cycles_.push_back({item, day + cycle * (80 + static_cast<std::int32_t>(random.below(41))) / 100, cycle});
    } else if (random.chance(60)) {
      returns_.push_back({item, quantity});
    }
  };

  for (std::size_t v = 0; v < visits_.size() && row < end; ++v) {
    const bool last = v + 1 == visits_.size();
    clock = std::max(visits_[v], row == begin ? 0 : clock + 45 * kMinuteMs);
    const auto today = static_cast<std::int32_t>(std::min<std::int64_t>((clock - options_.start_ms) / kDayMs, options_.days - 1));
    const Day day(options_.start_ms, today);
    const std::size_t visit_begin = row;

    for (const Return& r : returns_) write(r.item, kReturn, r.quantity);
    returns_.clear();
    for (std::size_t c = 0; c < cycles_.size(); ++c) {
      if (cycles_[c].due_day > today) continue;
      const Cycle due = cycles_[c];
      cycles_.erase(cycles_.begin() + static_cast<std::ptrdiff_t>(c--));
      write(due.item, kCart, 1);
      buy(due.item, today);
    }

    // A share of the rest of the rows, so that every visit has some; the last one takes what is left.
    const std::size_t left = end - row;
    const std::size_t share = std::max<std::size_t>(1, left / (visits_.size() - v));
    const std::size_t until = last ? end : std::min(end, row + share / 2 + random.below(static_cast<std::uint32_t>(share) + 1));
    std::int32_t leaf = pick_leaf(random, day);
    std::int32_t previous = -1;
    while (row < until) {
      std::int32_t item = -1;
      if (previous >= 0 && random.chance(250)) {
        item = catalog_.items[static_cast<std::size_t>(previous)].companion;
        if (catalog_.items[static_cast<std::size_t>(item)].launch_day > today) item = -1;
      }
      if (item < 0) {
        if (previous >= 0 && random.chance(200)) leaf = pick_leaf(random, day);
        item = pick_item(random, leaf, today);
      }
      const ItemTraits& t = catalog_.items[static_cast<std::size_t>(item)];
      write(item, kView, 1);
      const int points = liking(t);
      const auto wants = static_cast<std::uint32_t>(std::clamp(150 + 40 * points, 20, 700));
      if (random.chance(wants)) {
        write(item, kCart, 1);
        if (t.in_stock && random.chance(550)) buy(item, today);
      }
      previous = item;
    }
    if (row > visit_begin) ++session;
  }
  return session;
}

}  // namespace etalage::detail
