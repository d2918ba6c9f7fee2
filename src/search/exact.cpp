// SPDX-License-Identifier: Apache-2.0
#include "search/exact.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "etalage/core/array.hpp"
#include "search/exact_coded.hpp"

namespace etalage::search {
namespace {

constexpr std::size_t kChunk = 256;  // most rows of a step of the single scan
// Fewer requests than this gain nothing from sharing the rows.
constexpr std::size_t kFewest = 3;
constexpr std::size_t kPanelsACheck = 4;  // of a scan by norms
// Of requests that are first tried by the longest rows: so much of the order may be in reach, and so many may be tried in vain,
// or read more than one row in so many, before the others are answered together.
constexpr double kMostTogether = 0.125;
constexpr std::size_t kPatience = 8;
constexpr std::size_t kFewMet = 24;
constexpr std::size_t kFewestStraight = 96;  // dimensions from which reading is what takes the time

// A run of rows as the kernels take them, padded to whole panels.
template <std::size_t kMost>
struct Run {
  const float* pointers[kMost];
  float scales[kMost];
  float offsets[kMost];
  const float* scale = nullptr;
  const float* offset = nullptr;

  template <class RowAt>
  void take(const ScoredRows& rows, std::size_t n, std::size_t panel, const RowAt& row_at) noexcept {
    for (std::size_t i = 0; i < n; ++i) pointers[i] = rows.data + row_at(i) * rows.stride;
    const std::size_t padded = rounded_up(n, panel);
    for (std::size_t i = n; i < padded; ++i) pointers[i] = pointers[0];
    const auto gather = [&](const float* from, float* to) {
      for (std::size_t i = 0; i < n; ++i) to[i] = from[row_at(i)];
      std::fill(to + n, to + padded, 0.0f);
      return to;
    };
    scale = rows.scale == nullptr ? nullptr : gather(rows.scale, scales);
    offset = rows.offset == nullptr ? nullptr : gather(rows.offset, offsets);
  }
};

Best best_of(const ScanRequest& request, const Allowed& allowed, std::size_t n, std::uint64_t* keys) noexcept {
  Best s;
  s.entries = keys;
  s.k = std::min(request.k, n);
  s.allowed = allowed;
  return s;
}

// As scan_one() over all rows in order. The scores that are given out take rows in lanes, many at a time: too many streams
// for the memory. Here each row is read once, straight through, and what its product cannot exclude is scored.
std::span<const std::uint64_t> scan_straight(const ScoredRows& rows, const ScanRequest& request, const Allowed& p, std::uint64_t* keys,
                                             const ScanTable& table) noexcept {
  Best s = best_of(request, p, rows.rows, keys);
  if (s.k == 0) return {};
  constexpr std::size_t kStraight = 64;
  const RowScores& kernels = row_scores();
  float dots[kStraight];
  float squares[kStraight];
  float square = 0;
  kernels.dot_and_square(request.query, request.query, rows.dim, rows.dim, 1, dots, &square);
  // The constant is for products that are too small for the bound.
  const float gamma = static_cast<float>(rounding_gamma(rows.dim)) * std::sqrt(square);
  constexpr float kTiny = 1e-36f;
  std::size_t pending[kMostPanel];
  std::size_t many = 0;
  Run<kMostPanel> run;
  const auto score = [&] {
    if (many == 0) return;
    float scores[kMostPanel];
    run.take(rows, many, table.panel, [&](std::size_t i) { return pending[i]; });
    table.score_rows(run.pointers, many, request.query, rows.dim, nullptr, nullptr, scores);
    for (std::size_t i = 0; i < many; ++i)
      if (scores[i] > s.threshold) s.entries[s.count++] = rank_key(scores[i], static_cast<std::uint32_t>(pending[i]));
    many = 0;
    if (s.full()) s.shrink();
  };
  for (std::size_t begin = 0; begin < rows.rows; begin += kStraight) {
    const std::size_t count = std::min(kStraight, rows.rows - begin);
    kernels.dot_and_square(request.query, rows.data + begin * rows.stride, rows.stride, rows.dim, count, dots, squares);
    for (std::size_t i = 0; i < count; ++i) {
      // Also where the bound is not a number: the score may be one.
      if (dots[i] + gamma * std::sqrt(squares[i]) + kTiny <= s.threshold) continue;
      pending[many++] = begin + i;
      if (many == table.panel) score();
    }
  }
  score();
  return {s.entries, s.finish()};
}

std::span<const std::uint64_t> scan_one(const ScoredRows& rows, const ScanRequest& request, const Allowed& p,
                                        std::uint64_t* keys, const ScanTable& table) noexcept {
  const std::size_t n = p.size(rows.rows);
  if (!p.listed && rows.scale == nullptr && rows.offset == nullptr && rows.dim >= kFewestStraight && n >= kMostPanel)
    return scan_straight(rows, request, p, keys, table);
  Best s = best_of(request, p, n, keys);
  if (s.k == 0) return {};
  const std::size_t step = kChunk / table.panel * table.panel;
  Run<kChunk> run;
  float scores[kChunk];
  for (std::size_t begin = 0; begin < n; begin += step) {
    const std::size_t count = std::min(step, n - begin);
    run.take(rows, count, table.panel, [&](std::size_t i) { return p.row(begin + i); });
    table.score_rows(run.pointers, count, request.query, rows.dim, run.scale, run.offset, scores);
    if (p.listed) {
      for (std::size_t i = 0; i < count; ++i)
        if (scores[i] > s.threshold) s.entries[s.count++] = rank_key(scores[i], static_cast<std::uint32_t>(p.list[begin + i]));
    } else {
      s.count += table.collect(scores, count, static_cast<std::uint32_t>(begin), s.threshold, s.entries + s.count);
    }
    if (s.full()) s.shrink();
  }
  return {s.entries, s.finish()};
}

// Requests that share a plan but for filters that are looked up. With an order of the rows those for which what is left is
// too short take no further part.
void scan_together(const ScoredRows& rows, std::span<const ScanRequest> requests, std::span<const std::size_t> members,
                   std::uint64_t* keys, std::size_t room, std::span<std::span<const std::uint64_t>> results,
                   ScanWorkspace& workspace, const ScanTable& table) {
  const Allowed shared = Allowed::of(rows.rows, requests[members[0]].filter);
  const RowOrder* order = shared.listed ? nullptr : rows.order;
  const std::size_t n = shared.size(rows.rows);
  const std::size_t most = rounded_up(members.size(), table.group);
  float* packed = at_least(workspace.queries, most * rows.dim);
  float* panel = at_least(workspace.panel, table.panel * rows.dim + kAlignment / sizeof(float));
  panel += (kAlignment - reinterpret_cast<std::uintptr_t>(panel) % kAlignment) % kAlignment / sizeof(float);
  float* thresholds = at_least(workspace.thresholds, most);
  std::uint64_t** buffers = at_least(workspace.buffers, most);
  std::size_t* counts = at_least(workspace.counts, most);
  std::vector<Best>& selections = workspace.selections;
  std::vector<std::size_t>& live = workspace.live;
  selections.clear();
  live.clear();
  workspace.norms.clear();
  for (std::size_t q = 0; q < members.size(); ++q) {
    const ScanRequest& request = requests[members[q]];
    selections.push_back(best_of(request, Allowed::of(rows.rows, request.filter, request.excluded), n, keys + members[q] * room));
    selections[q].allowed.ascending = order == nullptr || order->ascending;
    if (selections[q].k > 0) live.push_back(q);
    if (order == nullptr) continue;
    float dot = 0;
    float square = 0;
    row_scores().dot_and_square(request.query, request.query, rows.dim, rows.dim, 1, &dot, &square);
    workspace.norms.push_back(std::sqrt(square) * (1 + 2 * static_cast<float>(rounding_gamma(rows.dim))));
  }
  const auto pack = [&] {
    const std::size_t padded = rounded_up(live.size(), table.group);
    for (std::size_t i = 0; i < padded; ++i) {
      const bool meant = i < live.size();
      thresholds[i] = meant ? selections[live[i]].threshold : std::numeric_limits<float>::infinity();
      buffers[i] = meant ? selections[live[i]].entries : nullptr;
      counts[i] = meant ? selections[live[i]].count : 0;
    }
    for (std::size_t i = 0; i < padded; i += table.group) {
      const float* group[kMostPanel];
      for (std::size_t r = 0; r < table.group; ++r) group[r] = requests[members[live[std::min(i + r, live.size() - 1)]]].query;
      table.pack_queries(group, rows.dim, packed + i * rows.dim);
    }
  };
  pack();
  Run<kMostPanel> run;
  std::uint32_t indices[kMostPanel] = {};
  std::size_t scanned = 0;
  for (std::size_t begin = 0; begin < n && !live.empty(); begin += table.panel) {
    const std::size_t count = std::min(table.panel, n - begin);
    for (std::size_t i = 0; i < count; ++i)
      indices[i] = order == nullptr ? static_cast<std::uint32_t>(shared.row(begin + i)) : order->rows[begin + i];
    run.take(rows, count, table.panel, [&](std::size_t i) { return static_cast<std::size_t>(indices[i]); });
    table.pack_rows(run.pointers, rows.dim, panel);
    table.scan_panel({panel, count, rows.dim, indices, run.scale, run.offset}, {packed, live.size(), thresholds, buffers, counts});
    for (std::size_t i = 0; i < live.size(); ++i) {
      Best& s = selections[live[i]];
      s.count = counts[i];
      if (!s.full()) continue;
      s.shrink();
      counts[i] = s.count;
      thresholds[i] = s.threshold;
    }
    if (order == nullptr || ++scanned % kPanelsACheck != 0) continue;
    const auto done = [&](std::size_t q) { return out_of_reach(*order, begin + count, workspace.norms[q], selections[q].threshold); };
    const auto many = static_cast<std::size_t>(std::count_if(live.begin(), live.end(), done));
    if (many == 0 || 8 * many < live.size()) continue;
    std::erase_if(live, done);
    pack();
  }
  for (std::size_t q = 0; q < members.size(); ++q)
    if (selections[q].k > 0) results[members[q]] = {selections[q].entries, selections[q].finish()};
}

}  // namespace

std::span<const std::uint64_t> exact_top_k(const ScoredRows& rows, const ScanRequest& request, ScanWorkspace& workspace,
                                           const ScanTable& table) {
  if (rows.longest != nullptr) {
    std::size_t met = 0;
    std::uint64_t* keys = at_least(workspace.keys, std::min(request.k, rows.rows));
    if (const auto n = rows.longest->scan(rows, request, LongestRows::kMost, workspace, keys, table, met)) return {keys, *n};
  }
  const Allowed p = Allowed::of(rows.rows, request.filter, request.excluded);
  std::uint64_t* keys = at_least(workspace.keys, Best::limit(std::min(request.k, p.size(rows.rows))) + kChunk);
  return scan_one(rows, request, p, keys, table);
}

void exact_top_k(const ScoredRows& rows, std::span<const ScanRequest> requests,
                 std::span<std::span<const std::uint64_t>> results, ScanWorkspace& workspace, const ScanTable& table,
                 const CodeTable& codes) {
  if (requests.empty()) return;
  std::size_t most = 0;
  for (const ScanRequest& r : requests) most = std::max(most, std::min(r.k, rows.rows));
  const std::size_t room = Best::limit(most) + kChunk;
  std::uint64_t* keys = at_least(workspace.keys, room * requests.size());
  std::fill_n(results.begin(), requests.size(), std::span<const std::uint64_t>());

  // The longest rows are for one request at a time: given up where most of it is read in the end.
  const bool by_length = rows.longest != nullptr;
  std::size_t given_up = 0;
  std::vector<char>& answered = workspace.answered;
  answered.assign(requests.size(), 0);
  for (std::size_t i = 0; by_length && i < requests.size() && 4 * given_up <= i + kPatience; ++i) {
    std::size_t met = 0;
    const auto n = rows.longest->scan(rows, requests[i], requests.size() == 1 ? LongestRows::kMost : kMostTogether, workspace, keys + i * room, table, met);
    if (n) results[i] = {keys + i * room, *n}, answered[i] = 1;
    if (!n || met * kFewMet > rows.rows) ++given_up;
  }

  // Requests over the same rows side by side.
  const auto list_of = [&](std::size_t i) {
    return Allowed::of(rows.rows, requests[i].filter).listed ? requests[i].filter : nullptr;
  };
  std::size_t* order = at_least(workspace.order, requests.size());
  std::iota(order, order + requests.size(), std::size_t{0});
  const auto left = static_cast<std::size_t>(std::remove_if(order, order + requests.size(), [&](std::size_t i) { return answered[i] != 0; }) - order);
  std::sort(order, order + left, [&](std::size_t a, std::size_t b) {
    const ItemFilter* la = list_of(a);
    const ItemFilter* lb = list_of(b);
    return la != lb ? std::less<>()(la, lb) : a < b;
  });
  for (std::size_t begin = 0; begin < left;) {
    std::size_t end = begin + 1;
    while (end < left && list_of(order[end]) == list_of(order[begin])) ++end;
    if (end - begin < kFewest) {
      for (; begin < end; ++begin) {
        const std::size_t i = order[begin];
        results[i] = scan_one(rows, requests[i], Allowed::of(rows.rows, requests[i].filter, requests[i].excluded), keys + i * room, table);
      }
    } else if (const std::span members(order + begin, end - begin);
               !scan_coded_together(rows, requests, members, keys, room, results, workspace, table, codes)) {
      scan_together(rows, requests, members, keys, room, results, workspace, table);
    }
    begin = end;
  }
}

std::size_t scan_block_size(std::size_t dim, std::size_t k, std::size_t requests, int threads) noexcept {
  // Packed queries, in the second-level cache.
  const std::size_t query_floats = (code().panel != 0 ? 128 : 64) * std::size_t{1024};
  constexpr std::size_t kKeys = std::size_t{1} << 20;  // candidates
  const std::size_t wanted = std::min(query_floats / std::max<std::size_t>(dim, 1), kKeys / (Best::limit(k) + kChunk));
  const std::size_t share = requests / (2 * static_cast<std::size_t>(std::max(threads, 1))) + 1;
  // Whole groups on every level.
  return rounded_up(std::clamp<std::size_t>(std::min(wanted, share), 1, 1024), 24);
}

void exact_scores(const ScoredRows& rows, const float* query, std::span<const std::int32_t> indices, float* out,
                  const ScanTable& table) noexcept {
  const std::size_t step = kChunk / table.panel * table.panel;
  Run<kChunk> run;
  float scores[kChunk];
  for (std::size_t begin = 0; begin < indices.size(); begin += step) {
    const std::size_t count = std::min(step, indices.size() - begin);
    run.take(rows, count, table.panel, [&](std::size_t i) { return static_cast<std::size_t>(indices[begin + i]); });
    table.score_rows(run.pointers, count, query, rows.dim, run.scale, run.offset, scores);
    std::copy_n(scores, count, out + begin);
  }
}

}  // namespace etalage::search
