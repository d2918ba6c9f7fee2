// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace etalage::retrieval {

/// Centroids as columns, the layout that kernels::RowScores::dot_columns reads.
struct Centroids {
  std::vector<float> columns;     ///< [dim x k]
  std::vector<float> half_norms;  ///< [k], |c|^2 / 2
};

/// The centroid nearest to x in squared distance; ties by lower number. scores [k] is working memory.
std::size_t nearest_centroid(const float* x, std::size_t dim, const float* columns, const float* half_norms, std::size_t k,
                             float* scores) noexcept;

/// The same for `rows` vectors x [rows x dim], into nearest [rows]. scores [kNearestBlock x k] is working memory.
inline constexpr std::size_t kNearestBlock = 24;
void nearest_centroids(const float* x, std::size_t rows, std::size_t dim, const float* columns, const float* half_norms,
                       std::size_t k, float* scores, std::uint32_t* nearest) noexcept;

/// Lloyd's k-means from k distinct rows; a centroid that loses its rows takes over half of the largest cluster. Our own
/// and not FAISS's, whose OpenMP regions are as wide as the host's settings say, and which prints.
/// With `directions` rows are of length 1 and so are centroids, unless a cluster's rows cancel out.
/// Same bits for any number of threads. rows >= k >= 1.
Centroids kmeans(const std::vector<float>& data, std::size_t rows, std::size_t dim, std::size_t k, int iterations,
                 std::uint64_t seed, int num_threads, bool directions = false);

}  // namespace etalage::retrieval
