// SPDX-License-Identifier: Apache-2.0
// Batches over few rows, as a narrow filter leaves them: read in float32 panels that stay in the cache.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "kernels/code_kernels.hpp"
#include "kernels/scan_kernels.hpp"
#include "retrieval/item_index_impl.hpp"
#include "retrieval/scorer.hpp"
#include "search/best.hpp"
#include "search/coded_query.hpp"

namespace etalage {

using kernels::kMostPanel;
using retrieval::AccessGate;
using retrieval::Scorer;
using retrieval::SearchScratch;

namespace {

constexpr std::size_t kFewestPacked = 16;      // queries that make up for packing the rows
constexpr std::size_t kMostRows = 8192;
constexpr std::size_t kMostRowsBesideBytes = 2048;  // above, panels of bytes are quicker where the CPU multiplies them
constexpr std::size_t kMostBytes = 2 << 20;      // of rows: a share of the second-level cache
constexpr std::size_t kBlockQueries = 64;             // of a block
constexpr std::size_t kSpare = 6;                // rows beyond k that are kept: they show that nothing was missed
constexpr std::size_t kSpareKeys = 32;           // keys beyond what is kept at which a selection is cut
constexpr std::size_t kCutLast = 12;

/// Squared norm in eight chains, which compilers turn into vectors.
double square_of(const float* x, std::size_t dim) noexcept {
  constexpr std::size_t kChains = 8;
  float sums[kChains] = {};
  std::size_t f = 0;
  for (; f + kChains <= dim; f += kChains)
    for (std::size_t c = 0; c < kChains; ++c) sums[c] += x[f + c] * x[f + c];
  double sum = 0;
  for (const float s : sums) sum += static_cast<double>(s);
  for (; f < dim; ++f) sum += static_cast<double>(x[f]) * static_cast<double>(x[f]);
  return sum;
}

/// Cuts n keys to the k best and a few more by halving the range of their scores, which takes no branch a key; raises the
/// threshold to where it cut. What falls on a score of many stays to search::Best.
void cut(search::Best& s, float* scores) noexcept {
  constexpr std::size_t kMore = 8;
  constexpr int kHalvings = 12;
  float low = std::numeric_limits<float>::infinity();
  float high = -low;
  for (std::size_t i = 0; i < s.count; ++i) {
    scores[i] = kernels::key_score(s.entries[i]);
    low = std::min(low, scores[i]);
    high = std::max(high, scores[i]);
  }
  float at = low;  // every key is at least that
  for (int i = 0; i < kHalvings; ++i) {
    const float middle = low + (high - low) / 2;
    int above = 0;
    for (std::size_t j = 0; j < s.count; ++j) above += scores[j] >= middle ? 1 : 0;
    if (static_cast<std::size_t>(above) >= s.k) {
      low = at = middle;
      if (static_cast<std::size_t>(above) <= s.k + kMore) break;
    } else {
      high = middle;
    }
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < s.count; ++i) {
    s.entries[kept] = s.entries[i];
    kept += scores[i] >= at ? 1 : 0;
  }
  s.count = s.checked = kept;
  // At least k keys reach `at`: one that only equals it is needed no more, having a higher index.
  if (kept > s.k + kMore) return s.shrink();
  s.threshold = at;
}

/// Copies of rows in panels; `score = 2 q.x - |x|^2` where distances are asked for, else q.x.
struct PackedRows {
  std::vector<float> memory;
  float* data = nullptr;          // [panels][dim x panel]
  std::vector<float> scale;       // [panels x panel], empty without distances
  std::vector<float> offset;
  std::vector<float> vectors;     // [rows x dim], for the scores that are given out
  std::vector<std::int64_t> ids;  // [rows]
  float norm = 0;                 // at least the largest one
  std::size_t rows = 0;
  std::size_t dim = 0;

  void pack(const kernels::ScanTable& table, bool distance) {
    const std::size_t panels = (rows + table.panel - 1) / table.panel;
    memory.resize(panels * table.panel * dim + kAlignment / sizeof(float));
    data = memory.data() + (kAlignment - reinterpret_cast<std::uintptr_t>(memory.data()) % kAlignment) % kAlignment / sizeof(float);
    if (distance) scale.assign(panels * table.panel, 2.0f), offset.assign(panels * table.panel, 0.0f);
    double largest = 0;
    for (std::size_t i = 0; i < rows; ++i) {
      double norm2 = 0;
      for (std::size_t f = 0; f < dim; ++f) norm2 += static_cast<double>(vectors[i * dim + f]) * static_cast<double>(vectors[i * dim + f]);
      if (distance) offset[i] = static_cast<float>(-norm2);
      largest = std::max(largest, norm2);
    }
    norm = static_cast<float>(std::sqrt(largest) * 1.000001);
    const float* pointers[kMostPanel];
    for (std::size_t p = 0; p < panels; ++p) {
      for (std::size_t i = 0; i < table.panel; ++i) pointers[i] = &vectors[std::min(p * table.panel + i, rows - 1) * dim];
      table.pack_rows(pointers, dim, data + p * table.panel * dim);
    }
  }

  /// How far a panel's score may lie from the one that is given out, twice.
  [[nodiscard]] float slack(const float* query, bool distance) const noexcept {
    const double gamma = search::rounding_gamma(dim);
    const double n = std::sqrt(square_of(query, dim) * 1.0001);
    return static_cast<float>(2 * gamma * (distance ? (n + static_cast<double>(norm)) * (n + static_cast<double>(norm)) : n * static_cast<double>(norm)));
  }
};

/// What a thread reuses from block to block.
struct FewBlock {
  std::vector<float> units;
  std::vector<float> packed;
  std::vector<float> thresholds;
  std::vector<std::uint64_t> keys;
  std::vector<std::uint64_t*> buffers;
  std::vector<std::size_t> counts;
  std::vector<float> halved;
  std::vector<search::Best> selections;
  std::vector<const float*> queries;
  std::vector<std::int32_t> candidates;
  std::vector<float> scores;
  std::vector<Neighbor> found;
  SearchScratch scratch;

  /// Panel scores of the queries; leaves the best of each in its selection.
  void scan(const PackedRows& rows, const kernels::ScanTable& table, std::size_t keep) {
    const std::size_t m = queries.size();
    const std::size_t padded = (m + table.group - 1) / table.group * table.group;
    const std::size_t room = keep + kSpareKeys + table.panel;
    halved.resize(room);
    packed.resize(padded * rows.dim);
    thresholds.assign(padded, std::numeric_limits<float>::infinity());
    keys.resize(padded * room);
    buffers.resize(padded);
    counts.assign(padded, 0);
    selections.assign(m, {});
    for (std::size_t q = 0; q < padded; ++q) buffers[q] = &keys[q * room];
    for (std::size_t q = 0; q < m; ++q) {
      selections[q].entries = buffers[q];
      selections[q].k = keep;
      thresholds[q] = selections[q].threshold;
    }
    for (std::size_t q = 0; q < padded; q += table.group) {
      const float* group[kMostPanel];
      for (std::size_t r = 0; r < table.group; ++r) group[r] = queries[std::min(q + r, m - 1)];
      table.pack_queries(group, rows.dim, &packed[q * rows.dim]);
    }
    std::uint32_t indices[kMostPanel] = {};
    for (std::size_t begin = 0; begin < rows.rows; begin += table.panel) {
      const std::size_t count = std::min(table.panel, rows.rows - begin);
      for (std::size_t i = 0; i < count; ++i) indices[i] = static_cast<std::uint32_t>(begin + i);
      table.scan_panel({rows.data + begin * rows.dim, count, rows.dim, indices, rows.scale.empty() ? nullptr : &rows.scale[begin],
                        rows.offset.empty() ? nullptr : &rows.offset[begin]},
                       {packed.data(), m, thresholds.data(), buffers.data(), counts.data()});
      for (std::size_t q = 0; q < m; ++q) {
        search::Best& s = selections[q];
        if (counts[q] <= keep + kSpareKeys) continue;
        s.count = counts[q];
        cut(s, halved.data());
        counts[q] = s.count;
        thresholds[q] = s.threshold;
      }
    }
    for (std::size_t q = 0; q < m; ++q) {
      selections[q].count = counts[q];
      if (counts[q] > keep + kCutLast) cut(selections[q], halved.data());
    }
  }

  /// The best k of query q in out; false where rows that were not kept may belong to them.
  bool finish(const PackedRows& rows, IndexMetric metric, std::size_t q, std::size_t k, std::span<Neighbor> out) {
    search::Best& s = selections[q];
    const std::size_t kept = s.finish();
    const float least = kernels::key_score(s.entries[k - 1]) - rows.slack(queries[q], metric == IndexMetric::kL2);
    if (kept < rows.rows && !(kernels::key_score(s.entries[kept - 1]) < least)) return false;
    candidates.clear();
    for (std::size_t i = 0; i < kept && (i < k || kernels::key_score(s.entries[i]) >= least); ++i)
      candidates.push_back(static_cast<std::int32_t>(kernels::key_index(s.entries[i])));
    scores.resize(candidates.size());
    Scorer(metric, queries[q], rows.vectors.data(), rows.dim).rows(candidates.data(), candidates.size(), scores.data());
    found.clear();
    for (std::size_t i = 0; i < candidates.size(); ++i) found.push_back({rows.ids[static_cast<std::size_t>(candidates[i])], scores[i]});
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(k), found.end(), [](const Neighbor& a, const Neighbor& b) {
      return a.score > b.score || (a.score == b.score && a.id < b.id);
    });
    std::copy_n(found.begin(), k, out.begin());
    return true;
  }
};

}  // namespace

bool ItemIndex::Impl::search_among_few(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                                       const ItemFilter* filter, int num_threads) const {
  const std::size_t n = queries.rows();
  if (n < kFewestPacked || out.cols() == 0) return false;
  const kernels::ScanTable& table = kernels::scan();
  const std::size_t most = kernels::code().panel == 0 ? kMostRows : kMostRowsBesideBytes;
  const auto dimension = static_cast<std::size_t>(dim);
  PackedRows rows;
  {
    const AccessGate::Shared section(gate);
    if (filter == nullptr ? store.live > most : filter->has_allow_list() && filter->num_allowed_ids() > 2 * most) return false;
    SearchScratch s;
    std::vector<std::int32_t>& list = s.allowed;
    if (filter != nullptr) {
      if (!filter->has_allow_list() && store.live > most + filter->denied_ids().size()) return false;
      resolve(*filter, s);
    } else {
      for (std::size_t r = 0; r < store.rows; ++r)
        if (store.is_alive(r)) list.push_back(static_cast<std::int32_t>(r));
    }
    const std::size_t k = std::min(out.cols(), list.size());
    if (k == 0 || list.size() > most || list.size() * dimension * sizeof(float) > kMostBytes || list.size() < 4 * k) return false;
    const bool exact = kind == IndexKind::kExact || (has_lists() && lists == nullptr);
    // Only where a single search reads all of them too: a batch answers as its queries would alone.
    if (!exact && !scans(k, list.size(), filter != nullptr)) return false;
    rows.rows = list.size();
    rows.dim = dimension;
    rows.vectors.resize(rows.rows * dimension);
    const retrieval::StoredRows stored = store.stored();
    for (std::size_t i = 0; i < rows.rows; ++i) {
      const auto row = static_cast<std::size_t>(list[i]);
      stored.copy(row, &rows.vectors[i * dimension]);
      rows.ids.push_back(store.id(row));
    }
  }
  const bool distance = metric == IndexMetric::kL2;
  rows.pack(table, distance);
  const std::size_t k = std::min(out.cols(), rows.rows);
  const std::size_t keep = std::min(k + kSpare, rows.rows);
  const int threads = detail::resolve_threads(num_threads);
  std::vector<FewBlock> blocks(static_cast<std::size_t>(threads));
  const auto workers = static_cast<std::size_t>(threads);
  detail::parallel_for(n, std::clamp<std::size_t>((n + workers - 1) / workers, 1, kBlockQueries), threads, [&](std::size_t begin, std::size_t end, int thread) {
    FewBlock& b = blocks[static_cast<std::size_t>(thread)];
    b.units.resize((end - begin) * dimension);
    b.queries.clear();
    for (std::size_t i = begin; i < end; ++i) {
      const float* q = queries.row(i).data();
      if (metric == IndexMetric::kCosine) {
        retrieval::normalize(q, dimension, &b.units[(i - begin) * dimension]);
        q = &b.units[(i - begin) * dimension];
      }
      b.queries.push_back(q);
    }
    b.scan(rows, table, keep);
    for (std::size_t i = begin; i < end; ++i) {
      counts[i] = k;
      if (b.finish(rows, metric, i - begin, k, out.row(i))) continue;
      // Rows of nearly one score: each is scored as it is given out.
      const AccessGate::Shared section(gate);
      counts[i] = search_exact(b.queries[i - begin], out.row(i), filter, false, b.scratch);
    }
  });
  return true;
}

}  // namespace etalage
