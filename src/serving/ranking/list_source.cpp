// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>
#include <string>
#include <utility>

#include "etalage/extend/candidate_source.hpp"
#include "serving/ranking/source_scratch.hpp"

namespace etalage {

using serving::SourceScratch;

ListSource::ListSource(std::string name, std::vector<ItemScore> list) : CandidateSource(std::move(name)) {
  by_segment_.emplace("", std::move(list));
}

ListSource::ListSource(std::string name, std::map<std::string, std::vector<ItemScore>, std::less<>> by_segment)
    : CandidateSource(std::move(name)), by_segment_(std::move(by_segment)) {}

ListSource::ListSource(std::string name, std::vector<std::int64_t> offsets, std::vector<ItemScore> lists, std::size_t recent)
    : CandidateSource(std::move(name)), offsets_(std::move(offsets)), lists_(std::move(lists)), recent_(recent) {
  if (offsets_.empty() || offsets_.front() != 0 || offsets_.back() != static_cast<std::int64_t>(lists_.size()))
    throw std::invalid_argument("offsets has " + std::to_string(offsets_.size()) +
                                " entries, must begin with 0 and end with the lists' size " + std::to_string(lists_.size()));
  for (std::size_t i = 1; i < offsets_.size(); ++i)
    if (offsets_[i] < offsets_[i - 1])
      throw std::invalid_argument("offsets falls at entry " + std::to_string(i) + ", must not fall");
}

std::size_t ListSource::produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const {
  const RequestContext& r = *query.request;
  if (offsets_.empty()) {
    auto at = by_segment_.find(r.segment);
    if (at == by_segment_.end()) at = by_segment_.find("");
    return at == by_segment_.end() ? 0 : serving::keep_allowed(query, at->second, out);
  }
  SourceScratch& s = SourceScratch::of(scratch);
  s.merged.clear();
  for (const std::int32_t item : serving::subject(r, recent_)) {
    if (item < 0 || static_cast<std::size_t>(item) + 1 >= offsets_.size()) continue;
    const auto begin = static_cast<std::size_t>(offsets_[static_cast<std::size_t>(item)]);
    const auto end = static_cast<std::size_t>(offsets_[static_cast<std::size_t>(item) + 1]);
    for (std::size_t i = begin; i < end; ++i)
      if (query.allows(lists_[i].item)) s.merged.push_back(lists_[i]);
  }
  return serving::add_up(s.merged, out);
}

Explanation ListSource::explain(const SourceQuery& query, std::int32_t item, std::size_t k) const {
  Explanation e;
  if (offsets_.empty()) return e;
  for (const std::int32_t about : serving::subject(*query.request, recent_)) {
    if (about < 0 || static_cast<std::size_t>(about) + 1 >= offsets_.size()) continue;
    const auto begin = static_cast<std::size_t>(offsets_[static_cast<std::size_t>(about)]);
    const auto end = static_cast<std::size_t>(offsets_[static_cast<std::size_t>(about) + 1]);
    for (std::size_t i = begin; i < end; ++i) {
      if (lists_[i].item != item) continue;
      e.total += lists_[i].score;
      e.contributions.push_back({about, lists_[i].score});
    }
  }
  serving::keep_largest(e, k);
  return e;
}

GivenSource::GivenSource(std::string name) : CandidateSource(std::move(name)) {}

std::size_t GivenSource::produce(const SourceQuery& query, std::span<ItemScore> out, Scratch&) const {
  return serving::keep_allowed(query, query.request->given, out);
}

FunctionSource::FunctionSource(std::string name, Candidates candidates, Reasons reasons)
    : CandidateSource(std::move(name)), candidates_(std::move(candidates)), reasons_(std::move(reasons)) {
  if (!candidates_) throw std::invalid_argument("candidates is empty, must be callable");
}

std::size_t FunctionSource::produce(const SourceQuery& query, std::span<ItemScore> out, Scratch&) const {
  std::size_t n = 0;
  if (out.empty()) return n;
  auto take = [&](ItemScore s) {
    if (query.allows(s.item)) out[n++] = s;
    return n < out.size();
  };
  candidates_(*query.request, Emit(take));
  return n;
}

Explanation FunctionSource::explain(const SourceQuery& query, std::int32_t item, std::size_t k) const {
  return reasons_ ? reasons_(*query.request, item, k) : Explanation{};
}

}  // namespace etalage
