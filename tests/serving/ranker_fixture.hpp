// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "etalage/models/vectors.hpp"
#include "etalage/serving/ranker.hpp"
#include "serving/shop.hpp"

namespace etalage::test {

inline std::shared_ptr<VectorsModel> shop_model(std::int32_t users, std::int32_t n, std::int32_t dim, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> u(static_cast<std::size_t>(users * dim)), v(static_cast<std::size_t>(n * dim));
  for (float& x : u) x = normal(random);
  for (float& x : v) x = normal(random);
  return std::make_shared<VectorsModel>(Array<float>(u), Array<float>(v), dim, VectorsOptions{VectorMetric::kDot});
}

/// A shop with a model, what is like the page's product, and a popular list to fall back on.
inline RankerParts shop_parts(std::int32_t n, std::vector<Rule> rules = {}, RerankOptions rerank = {}, std::int32_t dim = 16) {
  const auto model = shop_model(8, n, dim, 3);
  std::vector<ItemScore> popular;
  for (std::int32_t i = 0; i < n; i += 3) popular.push_back({i, static_cast<float>(n - i)});
  RankerParts p;
  p.catalog = shop(n);
  p.sources = {std::make_shared<RecommenderSource>("model", model),
               std::make_shared<RecommenderSource>("similar", model, RecommenderSource::Ask::kSimilar),
               std::make_shared<ListSource>("popular", popular)};
  p.mix.standard = {{{"model", 60, 1.0f}, {"similar", 30, 0.5f}}, {"popular"}, Normalization::kRank};
  p.rules = Rules(std::move(rules));
  p.rerank = rerank;
  p.vectors = model->item_factors();
  p.dim = dim;
  return p;
}

inline std::vector<RankedItem> answer(const Ranker& ranker, const RequestContext& request, std::size_t k, Trace* trace = nullptr) {
  std::vector<RankedItem> out(k);
  RankScratch scratch;
  out.resize(ranker.rank(request, out, scratch, trace));
  return out;
}

}  // namespace etalage::test
