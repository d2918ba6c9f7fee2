// SPDX-License-Identifier: Apache-2.0
// Requests that share rows, by way of rows in eight bits with proven bounds.
#include <algorithm>
#include <cmath>
#include <optional>

#include "detail/prefetch.hpp"
#include "search/coded_scan.hpp"
#include "search/exact_coded.hpp"

namespace etalage::search {
namespace {

constexpr std::size_t kFewestCoded = 48;  // requests that make up for rows in eight bits, made anew for each block

/// What a bounded selection asks of a request.
struct ScanRules {
  const ScoredRows* rows;
  const ScanRequest* request;
  Allowed allow;
  const CodedQuery* query;
  const ScanTable* table;

  bool allowed(std::uint32_t row) noexcept { return allow(static_cast<std::int32_t>(row)); }
  static bool before(const Bounded& a, const Bounded& b) noexcept {
    return a.exact > b.exact || (a.exact == b.exact && a.index < b.index);
  }
  [[nodiscard]] bool ties() const noexcept { return !allow.ascending; }
  [[nodiscard]] float constant() const noexcept { return query->constant(); }
  static float widening(std::uint32_t) noexcept { return 0; }
  [[nodiscard]] float lowest(float score) const noexcept { return query->lowest(score); }
  void rescore(const std::int32_t* indices, std::size_t n, float* out) const noexcept {
    exact_scores(*rows, request->query, {indices, n}, out, *table);
  }
};

/// Marks what a request excludes as long as it lives: a drain looks up many candidates.
class Marked {
 public:
  Marked(ScanRules& rules, std::vector<std::uint64_t>& marks) : rules_(rules), marks_(marks) {
    if (rules.request->excluded.empty()) return;
    for (const std::int32_t i : rules.request->excluded)
      if (const auto row = static_cast<std::size_t>(i); row < rules.rows->rows) marks_[row / 64] |= std::uint64_t{1} << (row % 64);
    rules_.allow.marks = marks_.data();
  }
  ~Marked() {
    rules_.allow.marks = nullptr;
    for (const std::int32_t i : rules_.request->excluded)
      if (const auto row = static_cast<std::size_t>(i); row < rules_.rows->rows) marks_[row / 64] = 0;
  }
  Marked(const Marked&) = delete;
  Marked& operator=(const Marked&) = delete;

 private:
  ScanRules& rules_;
  std::vector<std::uint64_t>& marks_;
};

// Panels by falling norm. Requests for which the rows that are left are too short take no further part.
void scan_by_order(const ScoredRows& rows, const RowOrder& order, const CodeShape& shape, std::span<ScanRules> rules,
                   ScanWorkspace& workspace, const CodeTable& codes) {
  CodedMemory& memory = workspace.coded;
  std::vector<std::size_t>& live = workspace.live;
  live.clear();
  workspace.norms.clear();
  for (std::size_t q = 0; q < memory.queries.size(); ++q) {
    const CodedQuery& query = memory.queries[q];
    workspace.norms.push_back(std::sqrt(query.norm2) * (1 + 2 * query.gamma) / query.step);
    if (memory.selections[q].k > 0) live.push_back(q);
  }
  const auto pack = [&] {
    if (live.empty()) return;
    workspace.live_queries.clear();
    for (const std::size_t q : live) workspace.live_queries.push_back(memory.queries[q]);
    memory.set_queries(workspace.live_queries, rounded_up(live.size(), codes.group));
    for (std::size_t i = 0; i < live.size(); ++i) {
      const BoundedBest& s = memory.selections[live[i]];
      memory.found[i] = s.found;
      memory.counts[i] = s.count;
      memory.thresholds[i] = s.threshold;
    }
  };
  pack();
  std::optional<PanelBuilder> builder;
  const CodedPanels* made = rows.panels != nullptr && rows.panels->table() == &codes ? rows.panels : nullptr;
  if (made == nullptr) builder.emplace(codes, shape, memory);
  at_least(workspace.marks, (rows.rows + 63) / 64);
  const std::size_t n = order.rows.size();
  std::size_t scanned = 0;
  for (std::size_t begin = 0; begin < n && !live.empty(); begin += codes.panel) {
    const std::size_t count = std::min(codes.panel, n - begin);
    CodePanel panel;
    if (made != nullptr) {
      panel = made->at(begin);
    } else {
      for (std::size_t i = begin + count, end = std::min(n, begin + 2 * codes.panel); i < end; ++i)
        detail::prefetch(rows.data + order.rows[i] * rows.stride, rows.dim * sizeof(float));
      for (std::size_t i = 0; i < count; ++i) builder->set(i, rows.data + order.rows[begin + i] * rows.stride);
      panel = builder->finish(count, order.rows.data() + begin, false);
    }
    codes.scan_panel(panel, {live.size(), memory.terms.data(), memory.thresholds.data(), memory.found.data(),
                             memory.counts.data()});
    if (++scanned % kPanelsADrain != 0) continue;
    std::size_t done = 0;
    for (std::size_t i = 0; i < live.size(); ++i) {
      BoundedBest& s = memory.selections[live[i]];
      s.count = memory.counts[i];
      if (s.full()) {
        const Marked marked(rules[live[i]], workspace.marks);
        s.drain(rules[live[i]], memory.scratch);
        memory.counts[i] = s.count;
        memory.thresholds[i] = s.threshold;
      }
      done += out_of_reach(order, begin + count, workspace.norms[live[i]], s.threshold) ? 1 : 0;
    }
    if (8 * done < live.size() || done == 0) continue;
    std::erase_if(live, [&](std::size_t q) { return out_of_reach(order, begin + count, workspace.norms[q], memory.selections[q].threshold); });
    pack();
  }
  for (std::size_t i = 0; i < live.size(); ++i) memory.selections[live[i]].count = memory.counts[i];
}

}  // namespace

bool scan_coded_together(const ScoredRows& rows, std::span<const ScanRequest> requests, std::span<const std::size_t> members,
                         std::uint64_t* keys, std::size_t room, std::span<std::span<const std::uint64_t>> results,
                         ScanWorkspace& workspace, const ScanTable& table, const CodeTable& codes) {
  if (codes.panel == 0 || members.size() < kFewestCoded || rows.dim < 16 || rows.scale != nullptr || rows.offset != nullptr)
    return false;
  const Allowed shared = Allowed::of(rows.rows, requests[members[0]].filter);
  const std::size_t n = shared.size(rows.rows);
  const RowOrder* order = shared.listed ? nullptr : rows.order;
  std::size_t most = 0;
  for (const std::size_t m : members) most = std::max(most, std::min(requests[m].k, n));
  if (n < 8 * BoundedBest::limit(most)) return false;  // nearly everything would be a candidate

  const CodeShape shape(rows.dim);
  CodedMemory& memory = workspace.coded;
  std::int8_t* query_codes = at_least(memory.codes, members.size() * shape.width);
  memory.queries.resize(members.size());
  for (std::size_t q = 0; q < members.size(); ++q)
    if (!encode_query(requests[members[q]].query, shape, codes.query_max, false, query_codes + q * shape.width, memory.queries[q]))
      return false;
  const std::size_t buffer = BoundedBest::limit(most) + kCodedStep;
  Bounded* candidates = at_least(memory.candidates, members.size() * buffer);
  memory.selections.assign(members.size(), {});
  std::vector<ScanRules> rules;
  rules.reserve(members.size());
  for (std::size_t q = 0; q < members.size(); ++q) {
    const ScanRequest& request = requests[members[q]];
    memory.selections[q].found = candidates + q * buffer;
    memory.selections[q].k = std::min(request.k, n);
    rules.push_back({&rows, &request, Allowed::of(rows.rows, request.filter, request.excluded), &memory.queries[q], &table});
    rules.back().allow.ascending = order == nullptr || order->ascending;
  }
  if (order != nullptr) {
    scan_by_order(rows, *order, shape, rules, workspace, codes);
  } else {
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
  }
  for (std::size_t q = 0; q < members.size(); ++q) {
    BoundedBest& s = memory.selections[q];
    std::uint64_t* out = keys + members[q] * room;
    const std::size_t found = s.k == 0 ? 0 : s.finish(rules[q], memory.scratch);
    for (std::size_t i = 0; i < found; ++i) out[i] = rank_key(s.found[i].exact, s.found[i].index);
    results[members[q]] = {out, found};
  }
  return true;
}

}  // namespace etalage::search
