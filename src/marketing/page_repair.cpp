// SPDX-License-Identifier: Apache-2.0
#include "marketing/page_repair.hpp"

#include <algorithm>
#include <limits>

namespace etalage::marketing {

PageDraft::PageDraft(const PageProblem& problem, const PageCells& cells) : p_(problem), cells_(cells) {
  if (std::none_of(p_.limits.begin(), p_.limits.end(), [](const PageLimit& limit) { return limit.at_least > 0; })) return;
  member_offsets_.assign(p_.limits.size() + 1, 0);
  for (const auto& cell : cells_.cells)
    for (const std::int32_t g : limits_of(static_cast<std::int64_t>(cell.cell))) ++member_offsets_[static_cast<std::size_t>(g) + 1];
  for (std::size_t g = 0; g < p_.limits.size(); ++g) member_offsets_[g + 1] += member_offsets_[g];
  members_.resize(member_offsets_.back());
  std::vector<std::size_t> next(member_offsets_.begin(), member_offsets_.end() - 1);
  for (std::size_t c = 0; c < cells_.cells.size(); ++c)
    for (const std::int32_t g : limits_of(static_cast<std::int64_t>(cells_.cells[c].cell))) members_[next[static_cast<std::size_t>(g)]++] = static_cast<std::uint32_t>(c);
}

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
  position_of_row_.assign(cells_.rows, -1);
  for (std::size_t at = 0; at < order_.size(); ++at)
    if (order_[at] >= 0) position_of_row_[static_cast<std::size_t>(order_[at])] = static_cast<std::int32_t>(at);
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

/// A limit above its maximum in which the product of this place counts, limits.size() for none.
std::size_t PageDraft::exceeded_at(std::size_t place) const {
  std::size_t over = p_.limits.size();
  for (const std::int32_t g : limits_of(page_[place]))
    if (given_[static_cast<std::size_t>(g)] > p_.limits[static_cast<std::size_t>(g)].at_most) over = static_cast<std::size_t>(g);
  return over;
}

/// What loses least in place of a product that counts in the limit, which no longer does.
PageDraft::Move PageDraft::leave(std::size_t place, std::size_t limit) const {
  const auto row = static_cast<std::size_t>(order_[static_cast<std::size_t>(cells_.position_of[place])]);
  const double here = worth(place);
  for (std::size_t c = cells_.offsets[row]; c < cells_.offsets[row + 1]; ++c)  // an equal product is better than none
    if (may_stand(place, c, false) && !counts_in(static_cast<std::int64_t>(cells_.cells[c].cell), limit)) return {place, static_cast<std::int32_t>(c), here - weights_[place] * cells_.cells[c].value};
  return {place, -1, here};
}

bool PageDraft::keep_maxima() {
  // What leaving costs only grows while others leave, so that a place is looked at again only when it seems to be the cheapest.
  const auto dearer = [](const Move& a, const Move& b) { return a.loss != b.loss ? a.loss > b.loss : a.place > b.place; };
  std::vector<Move> waiting;
  for (std::size_t place = 0; place < cells_.places; ++place) {
    const std::size_t over = exceeded_at(place);
    if (over != p_.limits.size() && fixed_[place] == 0) waiting.push_back(leave(place, over));
  }
  std::make_heap(waiting.begin(), waiting.end(), dearer);
  while (!waiting.empty()) {
    std::pop_heap(waiting.begin(), waiting.end(), dearer);
    const Move seen = waiting.back();
    waiting.pop_back();
    const std::size_t over = exceeded_at(seen.place);
    if (over == p_.limits.size()) continue;
    const Move now = leave(seen.place, over);
    if (now.loss > seen.loss) {
      waiting.push_back(now);
      std::push_heap(waiting.begin(), waiting.end(), dearer);
      continue;
    }
    put(now.place, now.cell);
    // Of several limits, another may still be exceeded here.
    if (const std::size_t more = exceeded_at(now.place); more < p_.limits.size()) {
      waiting.push_back(leave(now.place, more));
      std::push_heap(waiting.begin(), waiting.end(), dearer);
    }
  }
  for (std::size_t g = 0; g < p_.limits.size(); ++g)
    if (given_[g] > p_.limits[g].at_most) return false;
  return true;
}

bool PageDraft::reach_minima() {
  if (member_offsets_.empty()) return true;
  for (std::size_t g = 0; g < p_.limits.size(); ++g)
    while (given_[g] < p_.limits[g].at_least) {
      Move best;
      best.loss = std::numeric_limits<double>::infinity();
      // The row's best cell of the limit that some place can take is the one that loses least in any of its places.
      std::size_t done = cells_.rows;
      for (std::size_t m = member_offsets_[g]; m < member_offsets_[g + 1]; ++m) {
        const std::size_t c = members_[m], row = cells_.row_of[c];
        if (row == done || position_of_row_[row] < 0) continue;
        const auto at = static_cast<std::size_t>(position_of_row_[row]);
        for (std::size_t place = cells_.first_place[at]; place < cells_.first_place[at + 1]; ++place) {
          if (fixed_[place] != 0 || counts_in(page_[place], g) || !may_stand(place, c, true)) continue;
          done = row;
          const double loss = worth(place) - weights_[place] * cells_.cells[c].value;
          if (loss < best.loss) best = {place, static_cast<std::int32_t>(c), loss};
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
