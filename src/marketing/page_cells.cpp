// SPDX-License-Identifier: Apache-2.0
#include "marketing/page_cells.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>

#include "detail/probing.hpp"
#include "detail/random_stream.hpp"

namespace etalage::marketing {
namespace {

/// Dense numbers of products in the order of their first cell.
std::size_t number_products(std::span<const std::int64_t> items, std::vector<std::int32_t>& out) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(16, 2 * items.size()));
  std::vector<std::int32_t> first(size, -1);  // a cell of the product in this bucket
  out.resize(items.size());
  std::size_t products = 0;
  for (std::size_t c = 0; c < items.size(); ++c) {
    const std::size_t at = detail::probe(detail::split_mix(static_cast<std::uint64_t>(items[c]) + detail::kSplitMixStep), size,
                                         [&](std::size_t s) { return first[s] < 0 || items[static_cast<std::size_t>(first[s])] == items[c]; });
    if (first[at] < 0) {
      first[at] = static_cast<std::int32_t>(c);
      out[c] = static_cast<std::int32_t>(products++);
    } else {
      out[c] = out[static_cast<std::size_t>(first[at])];
    }
  }
  return products;
}

/// Worth of the n-th showing (from 0) of a score.
double cooled(double score, double temperature, std::size_t n) { return n == 0 ? score : score * std::pow(temperature, static_cast<double>(n)); }

double as_value(ClickModel model, double score) { return model == ClickModel::cascade ? -std::log1p(-score) : score; }

}  // namespace

PageCells::PageCells(const PageProblem& p) : rows(p.offsets.size() - 1), positions(p.slots.size()), places(p.weights.size()) {
  products = number_products(p.items, product_of);
  first_place.assign(positions + 1, 0);
  for (std::size_t at = 0; at < positions; ++at) {
    first_place[at + 1] = first_place[at] + static_cast<std::size_t>(p.slots[at]);
    most_slots = std::max(most_slots, static_cast<std::size_t>(p.slots[at]));
    position_of.insert(position_of.end(), static_cast<std::size_t>(p.slots[at]), static_cast<std::int32_t>(at));
  }
  pinned.assign(rows * most_slots, -1);
  std::vector<std::uint8_t> gone(products, 0);
  std::vector<std::size_t> row_of_cell(p.items.size());
  for (std::size_t r = 0; r < rows; ++r)
    for (auto c = static_cast<std::size_t>(p.offsets[r]); c < static_cast<std::size_t>(p.offsets[r + 1]); ++c) row_of_cell[c] = r;
  for (const PagePin& pin : p.pins) {
    pinned[row_of_cell[pin.cell] * most_slots + static_cast<std::size_t>(pin.slot)] = static_cast<std::int64_t>(pin.cell);
    gone[static_cast<std::size_t>(product_of[pin.cell])] = 1;
  }
  // Without repetition a pinned product stands nowhere else; with it, not a second time in its row.
  const bool repeats = p.temperature > 0;
  std::vector<std::int32_t> copies_of(products, repeats ? 0 : 1);
  if (repeats)
    for (const std::int32_t product : product_of) copies_of[static_cast<std::size_t>(product)] = std::min(copies_of[static_cast<std::size_t>(product)] + 1, p.max_showings);
  std::vector<std::int32_t> first_copy(products + 1, 0);
  for (std::size_t i = 0; i < products; ++i) first_copy[i + 1] = first_copy[i] + copies_of[i];
  copies = static_cast<std::size_t>(first_copy[products]);
  offsets.assign(rows + 1, 0);
  std::vector<std::size_t> last_row(products, rows);
  cells.reserve(p.items.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (auto c = static_cast<std::size_t>(p.offsets[r]); c < static_cast<std::size_t>(p.offsets[r + 1]); ++c) {
      const auto product = static_cast<std::size_t>(product_of[c]);
      if (last_row[product] == r) throw std::invalid_argument("row " + std::to_string(r) + " has product " + std::to_string(p.items[c]) + " twice, must have it once");
      last_row[product] = r;
      if (gone[product] != 0) {
        if (!repeats) continue;
        bool here = false;
        for (std::size_t s = 0; s < most_slots; ++s) here |= pinned_at(r, s) >= 0 && product_of[static_cast<std::size_t>(pinned_at(r, s))] == product_of[c];
        if (here) continue;
      }
      for (std::int32_t n = 0; n < copies_of[product]; ++n)
        cells.push_back({as_value(p.click_model, cooled(p.scores[c], p.temperature, static_cast<std::size_t>(n))), first_copy[product] + n, product_of[c], c});
    }
    std::sort(cells.begin() + static_cast<std::ptrdiff_t>(offsets[r]), cells.end(),
              [](const Cell& a, const Cell& b) { return a.value != b.value ? a.value > b.value : a.cell != b.cell ? a.cell < b.cell : a.copy < b.copy; });
    offsets[r + 1] = cells.size();
    row_of.insert(row_of.end(), offsets[r + 1] - offsets[r], static_cast<std::uint32_t>(r));
  }
  holders_offsets.assign(copies + 1, 0);
  for (const Cell& c : cells) ++holders_offsets[static_cast<std::size_t>(c.copy) + 1];
  std::partial_sum(holders_offsets.begin(), holders_offsets.end(), holders_offsets.begin());
  holders.resize(cells.size());
  std::vector<std::size_t> next(holders_offsets.begin(), holders_offsets.end() - 1);
  for (std::size_t c = 0; c < cells.size(); ++c) holders[next[static_cast<std::size_t>(cells[c].copy)]++] = static_cast<std::uint32_t>(c);
  looking.resize(places);
  std::iota(looking.begin(), looking.end(), 0u);
  std::stable_sort(looking.begin(), looking.end(), [&](std::uint32_t a, std::uint32_t b) { return p.weights[a] > p.weights[b]; });
}

double page_value(const PageProblem& p, const PageCells& cells, std::span<const std::int64_t> page) {
  std::vector<std::uint32_t> shown(p.temperature > 0 ? cells.products : 0, 0);
  double value = 0, left = 1;
  for (const std::uint32_t place : cells.looking) {
    if (page[place] < 0) continue;
    const auto cell = static_cast<std::size_t>(page[place]);
    double score = p.scores[cell];
    if (p.temperature > 0) score = cooled(score, p.temperature, shown[static_cast<std::size_t>(cells.product_of[cell])]++);
    value += p.weights[place] * score * left;
    if (p.click_model == ClickModel::cascade) left *= 1 - score;
  }
  return value;
}

double cascade_tangent(const PageProblem& p, const PageCells& cells, std::span<const std::int64_t> page, std::span<double> weights) {
  // Summed by parts, the cascade is  sum_k (w_k - w_k+1) (1 - exp(-B_k)),  B_k the sum of b = -log(1 - score) of the first k + 1
  // places in the order of looking. Every term is concave in B_k: its tangent at the page's B_k lies above it.
  const std::size_t n = cells.places;
  std::vector<std::uint32_t> shown(p.temperature > 0 ? cells.products : 0, 0);
  std::vector<double> sums(n);
  double sum = 0;
  for (std::size_t k = 0; k < n; ++k) {
    const std::int64_t cell = page[cells.looking[k]];
    if (cell >= 0) {
      double score = p.scores[static_cast<std::size_t>(cell)];
      if (p.temperature > 0) score = cooled(score, p.temperature, shown[static_cast<std::size_t>(cells.product_of[static_cast<std::size_t>(cell)])]++);
      sum -= std::log1p(-score);
    }
    sums[k] = sum;
  }
  double constant = 0, slope = 0;
  for (std::size_t k = n; k-- > 0;) {
    const double step = p.weights[cells.looking[k]] - (k + 1 < n ? p.weights[cells.looking[k + 1]] : 0.0);
    const double rest = std::exp(-sums[k]);
    constant += step * (-std::expm1(-sums[k]) - rest * sums[k]);
    slope += step * rest;
    weights[cells.looking[k]] = slope;
  }
  return constant;
}

}  // namespace etalage::marketing
