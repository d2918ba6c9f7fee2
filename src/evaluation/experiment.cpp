// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "detail/check.hpp"

namespace etalage {
namespace {

constexpr std::size_t kMostGroups = 1000;

void require_share(const std::string& group, double share) {
  if (group.empty()) throw std::invalid_argument("a group has no name, must have one");
  const std::string name = "share of '" + group + "'";
  detail::require_finite(share >= 0 && share <= 1, name.c_str(), share, "in [0, 1]");
  if (share > 0 && share * kSlots < 0.5) throw std::invalid_argument(detail::violated(name.c_str(), share, "0 or at least half a slot, 0.00005"));
}

/// Slots [border[g], border[g + 1]) are of group g.
std::vector<std::int32_t> borders(std::span<const GroupShare> shares) {
  if (shares.empty()) throw std::invalid_argument("shares is empty, must name at least one group");
  if (shares.size() > kMostGroups)
    throw std::invalid_argument(detail::violated("shares", std::to_string(shares.size()) + " groups", "at most 1000"));
  std::vector<std::int32_t> out{0};
  double sum = 0;
  for (std::size_t g = 0; g < shares.size(); ++g) {
    require_share(shares[g].group, shares[g].share);
    for (std::size_t other = 0; other < g; ++other)
      if (shares[other].group == shares[g].group) throw std::invalid_argument("shares name '" + shares[g].group + "' twice, must once");
    sum += shares[g].share;
    // Thirds and tenths do not add up exactly.
    if (sum > 1 + 1e-9) throw std::invalid_argument(detail::violated("shares summed", sum, "at most 1"));
    out.push_back(std::min(kSlots, static_cast<std::int32_t>(std::lround(sum * kSlots))));
  }
  return out;
}

std::int32_t group_of(std::int32_t at, std::span<const std::int32_t> border) {
  const auto above = std::upper_bound(border.begin(), border.end(), at);
  return above == border.end() ? -1 : static_cast<std::int32_t>(above - border.begin()) - 1;
}

}  // namespace

std::int32_t assign(std::string_view key, std::string_view salt, std::span<const GroupShare> shares) {
  return group_of(slot(key, salt), borders(shares));
}

std::int32_t assign(std::int64_t key, std::string_view salt, std::span<const GroupShare> shares) {
  return group_of(slot(key, salt), borders(shares));
}

Allocation::Allocation(std::string salt, std::span<const GroupShare> shares) : salt_(std::move(salt)) {
  static_cast<void>(slot("", salt_));  // the salt's own rule
  const std::vector<std::int32_t> border = borders(shares);
  for (const GroupShare& s : shares) groups_.push_back(s.group);
  table_.resize(static_cast<std::size_t>(kSlots));
  for (std::int32_t s = 0; s < kSlots; ++s) table_[static_cast<std::size_t>(s)] = static_cast<std::int16_t>(group_of(s, border));
}

Allocation Allocation::with_share(std::string_view group, double share) const {
  require_share(std::string(group), share);
  Allocation out = *this;
  auto at = static_cast<std::size_t>(std::find(groups_.begin(), groups_.end(), group) - groups_.begin());
  if (at == groups_.size()) {
    if (groups_.size() == kMostGroups) throw std::invalid_argument("group is one more than 1000, must be one of those there");
    out.groups_.emplace_back(group);
  }
  const auto number = static_cast<std::int16_t>(at);
  const auto wanted = static_cast<std::int32_t>(std::lround(share * kSlots));
  auto has = static_cast<std::int32_t>(std::count(table_.begin(), table_.end(), number));
  const auto free = static_cast<std::int32_t>(std::count(table_.begin(), table_.end(), std::int16_t{-1}));
  if (wanted - has > free)
    throw std::invalid_argument(detail::violated(("share of '" + std::string(group) + "'").c_str(), share,
                                                 ("at most " + std::to_string(has + free) + " of 10000 slots: its own and those of nobody").c_str()));
  for (auto s = out.table_.begin(); s != out.table_.end() && has < wanted; ++s)
    if (*s == -1) {
      *s = number;
      ++has;
    }
  for (auto s = out.table_.rbegin(); s != out.table_.rend() && has > wanted; ++s)
    if (*s == number) {
      *s = -1;
      --has;
    }
  return out;
}

std::int32_t Allocation::slots_of(std::size_t group) const {
  detail::require_index(static_cast<std::int64_t>(group), static_cast<std::int64_t>(groups_.size()), "group");
  return static_cast<std::int32_t>(std::count(table_.begin(), table_.end(), static_cast<std::int16_t>(group)));
}

void Allocation::save_state(StateWriter& writer) const {
  writer.put_string("salt", salt_);
  writer.put_strings("groups", groups_);
  writer.put_array("table", Array<std::int16_t>(std::span<const std::int16_t>(table_)));
}

Allocation Allocation::from_state(const StateReader& reader) {
  Allocation out;
  out.salt_ = reader.get_string("salt");
  out.groups_ = reader.get_strings("groups");
  if (out.salt_.find('\n') != std::string::npos) reader.fail("salt", "found a line break, expected one line of text");
  if (out.groups_.empty() || out.groups_.size() > kMostGroups)
    reader.fail("groups", "found " + std::to_string(out.groups_.size()) + ", expected 1 to 1000");
  const auto table = reader.get_array<std::int16_t>("table", static_cast<std::size_t>(kSlots));
  for (const std::int16_t g : table.view())
    if (g < -1 || g >= static_cast<std::int64_t>(out.groups_.size()))
      reader.fail("table", "found group " + std::to_string(g) + ", expected -1 to " + std::to_string(out.groups_.size() - 1));
  out.table_.assign(table.view().begin(), table.view().end());
  return out;
}

}  // namespace etalage
