// SPDX-License-Identifier: Apache-2.0
#include "marketing/page_dual.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "marketing/row_assignment.hpp"

namespace etalage::marketing {

PageDual::PageDual(const PageProblem& p, const PageCells& cells, std::span<const std::uint8_t> dropped_rows)
    : p_(p), cells_(cells), dropped_(dropped_rows), least_(p.limits.size()), most_(p.limits.size()), lowest_price_(cells.rows), owner_(cells.copies, -1),
      position_of_row_(cells.rows), worth_of_row_(cells.rows * cells.positions) {
  for (std::size_t g = 0; g < p.limits.size(); ++g) {
    least_[g] = p.limits[g].at_least;
    most_[g] = std::min<std::int64_t>(p.limits[g].at_most, static_cast<std::int64_t>(cells.places));
  }
  if (!p.limit_offsets.empty())
    for (const PagePin& pin : p.pins)
      for (auto j = static_cast<std::size_t>(p.limit_offsets[pin.cell]); j < static_cast<std::size_t>(p.limit_offsets[pin.cell + 1]); ++j) {
        --least_[static_cast<std::size_t>(p.limit_of[j])];
        --most_[static_cast<std::size_t>(p.limit_of[j])];
      }
  waiting_.reserve(2 * cells.places);
}

void PageDual::price_cells(PagePrices& prices) const {
  if (p_.limits.empty()) return;
  for (std::size_t c = 0; c < cells_.cells.size(); ++c) {
    const std::size_t cell = cells_.cells[c].cell;
    double sum = 0;
    for (auto j = static_cast<std::size_t>(p_.limit_offsets[cell]); j < static_cast<std::size_t>(p_.limit_offsets[cell + 1]); ++j)
      sum += prices.limit[static_cast<std::size_t>(p_.limit_of[j])];
    prices.cell[c] = sum;
  }
}

void PageDual::bid(std::span<const double> weights, std::span<const std::int32_t> order, double step, PagePrices& prices, std::vector<std::int32_t>& held) {
  // A price war between equals is cut short: what is left unassigned then costs value, which the gap shows.
  std::size_t bids = 20 * cells_.places + 500;
  while (!waiting_.empty() && bids-- > 0) {
    const std::size_t place = waiting_.back();
    waiting_.pop_back();
    const auto row = static_cast<std::size_t>(order[static_cast<std::size_t>(cells_.position_of[place])]);
    const double weight = weights[place];
    double best = 0, second = 0;  // staying empty is worth 0
    std::size_t found = cells_.cells.size();
    const double lowest = lowest_price_[row];
    const std::size_t end = cells_.offsets[row + 1];
    for (std::size_t c = cells_.offsets[row]; c < end; ++c) {
      if (weight * cells_.cells[c].value - lowest <= second) break;  // the others are worth less still
      const double w = worth(weights, place, c, prices);
      // Without branches: which of neighbours is better is a guess.
      second = std::max(second, std::min(best, w));
      found = w > best ? c : found;
      best = std::max(best, w);
    }
    if (found == cells_.cells.size()) continue;
    const auto copy = static_cast<std::size_t>(cells_.cells[found].copy);
    prices.copy[copy] += best - second + step;
    if (owner_[copy] >= 0) {
      held[static_cast<std::size_t>(owner_[copy])] = -1;
      waiting_.push_back(static_cast<std::uint32_t>(owner_[copy]));
    }
    owner_[copy] = static_cast<std::int32_t>(place);
    held[place] = static_cast<std::int32_t>(found);
  }
  waiting_.clear();
}

/// Copies that nobody holds lower their prices until a place would rather have them. True where a place changed hands.
bool PageDual::lower(std::span<const double> weights, double step, PagePrices& prices, std::vector<std::int32_t>& held) {
  bool changed = false;
  profit_.resize(cells_.places);
  for (std::size_t place = 0; place < cells_.places; ++place)
    profit_[place] = held[place] < 0 ? 0.0 : std::max(0.0, worth(weights, place, static_cast<std::size_t>(held[place]), prices));
  for (std::size_t copy = 0; copy < cells_.copies; ++copy) {
    if (owner_[copy] >= 0 || prices.copy[copy] <= 0) continue;
    double best = 0, second = 0;
    std::size_t place_found = cells_.places, cell_found = 0;
    for (std::size_t h = cells_.holders_offsets[copy]; h < cells_.holders_offsets[copy + 1]; ++h) {
      const std::size_t cell = cells_.holders[h];
      const std::size_t row = cells_.row_of[cell];
      if (position_of_row_[row] < 0) continue;
      const auto at = static_cast<std::size_t>(position_of_row_[row]);
      for (std::size_t place = cells_.first_place[at]; place < cells_.first_place[at + 1]; ++place) {
        if (cells_.pinned_at(row, place - cells_.first_place[at]) >= 0) continue;
        const double offer = weights[place] * cells_.cells[cell].value - prices.cell[cell] - profit_[place];
        if (offer > best) {
          second = best;
          best = offer;
          place_found = place;
          cell_found = cell;
        } else if (offer > second) {
          second = offer;
        }
      }
    }
    if (place_found == cells_.places || best <= step) {
      prices.copy[copy] = std::min(prices.copy[copy], std::max(0.0, best));
      continue;
    }
    const double price = std::max(0.0, second - step);
    if (price >= prices.copy[copy]) continue;
    prices.copy[copy] = price;
    if (held[place_found] >= 0) owner_[static_cast<std::size_t>(cells_.cells[static_cast<std::size_t>(held[place_found])].copy)] = -1;
    held[place_found] = static_cast<std::int32_t>(cell_found);
    owner_[copy] = static_cast<std::int32_t>(place_found);
    profit_[place_found] = std::max(0.0, worth(weights, place_found, cell_found, prices));
    changed = true;
  }
  return changed;
}

void PageDual::auction(std::span<const double> weights, std::span<const std::int32_t> order, double slack, PagePrices& prices, std::vector<std::int32_t>& held) {
  std::fill(position_of_row_.begin(), position_of_row_.end(), -1);
  for (std::size_t at = 0; at < cells_.positions; ++at)
    if (order[at] >= 0) position_of_row_[static_cast<std::size_t>(order[at])] = static_cast<std::int32_t>(at);
  for (std::size_t r = 0; r < cells_.rows; ++r) {
    lowest_price_[r] = 0;
    for (std::size_t c = cells_.offsets[r]; c < cells_.offsets[r + 1] && !p_.limits.empty(); ++c) lowest_price_[r] = std::min(lowest_price_[r], prices.cell[c]);
  }
  std::fill(owner_.begin(), owner_.end(), -1);
  held.assign(cells_.places, -1);
  waiting_.clear();
  for (std::size_t k = cells_.places; k-- > 0;) {
    const std::size_t place = cells_.looking[k];
    const std::int32_t row = order[static_cast<std::size_t>(cells_.position_of[place])];
    if (row >= 0 && cells_.pinned_at(static_cast<std::size_t>(row), cells_.slot_of(place)) < 0) waiting_.push_back(static_cast<std::uint32_t>(place));
  }
  const double step = slack / static_cast<double>(std::max<std::size_t>(1, cells_.places));
  for (int round = 0; round < 4; ++round) {
    bid(weights, order, step, prices, held);
    if (!lower(weights, step, prices, held)) break;
    for (std::size_t place = cells_.places; place-- > 0;) {
      const std::int32_t row = order[static_cast<std::size_t>(cells_.position_of[place])];
      if (row >= 0 && held[place] < 0 && cells_.pinned_at(static_cast<std::size_t>(row), cells_.slot_of(place)) < 0) waiting_.push_back(static_cast<std::uint32_t>(place));
    }
  }
}

/// What the row in a position would pay for a cell that it does not hold: the most over what it would give up for it.
double PageDual::claim(std::size_t position, const PageCells::Cell& wanted, double limit_price, const PagePrices& prices) const {
  const Holding& h = holdings_[position];
  const std::size_t n = h.cells.size();
  std::size_t q = 0;  // where the cell would stand
  while (q < n && cells_.cells[static_cast<std::size_t>(h.cells[q])].value >= wanted.value) ++q;
  double best = 0;
  if (n < h.weight.size()) best = h.weight[q] * wanted.value + h.down[n] - h.down[q];
  for (std::size_t j = 0; j < n; ++j) {
    const auto held = static_cast<std::size_t>(h.cells[j]);
    const auto& cell = cells_.cells[held];
    const double moved = j < q ? h.up[q] - h.up[j + 1] + h.weight[q - 1] * wanted.value : h.down[j] - h.down[q] + h.weight[q] * wanted.value;
    best = std::max(best, moved - h.weight[j] * cell.value + prices.cell[held] + prices.copy[static_cast<std::size_t>(cell.copy)]);
  }
  return best - limit_price;
}

void PageDual::settle_prices(std::span<const double> weights, std::span<const std::int32_t> order, std::span<const std::int32_t> held, PagePrices& prices) {
  holdings_.resize(cells_.positions);
  std::fill(position_of_row_.begin(), position_of_row_.end(), -1);
  for (std::size_t at = 0; at < cells_.positions; ++at) {
    Holding& h = holdings_[at];
    h.cells.clear();
    h.weight.clear();
    if (order[at] < 0) continue;
    position_of_row_[static_cast<std::size_t>(order[at])] = static_cast<std::int32_t>(at);
    for (std::size_t place = cells_.first_place[at]; place < cells_.first_place[at + 1]; ++place) {
      if (cells_.pinned_at(static_cast<std::size_t>(order[at]), place - cells_.first_place[at]) >= 0) continue;
      h.weight.push_back(weights[place]);
      if (held[place] >= 0) h.cells.push_back(held[place]);
    }
    std::sort(h.weight.begin(), h.weight.end(), std::greater<>());
    std::sort(h.cells.begin(), h.cells.end());  // cells of a row are by falling value
    const std::size_t n = h.cells.size();
    h.up.assign(n + 1, 0.0);
    h.down.assign(n + 1, 0.0);
    for (std::size_t t = 0; t < n; ++t) {
      const double value = cells_.cells[static_cast<std::size_t>(h.cells[t])].value;
      h.up[t + 1] = h.up[t] + (t > 0 ? (h.weight[t - 1] - h.weight[t]) * value : 0.0);
      h.down[t + 1] = h.down[t] + (t + 1 < h.weight.size() ? (h.weight[t + 1] - h.weight[t]) * value : 0.0);
    }
  }
  // Longest paths from what costs nothing (Bellman, Ford); what would go in circles is cut short, any prices being a bound.
  std::fill(prices.copy.begin(), prices.copy.end(), 0.0);
  for (int round = 0; round < 12; ++round) {
    bool changed = false;
    for (std::size_t at = 0; at < cells_.positions; ++at)
      for (const std::int32_t mine : holdings_[at].cells) {
        const auto copy = static_cast<std::size_t>(cells_.cells[static_cast<std::size_t>(mine)].copy);
        for (std::size_t i = cells_.holders_offsets[copy]; i < cells_.holders_offsets[copy + 1]; ++i) {
          const std::size_t cell = cells_.holders[i];
          const std::int32_t position = position_of_row_[cells_.row_of[cell]];
          if (position < 0 || static_cast<std::size_t>(position) == at) continue;
          const double asked = claim(static_cast<std::size_t>(position), cells_.cells[cell], prices.cell[cell], prices);
          if (asked <= prices.copy[copy] * (1 + 1e-9)) continue;
          prices.copy[copy] = asked;
          changed = true;
        }
      }
    if (!changed) break;
  }
}

/// Cells that a best choice of at most `slots` of the row may need: those that fewer than so many better and cheaper ones stand before.
void PageDual::find_front(std::size_t row, std::size_t slots, const PagePrices& prices) {
  front_.clear();
  cheapest_.clear();
  for (std::size_t c = cells_.offsets[row]; c < cells_.offsets[row + 1]; ++c) {
    const double price = prices.cell[c] + prices.copy[static_cast<std::size_t>(cells_.cells[c].copy)];
    if (cheapest_.size() == slots) {
      if (price >= cheapest_.back()) continue;
      cheapest_.pop_back();
    }
    cheapest_.insert(std::upper_bound(cheapest_.begin(), cheapest_.end(), price), price);
    front_.push_back({cells_.cells[c].value, price});
  }
}

double PageDual::best_of_front(std::span<const double> weights) {
  // Chosen cells stand by falling value in places of falling weight: f[j] is the best of the cells so far with j of them chosen.
  const std::size_t n = weights.size();
  if (n == 0) return 0;
  sums_.assign(2 * (n + 1), -std::numeric_limits<double>::infinity());
  double *now = sums_.data(), *next = now + n + 1;
  now[0] = next[0] = 0;
  std::size_t seen = 0;
  for (const Front& cell : front_) {
    if (!(weights[0] * cell.value > cell.price)) continue;  // worth nothing in any place
    const std::size_t most = std::min(++seen, n);
    const double* __restrict without = now;
    double* __restrict with = next;
    for (std::size_t j = 0; j < most; ++j) with[j + 1] = std::max(without[j + 1], without[j] + (weights[j] * cell.value - cell.price));
    std::swap(now, next);
  }
  return *std::max_element(now, now + n + 1);
}

double PageDual::bound(std::span<const double> weights, const PagePrices& prices, std::vector<std::int32_t>& order) {
  double value = std::accumulate(prices.copy.begin(), prices.copy.end(), 0.0);
  for (std::size_t g = 0; g < p_.limits.size(); ++g) value += prices.limit[g] * static_cast<double>(prices.limit[g] > 0 ? most_[g] : least_[g]);
  falling_.assign(weights.begin(), weights.end());
  for (std::size_t at = 0; at < cells_.positions; ++at)
    std::sort(falling_.begin() + static_cast<std::ptrdiff_t>(cells_.first_place[at]), falling_.begin() + static_cast<std::ptrdiff_t>(cells_.first_place[at + 1]), std::greater<>());
  std::vector<double> free;
  for (std::size_t r = 0; r < cells_.rows; ++r) {
    find_front(r, cells_.most_slots, prices);
    const auto pins = std::span(cells_.pinned).subspan(r * cells_.most_slots, cells_.most_slots);
    const bool pinned = std::any_of(pins.begin(), pins.end(), [](std::int64_t pin) { return pin >= 0; });
    for (std::size_t at = 0; at < cells_.positions; ++at) {
      const std::size_t first = cells_.first_place[at], slots = cells_.first_place[at + 1] - first;
      double& worth = worth_of_row_[r * cells_.positions + at];
      if (!pinned) {
        worth = best_of_front(std::span(falling_).subspan(first, slots));
        continue;
      }
      free.clear();
      double promised = 0;
      for (std::size_t s = 0; s < slots; ++s) {
        if (pins[s] < 0) {
          free.push_back(weights[first + s]);
          continue;
        }
        const double score = p_.scores[static_cast<std::size_t>(pins[s])];
        promised += weights[first + s] * (p_.click_model == ClickModel::cascade ? -std::log1p(-score) : score);
      }
      std::sort(free.begin(), free.end(), std::greater<>());
      worth = promised + best_of_front(free);
    }
  }
  return value + assign_rows(p_, cells_, dropped_, worth_of_row_, order);
}

void PageDual::start_prices(std::span<const double> weights, std::span<const std::int32_t> order, PagePrices& prices) const {
  std::vector<double> falling;
  for (std::size_t at = 0; at < cells_.positions; ++at) {
    if (order[at] < 0) continue;
    const auto row = static_cast<std::size_t>(order[at]);
    falling.clear();
    for (std::size_t place = cells_.first_place[at]; place < cells_.first_place[at + 1]; ++place)
      if (cells_.pinned_at(row, place - cells_.first_place[at]) < 0) falling.push_back(weights[place]);
    std::sort(falling.begin(), falling.end(), std::greater<>());
    // The lowest prices at which every place of the row is content: what the next place would pay more for the better product.
    const std::size_t n = std::min(falling.size(), cells_.offsets[row + 1] - cells_.offsets[row]);
    double price = 0;
    for (std::size_t j = n; j-- > 0;) {
      const auto& cell = cells_.cells[cells_.offsets[row] + j];
      if (j + 1 < n) price += falling[j + 1] * (cell.value - cells_.cells[cells_.offsets[row] + j + 1].value);
      double& all = prices.copy[static_cast<std::size_t>(cell.copy)];
      all = std::max(all, price);
    }
  }
}

}  // namespace etalage::marketing
