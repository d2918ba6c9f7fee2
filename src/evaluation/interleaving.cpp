// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include "detail/random_stream.hpp"
#include "etalage/evaluation/experiment.hpp"

namespace etalage {
namespace {

/// Puts the best item of `list` from `at` on that is not there yet; false when there is none.
bool pick(std::span<const std::int32_t> list, std::size_t& at, std::int32_t team, std::unordered_set<std::int32_t>& there, Interleaved& out) {
  for (; at < list.size(); ++at) {
    const std::int32_t item = list[at];
    if (item < 0 || !there.insert(item).second) continue;
    out.items.push_back(item);
    out.teams.push_back(team);
    ++at;
    return true;
  }
  return false;
}

std::size_t rank_of(std::span<const std::int32_t> list, std::int32_t item) {
  return static_cast<std::size_t>(std::find(list.begin(), list.end(), item) - list.begin());
}

}  // namespace

Interleaved team_draft(std::span<const std::int32_t> first, std::span<const std::int32_t> second, std::size_t k, std::uint64_t seed) {
  detail::RandomStream random(seed, 1, 0);
  Interleaved out;
  std::unordered_set<std::int32_t> there;
  const std::span<const std::int32_t> lists[2] = {first, second};
  std::size_t at[2] = {0, 0};
  while (out.items.size() < k) {
    const std::size_t leads = random.below(2);
    const bool one = pick(lists[leads], at[leads], static_cast<std::int32_t>(leads), there, out);
    const bool other = out.items.size() < k && pick(lists[1 - leads], at[1 - leads], static_cast<std::int32_t>(1 - leads), there, out);
    if (!one && !other) break;
  }
  return out;
}

Interleaved balanced(std::span<const std::int32_t> first, std::span<const std::int32_t> second, std::size_t k, std::uint64_t seed) {
  detail::RandomStream random(seed, 2, 0);
  const bool first_leads = random.below(2) == 0;
  Interleaved out;
  std::unordered_set<std::int32_t> there;
  std::size_t a = 0;
  std::size_t b = 0;
  // Turns go by rank: a list whose item is there already has had its turn.
  while (out.items.size() < k && (a < first.size() || b < second.size())) {
    const bool from_first = b >= second.size() || (a < first.size() && (a < b || (a == b && first_leads)));
    std::size_t& at = from_first ? a : b;
    const auto turn = (from_first ? first : second).subspan(at, 1);
    std::size_t start = 0;
    static_cast<void>(pick(turn, start, from_first ? 0 : 1, there, out));
    ++at;
  }
  return out;
}

InterleavingCredit balanced_credit(std::span<const std::int32_t> first, std::span<const std::int32_t> second,
                                   std::span<const std::int32_t> shown, std::span<const std::uint8_t> clicked) {
  if (shown.size() != clicked.size())
    throw std::invalid_argument("clicked has " + std::to_string(clicked.size()) + " values, must have " + std::to_string(shown.size()) +
                                " as the items shown");
  std::size_t lowest = shown.size();
  for (std::size_t p = 0; p < shown.size(); ++p)
    if (clicked[p] != 0) lowest = p;
  InterleavingCredit credit;
  if (lowest == shown.size()) return credit;
  const std::size_t depth = std::min(rank_of(first, shown[lowest]), rank_of(second, shown[lowest])) + 1;
  for (std::size_t p = 0; p < shown.size(); ++p) {
    if (clicked[p] == 0) continue;
    credit.first += rank_of(first, shown[p]) < std::min(depth, first.size()) ? 1 : 0;
    credit.second += rank_of(second, shown[p]) < std::min(depth, second.size()) ? 1 : 0;
  }
  return credit;
}

}  // namespace etalage
