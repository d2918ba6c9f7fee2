// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "etalage/extend/candidate_source.hpp"
#include "kernels/dot_kernels.hpp"
#include "serving/ranking/source_scratch.hpp"

namespace etalage {

using serving::SourceScratch;

namespace {

float inverse_norm(std::span<const float> v) {
  const float square = kernels::dot().dot(v.data(), v.data(), v.size());
  return square > 0 ? 1 / std::sqrt(square) : 0.0f;
}

}  // namespace

IndexSource::IndexSource(std::string name, std::shared_ptr<const ItemIndex> index, Ask ask, Array<float> vectors, std::size_t recent)
    : CandidateSource(std::move(name)), index_(std::move(index)), ask_(ask), vectors_(std::move(vectors)), recent_(recent) {
  if (!index_) throw std::invalid_argument("index is null, must be an index");
  if (vectors_.size() % static_cast<std::size_t>(index_->dim()) != 0)
    throw std::invalid_argument("vectors has " + std::to_string(vectors_.size()) + " numbers, must be rows of the index's dim = " +
                                std::to_string(index_->dim()));
  if (ask_ == Ask::kContent && vectors_.empty()) throw std::invalid_argument("vectors is empty, must hold the products' vectors");
}

std::size_t IndexSource::produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const {
  SourceScratch& s = SourceScratch::of(scratch);
  const RequestContext& r = *query.request;
  const auto dim = static_cast<std::size_t>(index_->dim());
  std::span<const float> vector = ask_ == Ask::kUserVector ? r.user_vector : r.query_vector;
  if (ask_ == Ask::kContent) {
    s.vector.assign(dim, 0.0f);
    float parts = 0;
    for (const std::int32_t item : serving::subject(r, recent_)) {
      if (item < 0 || static_cast<std::size_t>(item) * dim >= vectors_.size()) continue;
      const std::span<const float> v = vectors_.view().subspan(static_cast<std::size_t>(item) * dim, dim);
      const float scale = inverse_norm(v);
      for (std::size_t f = 0; f < dim; ++f) s.vector[f] += scale * v[f];
      parts += scale > 0 ? 1.0f : 0.0f;
    }
    if (parts == 0) return 0;
    for (float& x : s.vector) x /= parts;
    vector = s.vector;
  }
  if (vector.empty()) return 0;
  const std::size_t width = serving::asked(out.size(), query.denied.size(), index_->size());
  s.neighbors.resize(std::max(s.neighbors.size(), width));
  const std::size_t n = index_->search(vector, std::span(s.neighbors).first(width), query.filter(), scratch);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < n && kept < out.size(); ++i) {
    const Neighbor& found = s.neighbors[i];
    if (found.id < query.num_items && query.allows(static_cast<std::int32_t>(found.id)))
      out[kept++] = {static_cast<std::int32_t>(found.id), found.score};
  }
  return kept;
}

Explanation IndexSource::explain(const SourceQuery& query, std::int32_t item, std::size_t k) const {
  Explanation e;
  const auto dim = static_cast<std::size_t>(index_->dim());
  const auto row = [&](std::int32_t i) -> std::span<const float> {
    if (i < 0 || static_cast<std::size_t>(i) * dim >= vectors_.size()) return {};
    return vectors_.view().subspan(static_cast<std::size_t>(i) * dim, dim);
  };
  const std::span<const float> target = row(item);
  if (ask_ != Ask::kContent || target.empty()) return e;
  const float scale = inverse_norm(target);
  for (const std::int32_t about : serving::subject(*query.request, recent_)) {
    const std::span<const float> v = row(about);
    if (v.empty()) continue;
    e.contributions.push_back({about, kernels::dot().dot(v.data(), target.data(), dim) * scale * inverse_norm(v)});
  }
  for (ItemScore& c : e.contributions) {
    c.score /= static_cast<float>(e.contributions.size());
    e.total += c.score;
  }
  serving::keep_largest(e, k);
  return e;
}

}  // namespace etalage
