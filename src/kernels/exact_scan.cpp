// SPDX-License-Identifier: Apache-2.0
#include "kernels/exact_scan.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "etalage/core/array.hpp"
#include "kernels/coded_scan.hpp"

namespace etalage::kernels {
namespace {

constexpr std::size_t kChunk = 256;  // most rows of a step of the single scan
constexpr std::size_t kMostPanel = 64;
// Fewer requests than this gain nothing from sharing the rows, or from rows in eight bits, made anew for each block.
constexpr std::size_t kFewest = 3;
constexpr std::size_t kFewestCoded = 48;

constexpr std::size_t rounded_up(std::size_t n, std::size_t unit) noexcept { return (n + unit - 1) / unit * unit; }

template <class T>
T* at_least(std::vector<T>& v, std::size_t n) {
  if (v.size() < n) v.resize(n);
  return v.data();
}

// Which rows a request is scored against, and what is still to be looked up of its filter.
struct Plan {
  bool listed = false;
  std::span<const std::int64_t> list;  // ascending, inside the rows
  const ItemFilter* filter = nullptr;
  [[nodiscard]] std::size_t size(const ScoredRows& rows) const noexcept { return listed ? list.size() : rows.rows; }
  [[nodiscard]] std::size_t row(std::size_t i) const noexcept { return listed ? static_cast<std::size_t>(list[i]) : i; }
};

Plan plan(const ScoredRows& rows, const ItemFilter* filter) noexcept {
  Plan p;
  if (filter == nullptr || filter->allows_everything()) return p;
  p.filter = filter;
  if (!filter->has_allow_list()) return p;
  const std::span<const std::int64_t> ids = filter->allowed_ids();
  const auto end = std::lower_bound(ids.begin(), ids.end(), static_cast<std::int64_t>(rows.rows));
  const auto n = static_cast<std::size_t>(end - ids.begin());
  if (n > rows.rows / 2) return p;  // the rows in order, looked up, are quicker than the list
  p.listed = true;
  p.list = ids.first(n);
  if (filter->denied_ids().empty()) p.filter = nullptr;
  return p;
}

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

Selection selection(const ScanRequest& request, const Plan& p, std::size_t n, std::uint64_t* keys) noexcept {
  Selection s;
  s.keys = keys;
  s.k = std::min(request.k, n);
  s.excluded = request.excluded;
  s.filter = p.filter;
  return s;
}

std::span<const std::uint64_t> scan_one(const ScoredRows& rows, const ScanRequest& request, const Plan& p,
                                        std::uint64_t* keys, const ScanTable& table) noexcept {
  const std::size_t n = p.size(rows);
  Selection s = selection(request, p, n, keys);
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
        if (scores[i] > s.threshold) s.keys[s.count++] = rank_key(scores[i], static_cast<std::uint32_t>(p.list[begin + i]));
    } else {
      s.count += table.collect(scores, count, static_cast<std::uint32_t>(begin), s.threshold, s.keys + s.count);
    }
    if (s.full()) s.shrink();
  }
  return {s.keys, s.finish()};
}

/// What a bounded selection asks of a request.
struct ScanRules {
  const ScoredRows* rows;
  const ScanRequest* request;
  const ItemFilter* filter;
  const CodedQuery* query;
  const ScanTable* table;
  std::size_t cursor = 0;  // excluded[0, cursor) lie below every index still to come

  bool allowed(std::uint32_t row) noexcept {
    const auto index = static_cast<std::int32_t>(row);
    const auto excluded = request->excluded;
    cursor = static_cast<std::size_t>(
        std::lower_bound(excluded.begin() + static_cast<std::ptrdiff_t>(cursor), excluded.end(), index) - excluded.begin());
    if (cursor < excluded.size() && excluded[cursor] == index) return false;
    return filter == nullptr || filter->allows(index);
  }
  static bool before(const Bounded& a, const Bounded& b) noexcept {
    return a.exact > b.exact || (a.exact == b.exact && a.index < b.index);
  }
  static bool ties() noexcept { return false; }
  [[nodiscard]] float constant() const noexcept { return query->constant(); }
  static float widening(std::uint32_t) noexcept { return 0; }
  [[nodiscard]] float lowest(float score) const noexcept { return query->lowest(score); }
  void rescore(const std::int32_t* indices, std::size_t n, float* out) const noexcept {
    exact_scores(*rows, request->query, {indices, n}, out, *table);
  }
};

// As scan_together(), by way of rows in eight bits. False when that does not pay or does not apply.
bool scan_coded_together(const ScoredRows& rows, std::span<const ScanRequest> requests, std::span<const std::size_t> members,
                         std::uint64_t* keys, std::size_t room, std::span<std::span<const std::uint64_t>> results,
                         ScanWorkspace& workspace, const ScanTable& table, const CodeTable& codes) {
  if (codes.panel == 0 || members.size() < kFewestCoded || rows.dim < 16 || rows.scale != nullptr || rows.offset != nullptr)
    return false;
  const Plan shared = plan(rows, requests[members[0]].filter);
  const std::size_t n = shared.size(rows);
  std::size_t most = 0;
  for (const std::size_t m : members) most = std::max(most, std::min(requests[m].k, n));
  if (n < 8 * BoundedSelection::limit(most)) return false;  // nearly everything would be a candidate

  const CodeShape shape(rows.dim);
  CodedMemory& memory = workspace.coded;
  std::int8_t* query_codes = at_least(memory.codes, members.size() * shape.width);
  memory.queries.resize(members.size());
  for (std::size_t q = 0; q < members.size(); ++q)
    if (!encode_query(requests[members[q]].query, shape, codes.query_max, false, query_codes + q * shape.width, memory.queries[q]))
      return false;
  const std::size_t buffer = BoundedSelection::limit(most) + kCodedStep;
  Bounded* candidates = at_least(memory.candidates, members.size() * buffer);
  memory.selections.assign(members.size(), {});
  std::vector<ScanRules> rules;
  rules.reserve(members.size());
  for (std::size_t q = 0; q < members.size(); ++q) {
    const ScanRequest& request = requests[members[q]];
    memory.selections[q].found = candidates + q * buffer;
    memory.selections[q].k = std::min(request.k, n);
    rules.push_back({&rows, &request, plan(rows, request.filter).filter, &memory.queries[q], &table});
  }
  scan_coded_block<ScanRules>(
      codes, shape, memory.queries, rules, memory.selections, n,
      [&](std::size_t begin, std::size_t count, PanelBuilder& builder, std::uint32_t* indices) {
        for (std::size_t i = 0; i < count; ++i) {
          const std::size_t row = shared.row(begin + i);
          builder.set(i, rows.data + row * rows.stride);
          indices[i] = static_cast<std::uint32_t>(row);
        }
      },
      memory);
  for (std::size_t q = 0; q < members.size(); ++q) {
    BoundedSelection& s = memory.selections[q];
    std::uint64_t* out = keys + members[q] * room;
    const std::size_t found = s.k == 0 ? 0 : s.finish(rules[q], memory.scratch);
    for (std::size_t i = 0; i < found; ++i) out[i] = rank_key(s.found[i].exact, s.found[i].index);
    results[members[q]] = {out, found};
  }
  return true;
}

// Requests that share a plan but for filters that are looked up.
void scan_together(const ScoredRows& rows, std::span<const ScanRequest> requests, std::span<const std::size_t> members,
                   std::uint64_t* keys, std::size_t room, std::span<std::span<const std::uint64_t>> results,
                   ScanWorkspace& workspace, const ScanTable& table) {
  const Plan shared = plan(rows, requests[members[0]].filter);
  const std::size_t n = shared.size(rows);
  const std::size_t padded = rounded_up(members.size(), table.group);
  float* packed = at_least(workspace.queries, padded * rows.dim);
  float* panel = at_least(workspace.panel, table.panel * rows.dim + kAlignment / sizeof(float));
  panel += (kAlignment - reinterpret_cast<std::uintptr_t>(panel) % kAlignment) % kAlignment / sizeof(float);
  float* thresholds = at_least(workspace.thresholds, padded);
  std::uint64_t** buffers = at_least(workspace.buffers, padded);
  std::size_t* counts = at_least(workspace.counts, padded);
  std::vector<Selection>& selections = workspace.selections;
  selections.clear();
  for (std::size_t q = 0; q < padded; ++q) {
    counts[q] = 0;
    thresholds[q] = std::numeric_limits<float>::infinity();
    buffers[q] = nullptr;
    if (q >= members.size()) continue;
    const ScanRequest& request = requests[members[q]];
    buffers[q] = keys + members[q] * room;
    selections.push_back(selection(request, plan(rows, request.filter), n, buffers[q]));
    if (selections[q].k > 0) thresholds[q] = selections[q].threshold;
  }
  for (std::size_t q = 0; q < padded; q += table.group) {
    const float* group[kMostPanel];
    for (std::size_t r = 0; r < table.group; ++r)
      group[r] = requests[members[std::min(q + r, members.size() - 1)]].query;
    table.pack_queries(group, rows.dim, packed + q * rows.dim);
  }
  Run<kMostPanel> run;
  std::uint32_t indices[kMostPanel] = {};
  for (std::size_t begin = 0; begin < n; begin += table.panel) {
    const std::size_t count = std::min(table.panel, n - begin);
    run.take(rows, count, table.panel, [&](std::size_t i) { return shared.row(begin + i); });
    for (std::size_t i = 0; i < count; ++i) indices[i] = static_cast<std::uint32_t>(shared.row(begin + i));
    table.pack_rows(run.pointers, rows.dim, panel);
    table.scan_panel({panel, count, rows.dim, indices, run.scale, run.offset},
                     {packed, members.size(), thresholds, buffers, counts});
    for (std::size_t q = 0; q < members.size(); ++q) {
      Selection& s = selections[q];
      if (counts[q] <= Selection::limit(s.k)) continue;
      s.count = counts[q];
      s.shrink();
      counts[q] = s.count;
      thresholds[q] = s.threshold;
    }
  }
  for (std::size_t q = 0; q < members.size(); ++q) {
    selections[q].count = counts[q];
    if (selections[q].k > 0) results[members[q]] = {buffers[q], selections[q].finish()};
  }
}

}  // namespace

std::span<const std::uint64_t> exact_top_k(const ScoredRows& rows, const ScanRequest& request, ScanWorkspace& workspace,
                                           const ScanTable& table) {
  const Plan p = plan(rows, request.filter);
  std::uint64_t* keys = at_least(workspace.keys, Selection::limit(std::min(request.k, p.size(rows))) + kChunk);
  return scan_one(rows, request, p, keys, table);
}

void exact_top_k(const ScoredRows& rows, std::span<const ScanRequest> requests,
                 std::span<std::span<const std::uint64_t>> results, ScanWorkspace& workspace, const ScanTable& table,
                 const CodeTable& codes) {
  if (requests.empty()) return;
  std::size_t most = 0;
  for (const ScanRequest& r : requests) most = std::max(most, std::min(r.k, rows.rows));
  const std::size_t room = Selection::limit(most) + kChunk;
  std::uint64_t* keys = at_least(workspace.keys, room * requests.size());
  std::fill_n(results.begin(), requests.size(), std::span<const std::uint64_t>());

  // Requests over the same rows side by side.
  const auto list_of = [&](std::size_t i) {
    const Plan p = plan(rows, requests[i].filter);
    return p.listed ? requests[i].filter : nullptr;
  };
  std::size_t* order = at_least(workspace.order, requests.size());
  std::iota(order, order + requests.size(), std::size_t{0});
  std::sort(order, order + requests.size(), [&](std::size_t a, std::size_t b) {
    const ItemFilter* la = list_of(a);
    const ItemFilter* lb = list_of(b);
    return la != lb ? std::less<>()(la, lb) : a < b;
  });
  for (std::size_t begin = 0; begin < requests.size();) {
    std::size_t end = begin + 1;
    while (end < requests.size() && list_of(order[end]) == list_of(order[begin])) ++end;
    if (end - begin < kFewest) {
      for (; begin < end; ++begin) {
        const std::size_t i = order[begin];
        results[i] = scan_one(rows, requests[i], plan(rows, requests[i].filter), keys + i * room, table);
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
  const std::size_t wanted = std::min(query_floats / std::max<std::size_t>(dim, 1), kKeys / (Selection::limit(k) + kChunk));
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

}  // namespace etalage::kernels
