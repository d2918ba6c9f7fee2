// SPDX-License-Identifier: Apache-2.0
#include "etalage/extend/candidate_source.hpp"

#include <algorithm>
#include <stdexcept>

namespace etalage {

bool SourceQuery::allows(std::int32_t item) const noexcept {
  return item >= 0 && item < num_items && (only == nullptr || only->allows(item)) && (eligible == nullptr || eligible->bits.contains(item)) &&
         !std::binary_search(denied.begin(), denied.end(), item);
}

CandidateSource::CandidateSource(std::string name) : name_(std::move(name)) {
  if (name_.empty()) throw std::invalid_argument("name is empty, must be a source's name");
}

CandidateSource::~CandidateSource() = default;

Explanation CandidateSource::explain(const SourceQuery&, std::int32_t, std::size_t) const { return {}; }

}  // namespace etalage
