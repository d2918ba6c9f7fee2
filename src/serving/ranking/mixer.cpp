// SPDX-License-Identifier: Apache-2.0
#include "serving/ranking/mixer.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "core/option_check.hpp"
#include "detail/probing.hpp"

namespace etalage {
namespace {

void check(const PlacementMix& mix, const std::string& where) {
  for (std::size_t i = 0; i < mix.sources.size(); ++i) {
    const SourceSlot& s = mix.sources[i];
    const std::string slot = where + ".sources[" + std::to_string(i) + "]";
    SourceSlot::each(s, [&](const char* name, const auto& field, const OptionRule& rule) { require_option((slot + "." + name).c_str(), field, rule); });
  }
}

}  // namespace

void MixOptions::validate() const {
  check(standard, "standard");
  for (const auto& [placement, mix] : placements) check(mix, std::string(placement_name(placement)));
}

void CandidateSet::clear() noexcept {
  items.clear();
  scores.clear();
  from_fallback.clear();
  first_mention.clear();
  mentions.clear();
  std::fill(slots_.begin(), slots_.end(), 0);
}

namespace {
std::size_t spread(std::int32_t item) noexcept { return (static_cast<std::uint64_t>(item) * 0x9E3779B97F4A7C15u) >> 32; }
}  // namespace

std::size_t CandidateSet::slot(std::int32_t item) const noexcept {
  return detail::probe(spread(item), slots_.size(), [&](std::size_t at) { return slots_[at] == 0 || items[static_cast<std::size_t>(slots_[at] - 1)] == item; });
}

std::int32_t CandidateSet::find(std::int32_t item) const noexcept {
  if (slots_.empty()) return -1;
  return slots_[slot(item)] - 1;
}

void CandidateSet::grow() {
  slots_.assign(std::max<std::size_t>(1024, slots_.size() * 2), 0);
  for (std::size_t c = 0; c < items.size(); ++c) {
    slots_[slot(items[c])] = static_cast<std::int32_t>(c) + 1;
  }
}

std::int32_t CandidateSet::insert(std::int32_t item) {
  if (2 * (items.size() + 1) > slots_.size()) grow();
  const std::size_t at = slot(item);
  if (slots_[at] != 0) return slots_[at] - 1;
  items.push_back(item);
  scores.push_back(0);
  from_fallback.push_back(0);
  first_mention.push_back(-1);
  slots_[at] = static_cast<std::int32_t>(items.size());
  return slots_[at] - 1;
}

void CandidateSet::mention(std::int32_t candidate, std::int32_t source, std::int32_t rank, float score, float part) {
  const auto c = static_cast<std::size_t>(candidate);
  std::int32_t* link = &first_mention[c];
  for (; *link >= 0; link = &mentions[static_cast<std::size_t>(*link)].next)
    if (mentions[static_cast<std::size_t>(*link)].source == source) return;  // the first time counts
  *link = static_cast<std::int32_t>(mentions.size());
  mentions.push_back({source, rank, score, part, -1});
  scores[c] += part;
}

Mixer::Mixer(std::vector<SharedSource> sources, MixOptions options, bool skip_failing)
    : sources_(std::move(sources)), options_(std::move(options)), skip_failing_(skip_failing) {
  options_.validate();
  std::map<std::string_view, std::int32_t> index;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i]) throw std::invalid_argument("sources[" + std::to_string(i) + "] is null, must be a source");
    if (!index.emplace(sources_[i]->name(), static_cast<std::int32_t>(i)).second)
      throw std::invalid_argument("sources[" + std::to_string(i) + "] is named '" + std::string(sources_[i]->name()) +
                                  "', must have a name of its own");
  }
  for (std::size_t p = 0; p < kPlacements; ++p) {
    const auto placement = static_cast<Placement>(p);
    const auto at = options_.placements.find(placement);
    const PlacementMix& mix = at == options_.placements.end() ? options_.standard : at->second;
    const std::string where = at == options_.placements.end() ? "standard" : std::string(placement_name(placement));
    const auto find = [&](const std::string& name, const std::string& slot) {
      const auto s = index.find(name);
      if (s == index.end()) throw std::invalid_argument(where + slot + " is '" + name + "', must name a source");
      return s->second;
    };
    Plan plan;
    std::set<std::int32_t> used;
    for (std::size_t i = 0; i < mix.sources.size(); ++i) {
      const SourceSlot& s = mix.sources[i];
      const std::string slot = ".sources[" + std::to_string(i) + "]";
      plan.slots.push_back({find(s.source, slot), static_cast<std::size_t>(s.quota), s.weight});
      if (!used.insert(plan.slots.back().source).second)
        throw std::invalid_argument(where + slot + " is '" + s.source + "', must not be listed twice");
    }
    for (std::size_t i = 0; i < mix.fallback.size(); ++i) plan.fallback.push_back(find(mix.fallback[i], ".fallback[" + std::to_string(i) + "]"));
    plan.normalization = mix.normalization;
    plans_.push_back(std::move(plan));
  }
}

namespace {

void normalize(Normalization how, std::span<const ItemScore> found, std::size_t i, float min, float max, float& out) noexcept {
  switch (how) {
    case Normalization::kRank: out = 61.0f / (61.0f + static_cast<float>(i)); break;
    case Normalization::kMinMax: out = max > min ? (found[i].score - min) / (max - min) : 1.0f; break;
    case Normalization::kNone: out = found[i].score; break;
  }
}

}  // namespace

std::size_t Mixer::ask(std::int32_t source, const SourceQuery& query, std::span<ItemScore> buffer, CandidateSet& out, Scratch& scratch) const {
  const CandidateSource& s = *sources_[static_cast<std::size_t>(source)];
  if (!skip_failing_) return s.produce(query, buffer, scratch);
  try {
    return s.produce(query, buffer, scratch);
  } catch (const std::invalid_argument&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception&) {
    ++out.failed[static_cast<std::size_t>(source)];
    return 0;
  }
}

void Mixer::mix(const SourceQuery& query, std::size_t wanted, CandidateSet& out, Scratch& scratch) const {
  const Plan& plan = plans_[static_cast<std::size_t>(query.request->placement)];
  out.clear();
  out.produced.assign(sources_.size(), 0);
  out.failed.assign(sources_.size(), 0);
  for (const Slot& slot : plan.slots) {
    if (out.buffer.size() < slot.quota) out.buffer.resize(slot.quota);
    const std::span<ItemScore> buffer = std::span(out.buffer).first(slot.quota);
    const auto found = buffer.first(ask(slot.source, query, buffer, out, scratch));
    float min = std::numeric_limits<float>::infinity();
    float max = -min;
    for (const ItemScore& s : found) {
      if (!std::isfinite(s.score)) continue;
      min = std::min(min, s.score);
      max = std::max(max, s.score);
    }
    for (std::size_t i = 0; i < found.size(); ++i) {
      // A source of the host's own may be wrong; an answer may not.
      if (!std::isfinite(found[i].score) || !query.allows(found[i].item)) continue;
      float part = 0;
      normalize(plan.normalization, found, i, min, max, part);
      out.mention(out.insert(found[i].item), slot.source, static_cast<std::int32_t>(i) + 1, found[i].score, slot.weight * part);
      ++out.produced[static_cast<std::size_t>(slot.source)];
    }
  }
  if (out.size() < wanted) refill(query, wanted - out.size(), 0, false, out, scratch);
}

void Mixer::refill(const SourceQuery& query, std::size_t wanted, std::size_t limit, bool all, CandidateSet& out,
                   Scratch& scratch) const {
  const Plan& plan = plans_[static_cast<std::size_t>(query.request->placement)];
  const std::size_t goal = out.size() + wanted;
  const auto fill = [&](std::int32_t source) {
    if (out.size() >= goal) return;
    // As many as are there already may come again.
    const std::size_t n = std::max(limit, goal);
    if (out.buffer.size() < n) out.buffer.resize(n);
    const std::span<ItemScore> buffer = std::span(out.buffer).first(n);
    const auto found = buffer.first(this->ask(source, query, buffer, out, scratch));
    for (std::size_t i = 0; i < found.size() && out.size() < goal; ++i) {
      if (!std::isfinite(found[i].score) || !query.allows(found[i].item) || out.find(found[i].item) >= 0) continue;
      const std::int32_t c = out.insert(found[i].item);
      out.from_fallback[static_cast<std::size_t>(c)] = 1;
      out.mention(c, source, static_cast<std::int32_t>(i) + 1, found[i].score, 0);
      ++out.produced[static_cast<std::size_t>(source)];
    }
  };
  if (all)
    for (const Slot& slot : plan.slots) fill(slot.source);
  for (const std::int32_t source : plan.fallback) fill(source);
}

}  // namespace etalage
