// SPDX-License-Identifier: Apache-2.0
#include "marketing/page_repair.hpp"

#include <algorithm>
#include <limits>

namespace etalage::marketing {

PageDraft::PageDraft(const PageProblem& problem, const PageCells& cells) : p_(problem), cells_(cells) {}

std::span<const std::int32_t> PageDraft::limits_of(std::int64_t cell) const {
  if (cell < 0 || p_.limit_offsets.empty()) return {};
  const auto c = static_cast<std::size_t>(cell);
  return p_.limit_of.subspan(static_cast<std::size_t>(p_.limit_offsets[c]), static_cast<std::size_t>(p_.limit_offsets[c + 1] - p_.limit_offsets[c]));
}

bool PageDraft::counts_in(std::int64_t cell, std::size_t limit) const {
  const auto limits = limits_of(cell);
  return std::find(limits.begin(), limits.end(), static_cast<std::int32_t>(limit)) != limits.end();
}

void PageDraft::put(std::size_t place, std::int32_t cell) {
  // Where products repeat, a row holds one once; otherwise the page does.
  const std::size_t scope = p_.temperature > 0 ? static_cast<std::size_t>(cells_.position_of[place]) * cells_.products : 0;
  const auto count = [&](std::int64_t of, int by) {
    for (const std::int32_t g : limits_of(of)) given_[static_cast<std::size_t>(g)] += by;
    if (of >= 0) in_row_[scope + static_cast<std::size_t>(cells_.product_of[static_cast<std::size_t>(of)])] += by;
  };
  count(page_[place], -1);
  if (held_[place] >= 0) --shown_[static_cast<std::size_t>(cells_.cells[static_cast<std::size_t>(held_[place])].copy)];
  held_[place] = cell;
  page_[place] = cell < 0 ? -1 : static_cast<std::int64_t>(cells_.cells[static_cast<std::size_t>(cell)].cell);
  if (cell >= 0) ++shown_[static_cast<std::size_t>(cells_.cells[static_cast<std::size_t>(cell)].copy)];
  count(page_[place], 1);
}

void PageDraft::start(std::span<const double> weights, std::span<const std::int32_t> order, std::span<const std::int32_t> held) {
  weights_ = weights;
  order_.assign(order.begin(), order.end());
  held_.assign(cells_.places, -1);
  fixed_.assign(cells_.places, 0);
  page_.assign(cells_.places, -1);
  given_.assign(p_.limits.size(), 0);
  shown_.assign(cells_.copies, 0);
  in_row_.assign((p_.temperature > 0 ? cells_.positions : 1) * cells_.products, 0);
  for (std::size_t place = 0; place < cells_.places; ++place) {
    const std::int32_t row = order_[static_cast<std::size_t>(cells_.position_of[place])];
    const std::int64_t pin = row < 0 ? -1 : cells_.pinned_at(static_cast<std::size_t>(row), cells_.slot_of(place));
    fixed_[place] = row < 0 || pin >= 0;
    if (pin < 0) continue;
    page_[place] = pin;
    for (const std::int32_t g : limits_of(pin)) ++given_[static_cast<std::size_t>(g)];
    ++in_row_[(p_.temperature > 0 ? static_cast<std::size_t>(cells_.position_of[place]) * cells_.products : 0) + static_cast<std::size_t>(cells_.product_of[static_cast<std::size_t>(pin)])];
  }
  for (const std::uint32_t place : cells_.looking) {
    if (fixed_[place] != 0 || held[place] < 0) continue;
    const auto& cell = cells_.cells[static_cast<std::size_t>(held[place])];
    const std::size_t scope = p_.temperature > 0 ? static_cast<std::size_t>(cells_.position_of[place]) * cells_.products : 0;
    if (in_row_[scope + static_cast<std::size_t>(cell.product)] == 0) put(place, held[place]);
  }
}

bool PageDraft::may_stand(std::size_t place, std::size_t c, bool minima) const {
  const auto& cell = cells_.cells[c];
  const std::size_t scope = p_.temperature > 0 ? static_cast<std::size_t>(cells_.position_of[place]) * cells_.products : 0;
  const std::int64_t old = page_[place];
  const bool same = old >= 0 && cells_.product_of[static_cast<std::size_t>(old)] == cell.product;
  if (in_row_[scope + static_cast<std::size_t>(cell.product)] > (same ? 1 : 0)) return false;
  if (shown_[static_cast<std::size_t>(cell.copy)] > 0) return false;
  const auto now = static_cast<std::int64_t>(cell.cell);
  for (const std::int32_t g : limits_of(now))
    if (given_[static_cast<std::size_t>(g)] >= p_.limits[static_cast<std::size_t>(g)].at_most && !counts_in(old, static_cast<std::size_t>(g))) return false;
  if (!minima) return true;
  for (const std::int32_t g : limits_of(old))
    if (given_[static_cast<std::size_t>(g)] <= p_.limits[static_cast<std::size_t>(g)].at_least && !counts_in(now, static_cast<std::size_t>(g))) return false;
  return true;
}

bool PageDraft::may_leave(std::size_t place) const {
  for (const std::int32_t g : limits_of(page_[place]))
    if (given_[static_cast<std::size_t>(g)] <= p_.limits[static_cast<std::size_t>(g)].at_least) return false;
  return true;
}

bool PageDraft::keep_maxima() {
  for (;;) {
    Move best;
    best.loss = std::numeric_limits<double>::infinity();
    bool exceeded = false;
    for (std::size_t place = 0; place < cells_.places; ++place) {
      std::size_t over = p_.limits.size();
      for (const std::int32_t g : limits_of(page_[place]))
        if (given_[static_cast<std::size_t>(g)] > p_.limits[static_cast<std::size_t>(g)].at_most) over = static_cast<std::size_t>(g);
      if (over == p_.limits.size()) continue;
      exceeded = true;
      if (fixed_[place] != 0) continue;
      const auto row = static_cast<std::size_t>(order_[static_cast<std::size_t>(cells_.position_of[place])]);
      const double here = worth(place);
      if (here < best.loss) best = {place, -1, here};
      for (std::size_t c = cells_.offsets[row]; c < cells_.offsets[row + 1]; ++c) {
        const double loss = here - weights_[place] * cells_.cells[c].value;
        if (loss >= best.loss) {
          if (best.place == place && best.cell < 0) continue;  // an equal product is better than none
          break;
        }
        if (counts_in(static_cast<std::int64_t>(cells_.cells[c].cell), over) || !may_stand(place, c, false)) continue;
        best = {place, static_cast<std::int32_t>(c), loss};
        break;
      }
    }
    if (!exceeded) return true;
    if (best.loss == std::numeric_limits<double>::infinity()) return false;
    put(best.place, best.cell);
  }
}

bool PageDraft::reach_minima() {
  for (std::size_t g = 0; g < p_.limits.size(); ++g)
    while (given_[g] < p_.limits[g].at_least) {
      Move best;
      best.loss = std::numeric_limits<double>::infinity();
      for (std::size_t at = 0; at < cells_.positions; ++at) {
        if (order_[at] < 0) continue;
        const auto row = static_cast<std::size_t>(order_[at]);
        // The row's best cell of the limit that some place can take is the one that loses least in any of its places.
        bool taken = false;
        for (std::size_t c = cells_.offsets[row]; c < cells_.offsets[row + 1] && !taken; ++c) {
          if (!counts_in(static_cast<std::int64_t>(cells_.cells[c].cell), g)) continue;
          for (std::size_t place = cells_.first_place[at]; place < cells_.first_place[at + 1]; ++place) {
            if (fixed_[place] != 0 || counts_in(page_[place], g) || !may_stand(place, c, true)) continue;
            taken = true;
            const double loss = worth(place) - weights_[place] * cells_.cells[c].value;
            if (loss < best.loss) best = {place, static_cast<std::int32_t>(c), loss};
          }
        }
      }
      if (best.loss == std::numeric_limits<double>::infinity()) return false;
      put(best.place, best.cell);
    }
  return true;
}

bool PageDraft::repair() { return keep_maxima() && reach_minima(); }

/// Of one row's products the best stand in the places of the largest weights: no limit counts otherwise for it.
void PageDraft::sort_row(std::size_t position) {
  std::size_t begin = cells_.first_place[position], end = cells_.first_place[position + 1];
  for (std::size_t a = begin; a < end; ++a)
    for (std::size_t b = a + 1; b < end; ++b) {
      if (fixed_[a] != 0 || fixed_[b] != 0) continue;
      const double va = held_[a] < 0 ? -1.0 : cells_.cells[static_cast<std::size_t>(held_[a])].value, vb = held_[b] < 0 ? -1.0 : cells_.cells[static_cast<std::size_t>(held_[b])].value;
      if ((weights_[a] - weights_[b]) * (vb - va) <= 0 && !(weights_[a] == weights_[b] && vb > va)) continue;
      std::swap(held_[a], held_[b]);
      std::swap(page_[a], page_[b]);
    }
}

void PageDraft::improve() {
  for (int round = 0; round < 4; ++round) {
    bool changed = false;
    for (std::size_t at = 0; at < cells_.positions; ++at)
      if (order_[at] >= 0) sort_row(at);
    for (const std::uint32_t place : cells_.looking) {
      if (fixed_[place] != 0) continue;
      const auto row = static_cast<std::size_t>(order_[static_cast<std::size_t>(cells_.position_of[place])]);
      const bool empty = held_[place] < 0;
      const double here = empty ? -1.0 : cells_.cells[static_cast<std::size_t>(held_[place])].value;
      for (std::size_t c = cells_.offsets[row]; c < cells_.offsets[row + 1]; ++c) {
        if (cells_.cells[c].value <= here) break;
        if (!may_stand(place, c, true)) continue;
        put(place, static_cast<std::int32_t>(c));
        changed = true;
        break;
      }
    }
    if (!changed) break;
  }
}

std::vector<std::size_t> PageDraft::short_limits() const {
  std::vector<std::size_t> out;
  for (std::size_t g = 0; g < p_.limits.size(); ++g)
    if (given_[g] < p_.limits[g].at_least || given_[g] > p_.limits[g].at_most) out.push_back(g);
  return out;
}

}  // namespace etalage::marketing
