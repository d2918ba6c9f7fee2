// SPDX-License-Identifier: Apache-2.0
#include "marketing/page_checks.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "marketing/check_row.hpp"

namespace etalage::marketing {
namespace {

constexpr double kLargestGain = 1e150;

[[noreturn]] void refuse(const std::string& text) { throw std::invalid_argument(text); }

std::string at(const char* name, std::size_t index) { return std::string(name) + "[" + std::to_string(index) + "]"; }

std::string named(const PageProblem& p, std::size_t g) { return p.limits[g].name.empty() ? at("limits", g) : p.limits[g].name; }

void check_offsets(std::span<const std::int64_t> offsets, std::size_t entries, const char* name) {
  if (offsets.front() != 0 || offsets.back() != static_cast<std::int64_t>(entries)) refuse(std::string(name) + " goes from " + std::to_string(offsets.front()) + " to " + std::to_string(offsets.back()) + ", must go from 0 to " + std::to_string(entries));
  for (std::size_t i = 1; i < offsets.size(); ++i)
    if (offsets[i] < offsets[i - 1]) refuse(at(name, i) + " is " + std::to_string(offsets[i]) + ", must not fall");
}

/// Row of each cell.
std::vector<std::size_t> rows_of(const PageProblem& p) {
  std::vector<std::size_t> out(p.items.size());
  for (std::size_t r = 0; r + 1 < p.offsets.size(); ++r)
    std::fill(out.begin() + p.offsets[r], out.begin() + p.offsets[r + 1], r);
  return out;
}

}  // namespace

void check_page(const PageProblem& p) {
  if (p.offsets.empty()) refuse("offsets is empty, must have rows + 1 entries");
  const std::size_t rows = p.offsets.size() - 1, places = p.weights.size();
  detail::require(rows <= 4096, "rows", rows, "at most 4096");
  detail::require(p.slots.size() >= 1 && p.slots.size() <= 1024, "slots.size()", p.slots.size(), "in [1, 1024]");
  detail::require(p.items.size() <= (std::size_t{1} << 24), "items.size()", p.items.size(), "at most 2^24");
  detail::require(p.scores.size() == p.items.size(), "scores.size()", p.scores.size(), "the number of items");
  check_offsets(p.offsets, p.items.size(), "offsets");
  std::size_t sum = 0;
  for (std::size_t i = 0; i < p.slots.size(); ++i) {
    detail::require(p.slots[i] >= 1 && p.slots[i] <= 4096, at("slots", i).c_str(), p.slots[i], "in [1, 4096]");
    sum += static_cast<std::size_t>(p.slots[i]);
  }
  detail::require(sum <= 65536, "places", sum, "at most 65536");
  detail::require(places == sum, "weights.size()", places, "the number of places");
  const bool cascade = p.click_model == ClickModel::cascade;
  for (std::size_t k = 0; k < places; ++k)
    require_row(p.weights[k] >= 0 && p.weights[k] <= (cascade ? 1.0 : kLargestGain), "weights", k, p.weights[k], cascade ? "in [0, 1]" : "finite and >= 0");
  for (std::size_t c = 0; c < p.scores.size(); ++c)
    require_row(p.scores[c] >= 0 && (cascade ? p.scores[c] < 1 : p.scores[c] <= kLargestGain), "scores", c, p.scores[c], cascade ? "in [0, 1): a probability" : "finite and >= 0");
  detail::require_finite(p.temperature >= 0 && p.temperature <= 1, "temperature", p.temperature, "in [0, 1]");
  detail::require(p.max_showings >= 1, "max_showings", p.max_showings, ">= 1");
  if (p.limit_offsets.empty() != p.limits.empty()) refuse("limits has " + std::to_string(p.limits.size()) + " entries and limit_offsets " + std::to_string(p.limit_offsets.size()) + ", must both be given or empty");
  if (!p.limits.empty()) {
    detail::require(p.limits.size() <= 65536, "limits.size()", p.limits.size(), "at most 65536");
    detail::require(p.limit_offsets.size() == p.items.size() + 1, "limit_offsets.size()", p.limit_offsets.size(), "the number of items + 1");
    check_offsets(p.limit_offsets, p.limit_of.size(), "limit_offsets");
    // Names of entries are made only for messages: a page is composed while somebody waits.
    for (std::size_t j = 0; j < p.limit_of.size(); ++j)
      if (p.limit_of[j] < 0 || static_cast<std::size_t>(p.limit_of[j]) >= p.limits.size()) refuse(detail::violated(at("limit_of", j).c_str(), p.limit_of[j], "a limit"));
    for (std::size_t c = 0; c < p.items.size(); ++c)
      for (std::int64_t j = p.limit_offsets[c] + 1; j < p.limit_offsets[c + 1]; ++j)
        if (p.limit_of[static_cast<std::size_t>(j)] <= p.limit_of[static_cast<std::size_t>(j - 1)]) refuse("limit_of of cell " + std::to_string(c) + " does not rise, must name each limit once, in order");
  }
  for (std::size_t g = 0; g < p.limits.size(); ++g) {
    const PageLimit& limit = p.limits[g];
    if (limit.at_least < 0) refuse(detail::violated(("at_least of " + named(p, g)).c_str(), limit.at_least, ">= 0"));
    if (limit.at_most < 0) refuse(detail::violated(("at_most of " + named(p, g)).c_str(), limit.at_most, ">= 0"));
  }
  if (!p.row_position.empty()) {
    detail::require(p.row_position.size() == rows, "row_position.size()", p.row_position.size(), "the number of rows");
    for (std::size_t r = 0; r < rows; ++r)
      detail::require(p.row_position[r] >= kMustAppear && p.row_position[r] < static_cast<std::int32_t>(p.slots.size()), at("row_position", r).c_str(), p.row_position[r], "a position, -1 (anywhere) or -2 (must appear)");
  }
  for (std::size_t i = 0; i < p.pins.size(); ++i) {
    detail::require(p.pins[i].cell < p.items.size(), (at("pins", i) + ".cell").c_str(), p.pins[i].cell, "a cell");
    detail::require(p.pins[i].slot >= 0 && p.pins[i].slot < *std::max_element(p.slots.begin(), p.slots.end()), (at("pins", i) + ".slot").c_str(), p.pins[i].slot, "a slot of the page");
  }
}

void check_promises(const PageProblem& p, const PageCells& cells) {
  const std::size_t positions = p.slots.size(), places = p.weights.size(), limits = p.limits.size();
  // Rows.
  std::vector<std::int64_t> row_at(positions, -1);
  std::size_t must = 0;
  for (std::size_t r = 0; r < p.row_position.size(); ++r) {
    const std::int32_t wish = p.row_position[r];
    must += wish != kAnywhere ? 1 : 0;
    if (wish < 0) continue;
    std::int64_t& other = row_at[static_cast<std::size_t>(wish)];
    if (other >= 0) refuse("rows " + std::to_string(other) + " and " + std::to_string(r) + " are both promised position " + std::to_string(wish));
    other = static_cast<std::int64_t>(r);
  }
  if (must > positions) refuse(std::to_string(must) + " rows are promised a position, and the page has " + std::to_string(positions));
  // Places.
  const std::vector<std::size_t> row_of = rows_of(p);
  std::vector<std::pair<std::size_t, std::int32_t>> taken;
  std::vector<std::int64_t> shown, given(limits, 0);
  for (const PagePin& pin : p.pins) {
    const std::size_t r = row_of[pin.cell];
    const std::int32_t wish = p.row_position.empty() ? kAnywhere : p.row_position[r];
    if (wish == kAnywhere) refuse("row " + std::to_string(r) + " has a promised place and may be left out, must be given a position or must appear");
    const std::int32_t slots = wish >= 0 ? p.slots[static_cast<std::size_t>(wish)] : *std::min_element(p.slots.begin(), p.slots.end());
    if (pin.slot >= slots) refuse("slot " + std::to_string(pin.slot) + " of row " + std::to_string(r) + " is promised to product " + std::to_string(p.items[pin.cell]) + ", and its position has " + std::to_string(slots) + " slots");
    if (std::find(taken.begin(), taken.end(), std::pair{r, pin.slot}) != taken.end()) refuse("slot " + std::to_string(pin.slot) + " of row " + std::to_string(r) + " is promised to two products");
    taken.emplace_back(r, pin.slot);
    const std::int64_t item = p.items[pin.cell];
    const bool twice = std::find(shown.begin(), shown.end(), item) != shown.end();
    if (twice && p.temperature == 0) refuse("product " + std::to_string(item) + " is promised two places, and nothing repeats on the page");
    for (std::size_t i = 0; i < shown.size(); ++i)
      if (shown[i] == item && taken[i].first == r) refuse("product " + std::to_string(item) + " is promised two places of row " + std::to_string(r) + ", and no row shows a product twice");
    shown.push_back(item);
    if (!p.limit_offsets.empty())
      for (std::int64_t j = p.limit_offsets[pin.cell]; j < p.limit_offsets[pin.cell + 1]; ++j) ++given[static_cast<std::size_t>(p.limit_of[static_cast<std::size_t>(j)])];
  }
  for (std::size_t g = 0; g < limits; ++g)
    if (given[g] > p.limits[g].at_most) refuse("promised places show " + std::to_string(given[g]) + " of " + named(p, g) + ", and at_most is " + std::to_string(p.limits[g].at_most));
  // Minima by themselves: different products, or what rows could show.
  const auto most_slots = static_cast<std::int64_t>(*std::max_element(p.slots.begin(), p.slots.end()));
  std::vector<std::size_t> asked;
  std::vector<std::vector<std::size_t>> members(limits);
  std::vector<std::int64_t> per_row(cells.rows);
  std::vector<std::size_t> last_limit(cells.products, limits);
  const bool minima = std::any_of(p.limits.begin(), p.limits.end(), [](const PageLimit& limit) { return limit.at_least > 0; });
  for (std::size_t c = 0; c < p.items.size() && minima; ++c)
    for (std::int64_t j = p.limit_offsets[c]; j < p.limit_offsets[c + 1]; ++j) members[static_cast<std::size_t>(p.limit_of[static_cast<std::size_t>(j)])].push_back(c);
  for (std::size_t g = 0; g < limits; ++g) {
    const std::int64_t least = p.limits[g].at_least;
    if (least == 0) continue;
    asked.push_back(g);
    if (least > p.limits[g].at_most) refuse("at_least of " + named(p, g) + " is " + std::to_string(least) + " and at_most " + std::to_string(p.limits[g].at_most) + ", the minimum must not be above the maximum");
    if (least > static_cast<std::int64_t>(places)) refuse("at_least of " + named(p, g) + " is " + std::to_string(least) + ", and the page has " + std::to_string(places) + " places");
    std::fill(per_row.begin(), per_row.end(), 0);
    std::int64_t different = 0;
    for (const std::size_t c : members[g]) {
      std::size_t& last = last_limit[static_cast<std::size_t>(cells.product_of[c])];
      different += last != g;
      last = g;
      ++per_row[row_of[c]];
    }
    if (p.temperature == 0 && different < least) refuse("at_least of " + named(p, g) + " is " + std::to_string(least) + ", and only " + std::to_string(different) + " different products among the candidates count in it");
    for (std::int64_t& n : per_row) n = std::min(n, most_slots);
    std::sort(per_row.rbegin(), per_row.rend());
    const std::int64_t reachable = std::accumulate(per_row.begin(), per_row.begin() + static_cast<std::ptrdiff_t>(std::min(per_row.size(), positions)), std::int64_t{0});
    if (reachable < least) refuse("at_least of " + named(p, g) + " is " + std::to_string(least) + ", and the rows that fit on the page can show only " + std::to_string(reachable) + " of it");
  }
  // Minima together: disjoint ones need places of their own, also within a limit that holds them all.
  std::vector<std::uint32_t> inside(p.items.size());
  const auto sum_within = [&](std::int64_t limit, const std::vector<std::size_t>* whole, const std::string& what) {
    std::fill(inside.begin(), inside.end(), whole == nullptr ? 1u : 0u);
    if (whole != nullptr)
      for (const std::size_t c : *whole) inside[c] = 1;
    std::int64_t sum = 0;
    std::string names;
    for (const std::size_t g : asked) {
      if (&members[g] == whole || !std::all_of(members[g].begin(), members[g].end(), [&](std::size_t c) { return inside[c] == 1; })) continue;
      for (const std::size_t c : members[g]) inside[c] = 2;
      sum += p.limits[g].at_least;
      names += (names.empty() ? "" : ", ") + named(p, g);
    }
    if (sum > limit) refuse("at_least of " + names + " adds up to " + std::to_string(sum) + ", and " + what + std::to_string(limit));
  };
  if (asked.size() > 1) sum_within(static_cast<std::int64_t>(places), nullptr, "the places of the page are ");
  for (std::size_t g = 0; g < limits && !asked.empty(); ++g)
    if (p.limits[g].at_most < static_cast<std::int64_t>(places)) sum_within(p.limits[g].at_most, &members[g], "at_most of " + named(p, g) + " is ");
}

}  // namespace etalage::marketing
