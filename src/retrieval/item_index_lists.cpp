// SPDX-License-Identifier: Apache-2.0
// Searches of inverted lists that are read in eight bits: one query, and batches in which each list is read once for all
// queries that want it.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "detail/parallel_for.hpp"
#include "detail/prefetch.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/rows_view.hpp"
#include "retrieval/index_rules.hpp"
#include "retrieval/item_index_impl.hpp"
#include "search/bound_selector.hpp"
#include "search/coded_scan.hpp"

namespace etalage {

using retrieval::AccessGate;
using retrieval::BoundSelector;
using retrieval::IndexRules;
using retrieval::IvfPq;
using retrieval::ScoredRow;
using retrieval::Scorer;
using retrieval::SearchScratch;

namespace {

constexpr std::size_t kMostTogether = 8192;   // queries of a round: what they need is a few megabytes
constexpr std::size_t kMostProbes = std::size_t{1} << 20;  // the same of lists that queries read
constexpr std::size_t kQueryBlock = 24;       // queries whose lists are chosen together
constexpr std::size_t kMostOfAList = 64;      // queries that read a list together, at most
constexpr std::size_t kListStretch = 1536;        // rows of a list between two selections
constexpr std::size_t kFewWanted = 32;        // of more, list by list, most are scored in vain: the threshold comes too late
constexpr std::size_t kLead = 3;              // times k rows, in the best lists, are read before others: they give a threshold

std::size_t count_live(const IvfPq::Stretch& base, std::span<const std::int32_t> appended, const std::uint8_t* alive) noexcept {
  std::size_t n = 0;
  for (std::size_t i = 0; i < base.count; ++i) n += alive[base.row(i)];
  for (const std::int32_t r : appended) n += alive[r];
  return n;
}

/// The best k by score, ties by lower id; `ids` is null where rows are their ids.
std::size_t write_best(std::vector<ScoredRow>& found, const std::int64_t* ids, std::size_t k, std::span<Neighbor> out) {
  const std::size_t n = std::min(k, found.size());
  const auto id = [ids](std::int32_t row) { return ids != nullptr ? ids[row] : std::int64_t{row}; };
  const auto before = [id](const ScoredRow& a, const ScoredRow& b) { return a.score > b.score || (a.score == b.score && id(a.row) < id(b.row)); };
  // A heap costs several times what sorting does where it takes nearly all.
  const auto end = found.begin() + static_cast<std::ptrdiff_t>(n);
  if (n > 0 && n < found.size()) std::nth_element(found.begin(), end - 1, found.end(), before);
  std::sort(found.begin(), end, before);
  for (std::size_t i = 0; i < n; ++i) out[i] = {id(found[i].row), found[i].score};
  return n;
}

}  // namespace

std::size_t ItemIndex::Impl::least_of_lists(std::size_t k) const {
  return lists->tiered() ? std::max(k, static_cast<std::size_t>(effort(k, store.rows))) : k;
}

void ItemIndex::Impl::gather_lists(const float* query, std::size_t k, const ItemFilter* filter, SearchScratch& s) const {
  s.rows.clear();
  // With a filter as many rows as without: the best of them lie farther away.
  const std::size_t least = filter != nullptr ? std::max(k, static_cast<std::size_t>(effort(k, store.rows))) : least_of_lists(k);
  const std::uint8_t* alive = store.dead() != 0 ? store.alive.data() : nullptr;
  const std::span<const std::uint64_t> bits = filter != nullptr ? filter->allowed_bits() : std::span<const std::uint64_t>();
  lists->visit(metric, query, least, nprobe.load(std::memory_order_relaxed), s, [&](std::size_t list) {
    const std::size_t before = s.rows.size();
    const IvfPq::Stretch base = lists->stretch(list);
    const std::span<const std::int32_t> appended = lists->appended(list);
    s.rows.resize(before + base.count + appended.size());
    std::int32_t* to = s.rows.data() + before;
    // Half of the rows may be allowed: a branch would be guessed wrongly half the time.
    const auto keep = [&](std::size_t row, bool wanted) {
      *to = static_cast<std::int32_t>(row);
      to += wanted ? 1 : 0;
    };
    const auto allowed = [&](std::size_t row) {
      return (alive == nullptr || alive[row] != 0) && (filter == nullptr || filter->allows(store.id(row)));
    };
    if (!bits.empty() && alive == nullptr && base.rows == nullptr && !store.ids.empty()) {
      // The most frequent case by far, without a question that has one answer for all rows.
      const std::int64_t* ids = store.ids.data() + base.first;
      const std::uint64_t last = bits.size() - 1;
      for (std::size_t i = 0; i < base.count; ++i) {
        const auto id = static_cast<std::uint64_t>(ids[i]);
        const std::uint64_t word = id / 64;
        keep(base.first + i, (bits[std::min(word, last)] >> (id % 64) & (word <= last ? 1u : 0u)) != 0);
      }
    } else {
      for (std::size_t i = 0; i < base.count; ++i) keep(base.row(i), allowed(base.row(i)));  // every one, where nothing is asked
    }
    for (const std::int32_t r : appended) keep(static_cast<std::size_t>(r), allowed(static_cast<std::size_t>(r)));
    s.rows.resize(static_cast<std::size_t>(to - s.rows.data()));
    return s.rows.size() - before;
  });
}

std::size_t ItemIndex::Impl::search_lists(const float* query, std::size_t k, std::span<Neighbor> out, const ItemFilter* filter,
                                          SearchScratch& s) const {
  const int probes = nprobe.load(std::memory_order_relaxed);
  const bool coded = encode(query, s.codes);
  if (filter != nullptr || !coded || k > kFewWanted) {
    gather_lists(query, k, filter, s);
    // All that is left is known before one of it is scored: one selection from the bounds of all.
    const std::size_t n = s.rows.size();
    if (!coded || n <= 2 * k) return scan_rows(query, s.rows.data(), n, out, s);
    const IndexRules rules{store.ids.data(), nullptr, store.codes.data(), &store.shape, Scorer(metric, query, store.vectors.data(), store.dim), &s.codes.query};
    float* bounds = Scratch::Impl::at_least(s.scores, BoundSelector::padded(n));
    kernels::code().scores(s.codes.query.terms, store.shape, store.codes.data(), s.rows.data(), 0, n, bounds);
    s.scored += n;
    s.results.clear();
    float threshold = -std::numeric_limits<float>::infinity();
    s.selector.take([&] { return rules; }, threshold, bounds, n, k, [&](std::size_t i) { return s.rows[i]; }, s.results);
    return write_best(s.results, rules.ids, k, out);
  }
  const std::uint8_t* alive = store.dead() != 0 ? store.alive.data() : nullptr;
  const IndexRules rules{store.ids.data(), nullptr, store.codes.data(), &store.shape, Scorer(metric, query, store.vectors.data(), store.dim), &s.codes.query};
  float threshold = -std::numeric_limits<float>::infinity();
  float* bounds = Scratch::Impl::at_least(s.scores, BoundSelector::padded(kListStretch));
  s.results.clear();
  const auto scan = [&](const IvfPq::Stretch& rows) {
    for (std::size_t from = 0; from < rows.count; from += kListStretch) {
      const std::size_t n = std::min(kListStretch, rows.count - from);
      kernels::code().scores(s.codes.query.terms, store.shape, store.codes.data(), rows.rows == nullptr ? nullptr : rows.rows + from,
                             rows.first + from, n, bounds);
      for (std::size_t i = 0; i < n && alive != nullptr; ++i)
        if (alive[rows.row(from + i)] == 0) bounds[i] = -std::numeric_limits<float>::infinity();
      s.selector.take([&] { return rules; }, threshold, bounds, n, k, [&](std::size_t i) { return static_cast<std::int32_t>(rows.row(from + i)); }, s.results);
    }
    s.scored += rows.count;
  };
  lists->visit(metric, query, least_of_lists(k), probes, s, [&](std::size_t list) {
    const IvfPq::Stretch base = lists->stretch(list);
    const std::span<const std::int32_t> appended = lists->appended(list);
    scan(base);
    if (!appended.empty()) scan({appended.data(), 0, appended.size()});
    return alive != nullptr ? count_live(base, appended, alive) : base.count + appended.size();
  });
  return write_best(s.results, store.ids.data(), k, out);
}

namespace {

/// Lists of one moment: they never change, so nobody waits while they are read.
struct ListsView {
  retrieval::RowsView rows;
  std::shared_ptr<const IvfPq> lists;
  std::vector<std::uint8_t> alive;  // empty when all rows are
  std::vector<std::size_t> appended_ends;
  std::vector<std::int32_t> appended;
  std::vector<std::size_t> live;    // rows of each list

  ListsView() = default;
  ListsView(const retrieval::ItemStore& store, std::shared_ptr<const IvfPq> of) : rows(store), lists(std::move(of)) {
    if (store.dead() != 0) alive.assign(store.alive.data(), store.alive.data() + store.rows);
    for (std::size_t l = 0; l < lists->num_lists(); ++l) {
      const IvfPq::Stretch base = lists->stretch(l);
      const std::span<const std::int32_t> more = lists->appended(l);
      appended.insert(appended.end(), more.begin(), more.end());
      appended_ends.push_back(appended.size());
      live.push_back(alive.empty() ? base.count + more.size() : count_live(base, more, alive.data()));
    }
  }
  [[nodiscard]] std::span<const std::int32_t> appended_to(std::size_t list) const noexcept {
    const std::size_t begin = list == 0 ? 0 : appended_ends[list - 1];
    return std::span(appended).subspan(begin, appended_ends[list] - begin);
  }
};

/// One round of queries.
class ListBatch {
 public:
  ListBatch(const ListsView& view, IndexMetric metric, std::size_t k, std::size_t least, int probes, int threads)
      : view_(view), metric_(metric), k_(k), least_(least), probes_wanted_(probes), threads_(threads), workers_(static_cast<std::size_t>(threads)) {}

  void run(MatrixView<const float> queries, std::size_t begin, std::size_t end, MatrixView<Neighbor> out, std::span<std::size_t> counts) {
    begin_ = begin;
    count_ = end - begin;
    for (Worker& w : workers_) {
      w.found.clear();
      w.takes.clear();
    }
    prepare(queries);
    collect_wishes();
    read_lists(leading_);
    read_lists(others_);
    sort_takes();
    detail::parallel_for(count_, 16, threads_, [&](std::size_t from, std::size_t to, int thread) {
      for (std::size_t i = from; i < to; ++i)
        if (coded_[i] != 0) counts[begin_ + i] = finish(i, out.row(begin_ + i), workers_[static_cast<std::size_t>(thread)]);
    });
  }
  /// False for a query that has no codes.
  [[nodiscard]] bool answered(std::size_t i) const noexcept { return coded_[i] != 0; }

 private:
  /// Which queries want which list, list by list.
  struct ListRequests {
    std::vector<std::uint32_t> queries;
    std::vector<std::size_t> ends;  // [lists]
  };
  /// What a query took from a list lies with a worker.
  struct Take {
    std::uint32_t query;
    std::uint32_t count;
    std::size_t at;
  };
  struct Worker {
    SearchScratch scratch;
    search::CodedMemory memory;
    BoundSelector selector;
    std::vector<float> bounds;                  // of the queries of one list
    std::vector<ScoredRow> found;
    std::vector<Take> takes;
    std::vector<ScoredRow> merged;
  };
  /// Lists of a few queries, one query after the other.
  struct Chosen {
    std::vector<std::uint32_t> lists;
    std::vector<std::size_t> ends;
  };

  [[nodiscard]] float* unit(std::size_t i) noexcept { return &units_[i * view_.rows.shape.dim]; }
  [[nodiscard]] IndexRules rules_of(std::size_t i) noexcept {
    const retrieval::RowsView& m = view_.rows;
    return {m.ids.data(), view_.alive.empty() ? nullptr : view_.alive.data(), m.codes.data(), &m.shape,
            Scorer(metric_, unit(i), m.vectors.data(), m.shape.dim), &coded_queries_[i]};
  }

  void prepare(MatrixView<const float> queries) {
    const kernels::CodeShape& shape = view_.rows.shape;
    units_.resize(count_ * shape.dim);
    codes_.resize(count_ * shape.width);
    coded_queries_.resize(count_);
    coded_.assign(count_, 0);
    thresholds_ = std::vector<std::atomic<float>>(count_);
    chosen_.resize(detail::num_chunks(count_, kQueryBlock));
    detail::parallel_for(count_, kQueryBlock, threads_, [&](std::size_t from, std::size_t to, int thread) {
      for (std::size_t i = from; i < to; ++i) {
        const float* q = queries.row(begin_ + i).data();
        if (metric_ == IndexMetric::kCosine) retrieval::normalize(q, shape.dim, unit(i));
        else std::copy_n(q, shape.dim, unit(i));
        coded_[i] = search::encode_query(unit(i), shape, kernels::code().query_max, metric_ == IndexMetric::kL2,
                                          &codes_[i * shape.width], coded_queries_[i]);
        thresholds_[i].store(-std::numeric_limits<float>::infinity(), std::memory_order_relaxed);
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

  /// The best few lists of a query are read before others: they give a threshold.
  void collect_wishes() {
    const std::size_t lists = view_.live.size();
    const auto each = [&](auto&& take) {
      for (std::size_t c = 0; c < chosen_.size(); ++c) {
        std::size_t p = 0;
        for (std::size_t i = 0; i < chosen_[c].ends.size(); ++i) {
          const std::size_t query = c * kQueryBlock + i;
          for (std::size_t met = 0; p < chosen_[c].ends[i]; ++p) {
            const std::uint32_t list = chosen_[c].lists[p];
            if (coded_[query] != 0) take(met < kLead * k_ ? leading_ : others_, list, static_cast<std::uint32_t>(query));
            met += view_.live[list];
          }
        }
      }
    };
    for (ListRequests* w : {&leading_, &others_}) w->ends.assign(lists + 1, 0);
    each([](ListRequests& w, std::uint32_t list, std::uint32_t) { ++w.ends[list + 1]; });
    for (ListRequests* w : {&leading_, &others_}) {
      std::partial_sum(w->ends.begin(), w->ends.end(), w->ends.begin());
      w->queries.resize(w->ends.back());
    }
    each([](ListRequests& w, std::uint32_t list, std::uint32_t query) { w.queries[w.ends[list]++] = query; });
  }

  void read_lists(const ListRequests& requests) {
    const std::size_t lists = view_.live.size();
    const std::size_t grain = std::clamp<std::size_t>(lists / (static_cast<std::size_t>(threads_) * 32), 1, 16);
    detail::parallel_for(lists, grain, threads_, [&](std::size_t from, std::size_t to, int thread) {
      for (std::size_t list = from; list < to; ++list)
        for (std::size_t at = list == 0 ? 0 : requests.ends[list - 1]; at < requests.ends[list]; at += kMostOfAList)
          read(list, std::span(requests.queries).subspan(at, std::min(kMostOfAList, requests.ends[list] - at)), workers_[static_cast<std::size_t>(thread)]);
    });
  }

  void read(std::size_t list, std::span<const std::uint32_t> queries, Worker& w) {
    const kernels::CodeTable& table = kernels::code();
    const retrieval::RowsView& rows = view_.rows;
    const IvfPq::Stretch base = view_.lists->stretch(list);
    const std::span<const std::int32_t> appended = view_.appended_to(list);
    const std::size_t size = base.count + appended.size();
    const auto row_at = [&](std::size_t at) { return at < base.count ? base.row(at) : static_cast<std::size_t>(appended[at - base.count]); };
    search::CodedMemory& m = w.memory;
    m.queries.clear();
    for (const std::uint32_t query : queries) m.queries.push_back(coded_queries_[query]);
    m.pack(table, rows.shape, m.queries, (queries.size() + table.group - 1) / table.group * table.group);
    const kernels::CodeBlock block{m.packed.data(), queries.size(), m.terms.data(), nullptr, nullptr, nullptr};
    search::PanelBuilder builder(table, rows.shape, m);
    const std::size_t step = kListStretch / table.panel * table.panel;
    const std::size_t stride = BoundSelector::padded(std::min(step, size) + kernels::kMostPanel);
    if (w.bounds.size() < queries.size() * stride) w.bounds.resize(queries.size() * stride);
    for (std::size_t from = 0; from < size; from += step) {
      const std::size_t n = std::min(step, size - from);
      for (std::size_t at = 0; at < n; at += table.panel) {
        const std::uint8_t* records[kernels::kMostPanel];
        const std::size_t count = std::min(table.panel, n - at);
        for (std::size_t i = 0; i < count; ++i) records[i] = rows.record(row_at(from + at + i));
        for (std::size_t i = from + at + table.panel, end = std::min(size, i + table.panel); i < end; ++i)
          detail::prefetch(rows.record(row_at(i)), rows.shape.stride);
        builder.set_all(records, count);
        table.score_panel(builder.finish(count, nullptr, metric_ == IndexMetric::kL2), block, w.bounds.data() + at, stride);
      }
      for (std::size_t i = 0; i < n && !view_.alive.empty(); ++i)
        if (view_.alive[row_at(from + i)] == 0)
          for (std::size_t q = 0; q < queries.size(); ++q) w.bounds[q * stride + i] = -std::numeric_limits<float>::infinity();
      for (std::size_t q = 0; q < queries.size(); ++q) {
        const std::uint32_t query = queries[q];
        float threshold = thresholds_[query].load(std::memory_order_relaxed);
        const std::size_t before = w.found.size();
        w.selector.take([&] { return rules_of(query); }, threshold, &w.bounds[q * stride], n, k_,
                        [&](std::size_t i) { return static_cast<std::int32_t>(row_at(from + i)); }, w.found);
        if (w.found.size() == before) continue;
        w.takes.push_back({query, static_cast<std::uint32_t>(w.found.size() - before), before});
        raise(thresholds_[query], threshold);
      }
    }
  }

  /// Takes of all workers, query by query.
  void sort_takes() {
    take_ends_.assign(count_ + 1, 0);
    for (const Worker& w : workers_)
      for (const Take& t : w.takes) ++take_ends_[t.query + 1];
    std::partial_sum(take_ends_.begin(), take_ends_.end(), take_ends_.begin());
    takes_.resize(take_ends_.back());
    for (const Worker& w : workers_)
      for (const Take& t : w.takes) takes_[take_ends_[t.query]++] = {w.found.data() + t.at, t.count};
  }

  static void raise(std::atomic<float>& shared, float to) noexcept {
    for (float known = shared.load(std::memory_order_relaxed);
         known < to && !shared.compare_exchange_weak(known, to, std::memory_order_relaxed);) {
    }
  }

  std::size_t finish(std::size_t i, std::span<Neighbor> out, Worker& w) {
    w.merged.clear();
    for (std::size_t t = i == 0 ? 0 : take_ends_[i - 1]; t < take_ends_[i]; ++t)
      w.merged.insert(w.merged.end(), takes_[t].begin(), takes_[t].end());
    return write_best(w.merged, view_.rows.ids.data(), k_, out);
  }

  const ListsView& view_;
  const IndexMetric metric_;
  const std::size_t k_;
  const std::size_t least_;
  const int probes_wanted_;
  const int threads_;
  std::size_t begin_ = 0;
  std::size_t count_ = 0;
  std::vector<float> units_;
  std::vector<std::int8_t> codes_;
  std::vector<search::CodedQuery> coded_queries_;
  std::vector<std::uint8_t> coded_;
  std::vector<std::atomic<float>> thresholds_;  // of queries: what lies below is not among the best k
  std::vector<Chosen> chosen_;
  ListRequests leading_;
  ListRequests others_;
  std::vector<std::span<const ScoredRow>> takes_;
  std::vector<std::size_t> take_ends_;
  std::vector<Worker> workers_;
};

}  // namespace

bool ItemIndex::Impl::search_by_lists(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                                      int num_threads) const {
  const std::size_t n = queries.rows();
  if (kind != IndexKind::kIvf || kernels::code().panel == 0 || n < retrieval::kFewestTogether || out.cols() == 0) return false;
  const int probes = nprobe.load(std::memory_order_relaxed);
  ListsView view;
  std::size_t k = 0;
  std::size_t least = 0;
  {
    const AccessGate::Shared section(gate);
    if (!lists || store.live == 0 || store.dim < retrieval::kFewestCodedDimensions) return false;
    k = std::min(out.cols(), store.live);
    if (scans(k, store.live, false)) return false;
    least = least_of_lists(k);
    view = ListsView(store, lists);
  }
  const int threads = detail::resolve_threads(num_threads);
  ListBatch batch(view, metric, k, least, probes, threads);
  const std::size_t lists_of_one = std::min(view.live.size(), static_cast<std::size_t>(probes) * (view.lists->tiered() ? 8 : 1));
  const std::size_t round = std::clamp(kMostProbes / lists_of_one, std::min<std::size_t>(n, 256), kMostTogether);
  SearchScratch scratch;
  for (std::size_t begin = 0; begin < n; begin += round) {
    const std::size_t end = std::min(n, begin + round);
    batch.run(queries, begin, end, out, counts);
    for (std::size_t i = begin; i < end; ++i) {
      if (batch.answered(i - begin)) continue;
      const AccessGate::Shared section(gate);
      counts[i] = search(prepare(queries.row(i), scratch.query), out.row(i), nullptr, false, scratch);
    }
  }
  return true;
}

}  // namespace etalage
