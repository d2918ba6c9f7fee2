// SPDX-License-Identifier: Apache-2.0
#include "retrieval/lists/list_batch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>
#include <utility>

#include "detail/parallel_for.hpp"
#include "detail/prefetch.hpp"

namespace etalage::retrieval {
namespace {

constexpr std::size_t kMostTogether = 8192;                // queries of a round
constexpr std::size_t kMostProbes = std::size_t{1} << 20;  // the same of lists that queries read
constexpr std::size_t kMostKept = std::size_t{1} << 22;    // the same of rows that queries keep
constexpr std::size_t kQueryBlock = 24;    // queries whose lists are chosen together
constexpr std::size_t kMostFirst = 64;     // queries that read a first list together, at most
constexpr std::size_t kMostOn = 1024;      // the same of a later one
constexpr std::size_t kLead = 3;           // times k rows, in the best lists, are read before others
constexpr std::size_t kNear = 16;          // of so many lists of tiers one is read before the rest: it raises the threshold
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Held for a few comparisons.
class SpinLock {
 public:
  explicit SpinLock(std::atomic<std::uint8_t>& flag) noexcept : flag_(flag) {
    while (flag_.exchange(1, std::memory_order_acquire) != 0) std::this_thread::yield();
  }
  ~SpinLock() { flag_.store(0, std::memory_order_release); }
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

 private:
  std::atomic<std::uint8_t>& flag_;
};

}  // namespace

std::size_t count_live(const IvfPq::Stretch& base, std::span<const std::int32_t> appended, const std::uint8_t* alive) noexcept {
  std::size_t n = 0;
  for (std::size_t i = 0; i < base.count; ++i) n += alive[base.row(i)];
  for (const std::int32_t r : appended) n += alive[r];
  return n;
}

ListsView::ListsView(const ItemStore& store, std::shared_ptr<const IvfPq> of) : rows(store), lists(std::move(of)) {
  if (store.dead() != 0) alive.assign(store.alive.data(), store.alive.data() + store.rows);
  for (std::size_t l = 0; l < lists->num_lists(); ++l) {
    const IvfPq::Stretch base = lists->stretch(l);
    const std::span<const std::int32_t> more = lists->appended(l);
    appended.insert(appended.end(), more.begin(), more.end());
    appended_ends.push_back(appended.size());
    live.push_back(alive.empty() ? base.count + more.size() : count_live(base, more, alive.data()));
  }
}

ListBatch::ListBatch(const ListsView& view, IndexMetric metric, std::size_t k, std::size_t least, int probes, int threads)
    : view_(view), metric_(metric), k_(k), least_(least), probes_wanted_(probes), threads_(threads), workers_(static_cast<std::size_t>(threads)) {}

std::size_t ListBatch::round(std::size_t queries) const noexcept {
  const std::size_t of_one = std::min(view_.live.size(), static_cast<std::size_t>(probes_wanted_) * (view_.lists->tiered() ? 8 : 1));
  const std::size_t by_lists = std::clamp(kMostProbes / of_one, std::min<std::size_t>(queries, 256), kMostTogether);
  return std::min(by_lists, std::max<std::size_t>(kMostKept / k_, 1));
}

void ListBatch::run(MatrixView<const float> queries, std::size_t begin, std::size_t end, MatrixView<Neighbor> out,
                    std::span<std::size_t> counts) {
  begin_ = begin;
  count_ = end - begin;
  prepare(queries);
  collect_requests();
  read_lists(leading_, kMostFirst, [&](std::size_t list, auto some, Worker& w) { read_first(list, some, w); });
  read_lists(near_, kMostOn, [&](std::size_t list, auto some, Worker& w) { read_on(list, some, w); });
  read_lists(others_, kMostOn, [&](std::size_t list, auto some, Worker& w) { read_on(list, some, w); });
  detail::parallel_for(count_, 64, threads_, [&](std::size_t from, std::size_t to, int) {
    for (std::size_t i = from; i < to; ++i)
      if (coded_[i] != 0) counts[begin_ + i] = finish(i, out.row(begin_ + i));
  });
}

IndexRules ListBatch::rules_of(std::size_t i) noexcept {
  const RowsView& m = view_.rows;
  return {m.ids.data(), view_.alive.empty() ? nullptr : view_.alive.data(), m.codes.data(), &m.shape,
          Scorer(metric_, unit(i), m.stored()), &coded_queries_[i]};
}

void ListBatch::prepare(MatrixView<const float> queries) {
  const kernels::CodeShape& shape = view_.rows.shape;
  units_.resize(count_ * shape.dim);
  codes_.resize(count_ * shape.width);
  coded_queries_.resize(count_);
  coded_.assign(count_, 0);
  sizes_.assign(count_, 0);
  best_.resize(count_ * k_);
  if (thresholds_.size() < count_) {
    thresholds_ = std::vector<std::atomic<float>>(count_);
    locks_ = std::vector<std::atomic<std::uint8_t>>(count_);
  }
  chosen_.resize(detail::num_chunks(count_, kQueryBlock));
  detail::parallel_for(count_, kQueryBlock, threads_, [&](std::size_t from, std::size_t to, int thread) {
    for (std::size_t i = from; i < to; ++i) {
      const float* q = queries.row(begin_ + i).data();
      if (metric_ == IndexMetric::kCosine) normalize(q, shape.dim, unit(i));
      else std::copy_n(q, shape.dim, unit(i));
      coded_[i] = search::encode_query(unit(i), shape, kernels::code().query_max, metric_ == IndexMetric::kL2, &codes_[i * shape.width],
                                       coded_queries_[i]);
      thresholds_[i].store(-kInfinity, std::memory_order_relaxed);
    }
    Chosen& c = chosen_[from / kQueryBlock];
    c.lists.clear();
    c.ends.assign(to - from, 0);
    view_.lists->visit_block(metric_, unit(from), to - from, least_, probes_wanted_, workers_[static_cast<std::size_t>(thread)].scratch,
                             [&](std::size_t i, std::size_t list) {
                               c.lists.push_back(static_cast<std::uint32_t>(list));
                               c.ends[i] = c.lists.size();
                               return view_.live[list];
                             });
  });
}

void ListBatch::collect_requests() {
  const std::size_t lists = view_.live.size();
  // A list that is read twice is put into panels twice. By nearness the first lists make the threshold nearly what it will be.
  const auto near_of = [&](std::size_t wanted) { return view_.lists->tiered() ? wanted / kNear : 0; };
  const auto each = [&](auto&& take) {
    for (std::size_t c = 0; c < chosen_.size(); ++c) {
      std::size_t p = 0;
      for (std::size_t i = 0; i < chosen_[c].ends.size(); ++i) {
        const std::size_t query = c * kQueryBlock + i;
        std::size_t left = chosen_[c].ends[i] - p;
        std::size_t near = near_of(left);
        for (std::size_t met = 0; left > 0; --left, ++p) {
          const std::uint32_t list = chosen_[c].lists[p];
          const bool leads = met < kLead * k_;
          ListRequests& wanted = leads ? leading_ : near > 0 ? near_ : others_;
          near -= !leads && near > 0 ? 1 : 0;
          if (coded_[query] != 0) take(wanted, list, static_cast<std::uint32_t>(query));
          met += view_.live[list];
        }
      }
    }
  };
  for (ListRequests* r : {&leading_, &near_, &others_}) r->ends.assign(lists + 1, 0);
  each([](ListRequests& r, std::uint32_t list, std::uint32_t) { ++r.ends[list + 1]; });
  for (ListRequests* r : {&leading_, &near_, &others_}) {
    std::partial_sum(r->ends.begin(), r->ends.end(), r->ends.begin());
    r->queries.resize(r->ends.back());
  }
  each([](ListRequests& r, std::uint32_t list, std::uint32_t query) { r.queries[r.ends[list]++] = query; });
}

template <class Read>
void ListBatch::read_lists(const ListRequests& requests, std::size_t most, const Read& read) {
  const std::size_t lists = view_.live.size();
  const std::size_t grain = std::clamp<std::size_t>(lists / (static_cast<std::size_t>(threads_) * 32), 1, 16);
  detail::parallel_for(lists, grain, threads_, [&](std::size_t from, std::size_t to, int thread) {
    for (std::size_t list = from; list < to; ++list)
      for (std::size_t at = list == 0 ? 0 : requests.ends[list - 1]; at < requests.ends[list]; at += most)
        read(list, std::span(requests.queries).subspan(at, std::min(most, requests.ends[list] - at)), workers_[static_cast<std::size_t>(thread)]);
  });
}

kernels::CodePanel ListBatch::panel_at(const ListRows& rows, std::size_t at, search::PanelBuilder& builder, std::uint32_t* indices) const {
  const std::size_t panel = kernels::code().panel;
  const std::uint8_t* records[kernels::kMostPanel];
  const std::size_t count = std::min(panel, rows.size() - at);
  for (std::size_t i = 0; i < count; ++i) {
    indices[i] = static_cast<std::uint32_t>(rows[at + i]);
    records[i] = view_.rows.record(indices[i]);
  }
  for (std::size_t i = at + panel, end = std::min(rows.size(), i + panel); i < end; ++i)
    detail::prefetch(view_.rows.record(rows[i]), view_.rows.shape.stride);
  builder.set_all(records, count);
  return builder.finish(count, indices, metric_ == IndexMetric::kL2);
}

void ListBatch::set_queries(std::span<const std::uint32_t> queries, Worker& w) {
  search::CodedMemory& m = w.memory;
  m.queries.clear();
  for (const std::uint32_t query : queries) m.queries.push_back(coded_queries_[query]);
  const std::size_t group = kernels::code().group;
  m.set_queries(m.queries, (queries.size() + group - 1) / group * group);
}

void ListBatch::read_first(std::size_t list, std::span<const std::uint32_t> queries, Worker& w) {
  const kernels::CodeTable& table = kernels::code();
  const ListRows rows{view_.lists->stretch(list), view_.appended_to(list)};
  set_queries(queries, w);
  const kernels::CodeBlock block{queries.size(), w.memory.terms.data(), nullptr, nullptr, nullptr};
  search::PanelBuilder builder(table, view_.rows.shape, w.memory);
  std::uint32_t indices[kernels::kMostPanel];
  const std::size_t step = kListStretch / table.panel * table.panel;
  const std::size_t stride = search::BoundSelector::padded(std::min(step, rows.size()) + kernels::kMostPanel);
  search::at_least(w.bounds, queries.size() * stride);
  search::at_least(w.looks, queries.size());
  for (std::size_t from = 0; from < rows.size(); from += step) {
    const std::size_t n = std::min(step, rows.size() - from);
    for (std::size_t at = 0; at < n; at += table.panel)
      table.score_panel(panel_at(rows, from + at, builder, indices), block, w.bounds.data() + at, stride);
    for (std::size_t i = 0; i < n && !view_.alive.empty(); ++i)
      if (view_.alive[rows[from + i]] == 0)
        for (std::size_t q = 0; q < queries.size(); ++q) w.bounds[q * stride + i] = -kInfinity;
    // Step by step for all queries: the rows of each come while others are looked at.
    const auto row_of = [&](std::size_t i) { return static_cast<std::int32_t>(rows[from + i]); };
    for (std::size_t q = 0; q < queries.size(); ++q) {
      FirstLook& look = w.looks[q];
      look.threshold = thresholds_[queries[q]].load(std::memory_order_relaxed);
      look.found.clear();
      look.selector.start([&] { return rules_of(queries[q]); }, look.threshold, &w.bounds[q * stride], n, k_, row_of);
    }
    for (std::size_t q = 0; q < queries.size(); ++q)
      w.looks[q].selector.narrow([&] { return rules_of(queries[q]); }, w.looks[q].threshold, row_of, w.looks[q].found);
    for (std::size_t q = 0; q < queries.size(); ++q) {
      FirstLook& look = w.looks[q];
      look.selector.finish([&] { return rules_of(queries[q]); }, look.threshold, look.found);
      if (!look.found.empty()) offer(queries[q], look.found.data(), look.found.size());
    }
  }
}

void ListBatch::read_on(std::size_t list, std::span<const std::uint32_t> queries, Worker& w) {
  const kernels::CodeTable& table = kernels::code();
  const ListRows rows{view_.lists->stretch(list), view_.appended_to(list)};
  set_queries(queries, w);
  search::CodedMemory& m = w.memory;
  kernels::Bounded* room = search::at_least(w.room, queries.size() * kernels::kMostPanel);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    m.found[q] = room + q * kernels::kMostPanel;
    m.thresholds[q] = thresholds_[queries[q]].load(std::memory_order_relaxed);
  }
  const kernels::CodeBlock block{queries.size(), m.terms.data(), m.thresholds.data(), m.found.data(), m.counts.data()};
  search::PanelBuilder builder(table, view_.rows.shape, m);
  std::uint32_t indices[kernels::kMostPanel];
  const std::uint8_t* alive = view_.alive.empty() ? nullptr : view_.alive.data();
  const StoredRows stored = view_.rows.stored();
  for (std::size_t at = 0; at < rows.size(); at += table.panel) {
    table.scan_panel(panel_at(rows, at, builder, indices), block);
    // All rows that are to be scored are on their way before the first is.
    w.pending.clear();
    for (std::size_t q = 0; q < queries.size(); ++q) {
      if (m.counts[q] == 0) continue;
      for (std::size_t c = 0; c < m.counts[q]; ++c) {
        const std::uint32_t row = m.found[q][c].index;
        if (alive != nullptr && alive[row] == 0) continue;
        stored.prefetch(row);
        w.pending.push_back({static_cast<std::uint32_t>(q), static_cast<std::int32_t>(row)});
      }
      m.counts[q] = 0;
    }
    for (std::size_t p = 0; p < w.pending.size();) {
      const std::uint32_t q = w.pending[p].query;
      const std::uint32_t query = queries[q];
      w.rows.clear();
      for (; p < w.pending.size() && w.pending[p].query == q; ++p) w.rows.push_back(w.pending[p].row);
      search::at_least(w.scores, w.rows.size());
      rules_of(query).rescore(w.rows.data(), w.rows.size(), w.scores.data());
      w.found.clear();
      for (std::size_t i = 0; i < w.rows.size(); ++i) w.found.push_back({w.scores[i], w.rows[i]});
      offer(query, w.found.data(), w.found.size());
      m.thresholds[q] = thresholds_[query].load(std::memory_order_relaxed);
    }
  }
}

void ListBatch::offer(std::size_t query, const ScoredRow* rows, std::size_t n) {
  const IndexRules rules = rules_of(query);
  const auto better = [&](const ScoredRow& a, const ScoredRow& b) {
    return a.score > b.score || (a.score == b.score && rules.id(static_cast<std::uint32_t>(a.row)) < rules.id(static_cast<std::uint32_t>(b.row)));
  };
  const SpinLock lock(locks_[query]);
  ScoredRow* best = &best_[query * k_];
  std::uint32_t& size = sizes_[query];
  bool changed = false;
  for (std::size_t i = 0; i < n; ++i) {
    if (!(rows[i].score > -kInfinity)) continue;
    if (size == k_) {
      if (!better(rows[i], best[0])) continue;
      std::pop_heap(best, best + size--, better);
    }
    best[size++] = rows[i];
    std::push_heap(best, best + size, better);
    changed = true;
  }
  if (!changed || size < k_) return;
  // A tie with the last of the best may win by its id.
  const float threshold = std::nextafter(rules.lowest(best[0].score), -kInfinity) - rules.constant();
  if (threshold > thresholds_[query].load(std::memory_order_relaxed)) thresholds_[query].store(threshold, std::memory_order_relaxed);
}

std::size_t ListBatch::finish(std::size_t i, std::span<Neighbor> out) {
  const IndexRules rules = rules_of(i);
  const std::size_t n = sizes_[i];
  for (std::size_t j = 0; j < n; ++j) {
    const ScoredRow& row = best_[i * k_ + j];
    out[j] = {rules.id(static_cast<std::uint32_t>(row.row)), row.score};
  }
  std::sort(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n), [](const Neighbor& a, const Neighbor& b) {
    return a.score > b.score || (a.score == b.score && a.id < b.id);
  });
  return n;
}

}  // namespace etalage::retrieval
