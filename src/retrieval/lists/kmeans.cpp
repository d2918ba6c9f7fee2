// SPDX-License-Identifier: Apache-2.0
#include "retrieval/lists/kmeans.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "detail/parallel_for.hpp"
#include "kernels/row_scores.hpp"

namespace etalage::retrieval {
namespace {

void set_half_norms(Centroids& c, std::size_t dim, std::size_t k) {
  c.half_norms.assign(k, 0);
  for (std::size_t f = 0; f < dim; ++f)
    for (std::size_t j = 0; j < k; ++j) c.half_norms[j] += 0.5f * c.columns[f * k + j] * c.columns[f * k + j];
}

void to_unit(Centroids& c, std::size_t dim, std::size_t k) {
  set_half_norms(c, dim, k);
  for (std::size_t j = 0; j < k; ++j) {
    const float length = std::sqrt(2 * c.half_norms[j]);
    for (std::size_t f = 0; f < dim && length > 0; ++f) c.columns[f * k + j] /= length;
  }
}

std::size_t nearest_of(const float* dots, const float* half_norms, std::size_t k) noexcept {
  std::size_t best = 0;
  float best_score = dots[0] - half_norms[0];
  for (std::size_t j = 1; j < k; ++j) {
    const float s = dots[j] - half_norms[j];
    if (s > best_score) {
      best_score = s;
      best = j;
    }
  }
  return best;
}

}  // namespace

std::size_t nearest_centroid(const float* x, std::size_t dim, const float* columns, const float* half_norms, std::size_t k,
                             float* scores) noexcept {
  kernels::row_scores().dot_columns(x, columns, dim, k, scores);
  return nearest_of(scores, half_norms, k);
}

void nearest_centroids(const float* x, std::size_t rows, std::size_t dim, const float* columns, const float* half_norms,
                       std::size_t k, float* scores, std::uint32_t* nearest) noexcept {
  for (std::size_t begin = 0; begin < rows; begin += kNearestBlock) {
    const std::size_t n = std::min(kNearestBlock, rows - begin);
    kernels::row_scores().dot_columns_of(x + begin * dim, n, columns, dim, k, scores);
    for (std::size_t i = 0; i < n; ++i) nearest[begin + i] = static_cast<std::uint32_t>(nearest_of(scores + i * k, half_norms, k));
  }
}

Centroids kmeans(const std::vector<float>& data, std::size_t rows, std::size_t dim, std::size_t k, int iterations,
                 std::uint64_t seed, int num_threads, bool directions) {
  std::mt19937_64 random(seed);
  std::vector<std::size_t> order(rows);
  std::iota(order.begin(), order.end(), std::size_t{0});
  // Fisher and Yates by hand: std::shuffle differs between standard libraries.
  for (std::size_t i = 0; i < k; ++i) std::swap(order[i], order[i + random() % (rows - i)]);
  Centroids c;
  c.columns.resize(dim * k);
  for (std::size_t j = 0; j < k; ++j)
    for (std::size_t f = 0; f < dim; ++f) c.columns[f * k + j] = data[order[j] * dim + f];

  std::vector<std::uint32_t> cluster(rows);
  std::vector<double> sums(dim * k);
  std::vector<std::size_t> sizes(k);
  for (int iteration = 0; iteration < iterations; ++iteration) {
    set_half_norms(c, dim, k);
    detail::parallel_for(rows, 256, num_threads, [&](std::size_t begin, std::size_t end, int) {
      std::vector<float> scores(kNearestBlock * k);
      nearest_centroids(&data[begin * dim], end - begin, dim, c.columns.data(), c.half_norms.data(), k, scores.data(), &cluster[begin]);
    });
    std::fill(sums.begin(), sums.end(), 0.0);
    std::fill(sizes.begin(), sizes.end(), std::size_t{0});
    for (std::size_t i = 0; i < rows; ++i) {
      double* sum = &sums[cluster[i] * dim];
      for (std::size_t f = 0; f < dim; ++f) sum[f] += static_cast<double>(data[i * dim + f]);
      ++sizes[cluster[i]];
    }
    for (std::size_t j = 0; j < k; ++j)
      for (std::size_t f = 0; f < dim && sizes[j] != 0; ++f)
        c.columns[f * k + j] = static_cast<float>(sums[j * dim + f] / static_cast<double>(sizes[j]));
    for (std::size_t j = 0; j < k; ++j) {
      if (sizes[j] != 0) continue;
      const auto largest = static_cast<std::size_t>(std::max_element(sizes.begin(), sizes.end()) - sizes.begin());
      for (std::size_t f = 0; f < dim; ++f) {
        float& from = c.columns[f * k + largest];
        const float nudge = (f % 2 == 0 ? 1.0f : -1.0f) / 1024;
        c.columns[f * k + j] = from * (1 + nudge);
        from *= 1 - nudge;
      }
      sizes[j] = sizes[largest] / 2;
      sizes[largest] -= sizes[j];
    }
    if (directions) to_unit(c, dim, k);
  }
  set_half_norms(c, dim, k);
  return c;
}

}  // namespace etalage::retrieval
