// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "etalage/retrieval/item_index.hpp"

namespace etalage::test {

struct Vectors {
  std::size_t dim = 0;
  std::vector<float> data;
  [[nodiscard]] std::size_t rows() const { return data.size() / dim; }
  [[nodiscard]] MatrixView<const float> view() const { return {data.data(), rows(), dim}; }
  [[nodiscard]] std::span<const float> row(std::size_t i) const { return view().row(i); }
  [[nodiscard]] Vectors slice(std::size_t begin, std::size_t end) const {
    return {dim, {data.begin() + static_cast<std::ptrdiff_t>(begin * dim), data.begin() + static_cast<std::ptrdiff_t>(end * dim)}};
  }
  Vectors& scale(float lowest, float highest, std::uint32_t seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> factor(lowest, highest);
    for (std::size_t i = 0; i < rows(); ++i) {
      const float s = factor(random);
      for (std::size_t f = 0; f < dim; ++f) data[i * dim + f] *= s;
    }
    return *this;
  }
};

/// Gaussian clusters around `clusters` centres.
inline Vectors clustered(std::size_t rows, std::size_t dim, std::size_t clusters, std::uint32_t seed) {
  std::mt19937 centre_random(7);
  std::normal_distribution<float> normal;
  std::vector<float> centres(clusters * dim);
  for (float& x : centres) x = normal(centre_random);
  std::mt19937 random(seed);
  Vectors v{dim, std::vector<float>(rows * dim)};
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t c = random() % clusters;
    for (std::size_t f = 0; f < dim; ++f) v.data[i * dim + f] = centres[c * dim + f] + 0.4f * normal(random);
  }
  return v;
}

/// Directions of clusters with norms of a Pareto tail, as item factors have: a few are many times longer.
inline Vectors heavy_tailed(std::size_t rows, std::size_t dim, std::uint32_t seed) {
  Vectors v = clustered(rows, dim, 40, seed);
  std::mt19937 random(seed + 1);
  std::uniform_real_distribution<double> uniform(1e-4, 1.0);
  for (std::size_t i = 0; i < rows; ++i) {
    const auto s = static_cast<float>(std::pow(uniform(random), -0.5));
    for (std::size_t f = 0; f < dim; ++f) v.data[i * dim + f] *= s;
  }
  return v;
}

inline std::vector<std::int64_t> id_range(std::int64_t begin, std::size_t n, std::int64_t step = 1) {
  std::vector<std::int64_t> ids(n);
  for (std::size_t i = 0; i < n; ++i) ids[i] = begin + static_cast<std::int64_t>(i) * step;
  return ids;
}

inline std::vector<std::vector<Neighbor>> search_all(const VectorIndex& index, const Vectors& queries, std::size_t k,
                                                     const ItemFilter* filter = nullptr) {
  std::vector<std::vector<Neighbor>> out;
  Scratch scratch;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    std::vector<Neighbor> row(k);
    row.resize(index.search(queries.row(i), row, filter, scratch));
    out.push_back(std::move(row));
  }
  return out;
}

/// Share of the exact answer that is in the found one.
inline double recall(const std::vector<std::vector<Neighbor>>& found, const std::vector<std::vector<Neighbor>>& exact) {
  double hits = 0;
  double all = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    for (const Neighbor& e : exact[i])
      hits += std::any_of(found[i].begin(), found[i].end(), [&](const Neighbor& f) { return f.id == e.id; });
    all += static_cast<double>(exact[i].size());
  }
  return hits / all;
}

}  // namespace etalage::test
