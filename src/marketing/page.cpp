// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/page.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "etalage/core/slot.hpp"
#include "marketing/page_checks.hpp"
#include "marketing/page_dual.hpp"
#include "marketing/page_repair.hpp"
#include "marketing/row_assignment.hpp"

namespace etalage::marketing {
namespace {

struct FoundPage {
  bool feasible = false;
  std::vector<std::int32_t> order;
  std::vector<std::int64_t> page, given;
  double value = 0;
  double bound = std::numeric_limits<double>::infinity();
  std::vector<double> limit_prices;  ///< at the best bound
};

/// Candidates of a page whose answer is waited for: there a step that brings little is the last one.
constexpr std::size_t kLargePage = 1000;

double gap_of(double value, double bound) { return bound > value ? (bound - value) / bound : 0.0; }

/// Rows by what their best products would earn in each position if no other row wanted them.
std::vector<std::int32_t> first_order(const PageProblem& p, const PageCells& cells, std::span<const std::uint8_t> dropped) {
  std::vector<double> worth(cells.rows * cells.positions), sorted(p.weights.begin(), p.weights.end());
  for (std::size_t at = 0; at < cells.positions; ++at)
    std::sort(sorted.begin() + static_cast<std::ptrdiff_t>(cells.first_place[at]), sorted.begin() + static_cast<std::ptrdiff_t>(cells.first_place[at + 1]), std::greater<>());
  for (std::size_t r = 0; r < cells.rows; ++r)
    for (std::size_t at = 0; at < cells.positions; ++at) {
      double& sum = worth[r * cells.positions + at];
      std::size_t place = cells.first_place[at];
      std::int32_t last = -1;
      for (std::size_t c = cells.offsets[r]; c < cells.offsets[r + 1] && place < cells.first_place[at + 1]; ++c) {
        if (cells.cells[c].product == last) continue;  // a copy: adjacent only among equals, which is near enough for a start
        last = cells.cells[c].product;
        sum += sorted[place++] * cells.cells[c].value;
      }
    }
  std::vector<std::int32_t> order;
  (void)assign_rows(p, cells, dropped, worth, order);
  return order;
}

/// A page to lay a cascade's first tangents at: each place takes the best product of its row that none before it took. Limits do not matter,
/// as tangents bound every page from anywhere; at the empty page they would be far off.
std::vector<std::int64_t> greedy_page(const PageCells& cells, std::span<const std::int32_t> order) {
  std::vector<std::int64_t> page(cells.places, -1);
  std::vector<std::uint8_t> taken(cells.copies, 0);
  std::vector<std::size_t> next(cells.offsets.begin(), cells.offsets.end() - 1);
  for (const std::uint32_t place : cells.looking) {
    const std::int32_t shown = order[static_cast<std::size_t>(cells.position_of[place])];
    if (shown < 0) continue;
    const auto row = static_cast<std::size_t>(shown);
    page[place] = cells.pinned_at(row, cells.slot_of(place));
    if (page[place] >= 0) continue;
    std::size_t& c = next[row];
    while (c < cells.offsets[row + 1] && taken[static_cast<std::size_t>(cells.cells[c].copy)] != 0) ++c;
    if (c == cells.offsets[row + 1]) continue;
    taken[static_cast<std::size_t>(cells.cells[c].copy)] = 1;
    page[place] = static_cast<std::int64_t>(cells.cells[c].cell);
  }
  return page;
}

/// How many places each limit has in the relaxed choice.
std::vector<double> usage(const PageProblem& p, const PageCells& cells, std::span<const std::int32_t> held) {
  std::vector<double> out(p.limits.size(), 0.0);
  if (out.empty()) return out;
  const auto add = [&](std::size_t cell) {
    for (auto j = static_cast<std::size_t>(p.limit_offsets[cell]); j < static_cast<std::size_t>(p.limit_offsets[cell + 1]); ++j) out[static_cast<std::size_t>(p.limit_of[j])] += 1;
  };
  for (const std::int32_t h : held)
    if (h >= 0) add(cells.cells[static_cast<std::size_t>(h)].cell);
  for (const PagePin& pin : p.pins) add(pin.cell);
  return out;
}

/// What a place that pays little is worth: subsidies beyond it would make every place want the same few products, which an auction
/// settles in very small steps.
double small_worth(const PageCells& cells, std::span<const double> weights, std::span<const std::int32_t> held) {
  std::vector<double> worth;
  for (std::size_t place = 0; place < held.size(); ++place)
    if (held[place] >= 0) worth.push_back(weights[place] * cells.cells[static_cast<std::size_t>(held[place])].value);
  if (worth.empty()) return std::numeric_limits<double>::infinity();
  const auto at = worth.begin() + static_cast<std::ptrdiff_t>(worth.size() / 4);
  std::nth_element(worth.begin(), at, worth.end());
  return 0.1 * *at;
}

/// A step of the limits' prices along the subgradient, as long as the bound's distance to `target` asks for (Polyak); subsidies grow by
/// at most `most`. False where no price moves.
bool move_prices(const PageProblem& p, std::span<const double> used, double distance, double most, std::span<double> prices) {
  std::vector<double> along(p.limits.size(), 0.0);
  double square = 0;
  for (std::size_t g = 0; g < p.limits.size(); ++g) {
    const auto least = static_cast<double>(p.limits[g].at_least), highest = static_cast<double>(p.limits[g].at_most);
    if (used[g] > highest || prices[g] > 0) along[g] = used[g] - highest;
    else if (used[g] < least || prices[g] < 0) along[g] = used[g] - least;
    square += along[g] * along[g];
  }
  if (square == 0) return false;
  for (std::size_t g = 0; g < p.limits.size(); ++g) {
    const bool positive = prices[g] > 0 || along[g] > 0;
    prices[g] += std::max(distance / square * along[g], -most);
    if (used[g] <= static_cast<double>(p.limits[g].at_most) && used[g] >= static_cast<double>(p.limits[g].at_least)) prices[g] = positive ? std::max(0.0, prices[g]) : std::min(0.0, prices[g]);
  }
  return true;
}

/// Small pages: other orders of rows, two exchanged or one replaced, as long as that gains.
void exchange_rows(const PageProblem& p, const PageCells& cells, std::span<const std::uint8_t> dropped, std::span<const double> weights, double slack, PageDual& dual,
                   PageDraft& draft, PagePrices& prices, FoundPage& best) {
  std::size_t tries = std::min<std::size_t>(200, 2000 / std::max<std::size_t>(1, cells.places) - std::min<std::size_t>(8, 2000 / std::max<std::size_t>(1, cells.places)));
  const auto free = [&](std::int32_t row) { return row < 0 || p.row_position.empty() || p.row_position[static_cast<std::size_t>(row)] < 0; };
  const auto may_go = [&](std::int32_t row) { return row < 0 || p.row_position.empty() || p.row_position[static_cast<std::size_t>(row)] == kAnywhere; };
  std::vector<std::int32_t> order, held;
  const auto attempt = [&] {
    --tries;
    dual.auction(weights, order, slack, prices, held);
    draft.start(weights, order, held);
    if (!draft.repair()) return false;
    draft.improve();
    const double value = page_value(p, cells, draft.page());
    if (!(value > best.value)) return false;
    best.order = order;
    best.page = draft.page();
    best.given = draft.given();
    best.value = value;
    return true;
  };
  for (bool gained = true; gained && tries > 0;) {
    gained = false;
    for (std::size_t a = 0; a < cells.positions; ++a) {
      for (std::size_t b = a + 1; b < cells.positions && tries > 0; ++b) {
        order = best.order;
        if (!free(order[a]) || !free(order[b])) continue;
        std::swap(order[a], order[b]);
        gained |= attempt();
      }
      for (std::size_t r = 0; r < cells.rows && tries > 0; ++r) {
        order = best.order;
        const auto row = static_cast<std::int32_t>(r);
        if (!free(order[a]) || !may_go(order[a]) || dropped[r] != 0 || std::find(order.begin(), order.end(), row) != order.end()) continue;
        order[a] = row;
        gained |= attempt();
      }
    }
  }
}

FoundPage search(const PageProblem& p, const PageCells& cells, std::span<const std::uint8_t> dropped, const PageOptions& options) {
  PageDual dual(p, cells, dropped);
  PageDraft draft(p, cells);
  FoundPage best;
  PagePrices prices{std::vector<double>(cells.copies, 0.0), std::vector<double>(p.limits.size(), 0.0), std::vector<double>(cells.cells.size(), 0.0)};
  PagePrices settled = prices;
  std::vector<double> weights(p.weights.begin(), p.weights.end());
  double constant = 0, pace = 1, last_gap = std::numeric_limits<double>::infinity();
  std::vector<std::int32_t> order = first_order(p, cells, dropped), next, held;
  std::vector<std::size_t> missing;
  best.limit_prices = prices.limit;
  if (p.click_model == ClickModel::cascade) constant = cascade_tangent(p, cells, greedy_page(cells, order), weights);
  dual.start_prices(weights, order, prices);
  for (std::int32_t step = 0; step <= options.max_steps; ++step) {
    // The slack of an auction is a tenth of the gap asked for, of a worth that is first only guessed.
    double size = best.value;
    if (size == 0) {
      next = order;
      size = dual.bound(weights, prices, next);
    }
    dual.auction(weights, order, 0.1 * options.target_gap * size, prices, held);
    draft.start(weights, order, held);
    bool better = false;
    if (draft.repair()) {
      draft.improve();
      const double value = page_value(p, cells, draft.page());
      better = !best.feasible || value > best.value;
      if (better) best = {true, order, draft.page(), draft.given(), value, best.bound, std::move(best.limit_prices)};
    } else {
      missing = draft.short_limits();
    }
    next = order;
    settled.cell = prices.cell;
    settled.limit = prices.limit;
    dual.settle_prices(weights, order, held, settled);
    const double bound = constant + dual.bound(weights, settled, next);
    if (bound < best.bound) {
      best.bound = bound;
      best.limit_prices = prices.limit;
    } else {
      pace *= 0.7;
    }
    if (best.feasible && gap_of(best.value, best.bound) <= options.target_gap) break;
    const double gap = best.feasible ? gap_of(best.value, best.bound) : std::numeric_limits<double>::infinity();
    if (best.feasible && cells.cells.size() > kLargePage && !(gap < 0.8 * last_gap)) break;
    last_gap = gap;
    // Without a page that keeps the promises the prices go on as if one of nine tenths of the bound were known.
    const double target = best.feasible ? best.value : 0.9 * bound;
    // The tangents of a cascade come before prices: those at the page found bound it more closely.
    bool moved = p.click_model == ClickModel::cascade && better;
    if (moved) constant = cascade_tangent(p, cells, best.page, weights);
    if (!moved || step > 0) {
      const std::vector<double> used = usage(p, cells, held);
      const bool priced = move_prices(p, used, pace * std::max(bound - target, 1e-6 * bound), small_worth(cells, weights, held), prices.limit);
      if (priced) dual.price_cells(prices);
      moved |= priced;
    }
    if (next != order) {
      order = next;
      moved = true;
    }
    if (!moved) break;
  }
  if (best.feasible && gap_of(best.value, best.bound) > options.target_gap) exchange_rows(p, cells, dropped, weights, 0.1 * options.target_gap * best.value, dual, draft, prices, best);
  if (!best.feasible) {
    std::string names;
    for (const std::size_t g : missing) names += (names.empty() ? "" : ", ") + (p.limits[g].name.empty() ? "limits[" + std::to_string(g) + "]" : p.limits[g].name);
    throw std::invalid_argument("no page keeps the limits " + names + " together with the others and the promised places. This was not found, not proved; lower at_least, or raise what clashes");
  }
  return best;
}

}  // namespace

PageLayout compose_page(const PageProblem& p, const PageOptions& options) {
  options.validate();
  check_page(p);
  const PageCells cells(p);
  check_promises(p, cells);
  std::vector<std::uint8_t> dropped(cells.rows, 0);
  const auto promised = [&](std::size_t r) { return !p.row_position.empty() && p.row_position[r] != kAnywhere; };
  for (std::size_t r = 0; r < cells.rows; ++r) dropped[r] = !promised(r) && p.offsets[r + 1] - p.offsets[r] < options.min_items;
  FoundPage found = search(p, cells, dropped, options);
  const double bound = found.bound;
  // Rows that the others left too short go, one after the other, which no bound needs to know.
  for (bool again = options.min_items > 1; again;) {
    again = false;
    for (std::size_t at = 0; at < cells.positions && !again; ++at) {
      if (found.order[at] < 0 || promised(static_cast<std::size_t>(found.order[at]))) continue;
      const auto begin = found.page.begin() + static_cast<std::ptrdiff_t>(cells.first_place[at]), end = found.page.begin() + static_cast<std::ptrdiff_t>(cells.first_place[at + 1]);
      if (end - begin - std::count(begin, end, -1) >= options.min_items) continue;
      dropped[static_cast<std::size_t>(found.order[at])] = 1;
      again = true;
    }
    if (again) found = search(p, cells, dropped, options);
  }
  PageLayout out;
  out.rows = std::move(found.order);
  out.cells = std::move(found.page);
  for (std::size_t at = 0; at < cells.positions; ++at)
    if (std::all_of(out.cells.begin() + static_cast<std::ptrdiff_t>(cells.first_place[at]), out.cells.begin() + static_cast<std::ptrdiff_t>(cells.first_place[at + 1]), [](std::int64_t c) { return c < 0; }))
      out.rows[at] = -1;  // nothing to show
  out.value = found.value;
  // Sums in another order may put the two a rounding apart.
  out.bound = std::max(bound, found.value);
  out.gap = gap_of(out.value, out.bound);
  out.limit_prices = std::move(found.limit_prices);
  out.given = std::move(found.given);
  return out;
}

std::int64_t page_period(std::string_view shopper, std::string_view salt, std::int64_t now, std::int64_t period) {
  detail::require(period > 0, "period", period, "> 0");
  constexpr std::int64_t kLatest = std::int64_t{1} << 62;
  detail::require(now > -kLatest && now < kLatest && period < kLatest, "now", now, "within 2^62, as the period");
  // slot / kSlots of a period, without overflow.
  const std::int64_t part = slot(shopper, salt);
  const std::int64_t moved = now + period / kSlots * part + period % kSlots * part / kSlots;
  return moved / period - (moved % period < 0 ? 1 : 0);
}

void PageOptions::validate() const { require_options(*this); }

}  // namespace etalage::marketing
