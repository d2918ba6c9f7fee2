// SPDX-License-Identifier: Apache-2.0
#include "retrieval/graph/cluster_candidates.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "detail/parallel_for.hpp"
#include "detail/random_stream.hpp"
#include "kernels/row_scores.hpp"
#include "retrieval/lists/kmeans.hpp"
#include "search/coded_scan.hpp"

namespace etalage::retrieval {

namespace {

constexpr std::size_t kFewestRows = 16384;
constexpr std::size_t kMean = 256;             // rows of a cluster,
constexpr double kMostClustersAtRoot = 4;      // of at most so many times the root of the rows
constexpr std::size_t kMost = 4;               // means; larger ones are cut, so that many copies of one vector cost no more than others
constexpr std::size_t kAroundACandidate = 240; // rows that a row is scored against for each candidate that is kept
constexpr std::size_t kFewestAround = 4096;
constexpr std::size_t kHubsShare = 8;          // hubs that a row is scored against, as a share of that
constexpr std::size_t kNear = 512;             // clusters among which these are
constexpr std::size_t kSample = 24;            // rows a cluster that centroids are trained on
constexpr int kIterations = 4;

struct Nearer {
  bool operator()(const kernels::Bounded& a, const kernels::Bounded& b) const noexcept {
    return a.upper != b.upper ? a.upper > b.upper : a.index < b.index;
  }
};

}  // namespace

bool ClusterCandidates::suit(const LinkSpace& space, std::size_t rows) noexcept {
  return rows >= kFewestRows && space.metric != IndexMetric::kDot && space.records != nullptr && space.dim >= kFewestCodedDimensions &&
         kernels::code().panel != 0;
}

ClusterCandidates::ClusterCandidates(const LinkSpace& space, std::vector<std::uint8_t> is_hub, std::uint64_t seed, int num_threads)
    : space_(space), is_hub_(std::move(is_hub)) {
  const std::size_t rows = is_hub_.size();
  const std::size_t k = std::min(rows / kMean, static_cast<std::size_t>(kMostClustersAtRoot * std::sqrt(static_cast<double>(rows))));
  const std::size_t most = kMost * (rows / k);
  const std::size_t sampled = std::min(rows, k * kSample);
  std::vector<float> sample(sampled * space.dim);
  for (std::size_t i = 0; i < sampled; ++i) {
    detail::RandomStream random(seed, rows, i);
    std::copy_n(space.data + static_cast<std::size_t>(random.below(static_cast<std::uint32_t>(rows))) * space.dim, space.dim, &sample[i * space.dim]);
  }
  const Centroids centroids = kmeans(sample, sampled, space.dim, k, kIterations, seed, num_threads, space.metric == IndexMetric::kCosine);
  std::vector<std::uint32_t> cluster(rows);
  detail::parallel_for(rows, 1024, num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<float> scores(kNearestBlock * k);
    nearest_centroids(space.data + begin * space.dim, end - begin, space.dim, centroids.columns.data(), centroids.half_norms.data(), k, scores.data(),
                      &cluster[begin]);
  });

  std::vector<std::size_t> ends(k + 1);
  for (const std::uint32_t c : cluster) ++ends[c + 1];
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<std::uint32_t> of;  // the centroid of a cluster
  begins_.assign(1, 0);
  for (std::size_t c = 0; c < k; ++c)
    for (std::size_t begin = ends[c]; begin < ends[c + 1]; begin = begins_.back()) {
      begins_.push_back(std::min(ends[c + 1], begin + most));
      of.push_back(static_cast<std::uint32_t>(c));
    }
  rows_.resize(rows);
  for (std::size_t r = 0; r < rows; ++r) rows_[ends[cluster[r]]++] = static_cast<std::int32_t>(r);

  near_ = std::min(kNear, clusters());
  nearest_.resize(clusters() * near_);
  detail::parallel_for(clusters(), 16, num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<float> dots(k), x(space.dim);
    std::vector<std::uint32_t> order(clusters());
    for (std::size_t c = begin; c < end; ++c) {
      for (std::size_t f = 0; f < space.dim; ++f) x[f] = centroids.columns[f * k + of[c]];
      kernels::row_scores().dot_columns(x.data(), centroids.columns.data(), space.dim, k, dots.data());
      for (std::size_t j = 0; j < k; ++j) dots[j] -= centroids.half_norms[j];
      std::iota(order.begin(), order.end(), 0U);
      std::swap(order[0], order[c]);  // itself first, before others of the same centroid
      const auto half = order.begin() + static_cast<std::ptrdiff_t>(near_);
      std::partial_sort(order.begin() + 1, half, order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return dots[of[a]] != dots[of[b]] ? dots[of[a]] > dots[of[b]] : a < b;
      });
      std::copy(order.begin(), half, nearest_.begin() + static_cast<std::ptrdiff_t>(c * near_));
    }
  });
}

void ClusterCandidates::gather_around(std::size_t cluster, std::size_t keep, Worker& w) const {
  const std::size_t enough = std::max(kFewestAround, keep * kAroundACandidate);
  w.around.clear();
  w.sparse.clear();
  for (std::size_t i = 0; i < near_ && (w.around.size() < enough || w.sparse.size() < enough / kHubsShare); ++i) {
    const bool all = w.around.size() < enough;
    for (const std::int32_t row : members(nearest_[cluster * near_ + i])) {
      if (all) w.around.push_back(static_cast<std::uint32_t>(row));
      if (is_hub_[static_cast<std::size_t>(row)] != 0) w.sparse.push_back(static_cast<std::uint32_t>(row));
    }
  }
}

void ClusterCandidates::scan(std::span<const std::int32_t> rows, std::size_t keep, std::span<const std::uint32_t> around, Worker& w) const {
  const kernels::CodeTable& table = kernels::code();
  const kernels::CodeShape& shape = space_.shape;
  const bool distance = space_.metric == IndexMetric::kL2;
  const std::size_t room = 2 * keep + kernels::kMostPanel;
  search::CodedMemory& m = w.memory;
  search::at_least(m.codes, rows.size() * shape.width);
  m.queries.resize(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::int8_t* codes = &m.codes[i * shape.width];
    if (search::query_of_record(space_.records + static_cast<std::size_t>(rows[i]) * shape.stride, shape, table.query_max, distance, codes, m.queries[i]))
      continue;
    // A row without a scale is as good as zero: its product with all is 0, and near it are the shortest rows.
    std::fill_n(codes, shape.width, std::int8_t{0});
    m.queries[i] = {};
    m.queries[i].distance = distance;
    m.queries[i].terms.codes = codes;
    m.queries[i].terms.per_norm2 = distance ? -0.5f : 0.0f;
  }
  m.set_queries(m.queries, (rows.size() + table.group - 1) / table.group * table.group);
  search::at_least(w.found, rows.size() * room);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    m.found[i] = &w.found[i * room];
    m.thresholds[i] = -std::numeric_limits<float>::infinity();
  }
  const auto shrink = [&](std::size_t i) {
    kernels::Bounded* found = m.found[i];
    std::nth_element(found, found + keep - 1, found + m.counts[i], Nearer{});
    m.counts[i] = keep;
    m.thresholds[i] = found[keep - 1].upper;
  };
  search::PanelBuilder builder(table, shape, m);
  for (std::size_t begin = 0; begin < around.size(); begin += table.panel) {
    const std::size_t count = std::min(table.panel, around.size() - begin);
    const std::uint8_t* records[kernels::kMostPanel];
    std::uint32_t indices[kernels::kMostPanel] = {};
    for (std::size_t i = 0; i < count; ++i) {
      indices[i] = around[begin + i];
      records[i] = space_.records + static_cast<std::size_t>(indices[i]) * shape.stride;
    }
    for (std::size_t i = begin + table.panel, end = std::min(around.size(), i + table.panel); i < end; ++i)
      prefetch_record(space_.records, shape, static_cast<std::int32_t>(around[i]));
    builder.set_all(records, count);
    table.scan_panel(builder.finish(count, indices, distance),
                     {rows.size(), m.terms.data(), m.thresholds.data(), m.found.data(), m.counts.data()});
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (m.counts[i] > 2 * keep) shrink(i);
  }
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (m.counts[i] > keep) shrink(i);
}

}  // namespace etalage::retrieval
