// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/graph/graph_walk.hpp"
#include "retrieval/index_rules.hpp"
#include "retrieval/item_index_impl.hpp"
#include "search/coded_scan.hpp"

namespace etalage {

using search::BoundedBest;
using retrieval::AccessGate;
using retrieval::CodedScorer;
using retrieval::IndexRules;
using retrieval::ScoredRow;
using retrieval::Scorer;
using retrieval::SearchScratch;

namespace {

constexpr std::size_t kBlock = 256;  // rows scored at a time: they and their scores stay in cache
constexpr std::size_t kStretch = 256;  // rows between two looks at how long those are that follow
constexpr double kScanGain = 2;           // rows read in the time of one met in a walk
constexpr double kScanGainFiltered = 10;  // the same where each row met is looked up in a filter
constexpr std::size_t kUnlimited = static_cast<std::size_t>(-1);

void check_query(std::span<const float> query, int dim) {
  if (query.size() != static_cast<std::size_t>(dim))
    throw std::invalid_argument("query has " + std::to_string(query.size()) + " values, must have dim = " + std::to_string(dim));
  // Chains that compilers turn into vectors: a batch checks every query before it begins.
  constexpr std::size_t kChains = 8;
  float sums[kChains] = {};
  std::size_t f = 0;
  for (; f + kChains <= query.size(); f += kChains)
    for (std::size_t c = 0; c < kChains; ++c) sums[c] += query[f + c] * query[f + c];
  for (; f < query.size(); ++f) sums[0] += query[f] * query[f];
  float norm2 = 0;
  for (const float s : sums) norm2 += s;
  if (!std::isfinite(norm2))
    for (const float x : query)
      if (!std::isfinite(x)) throw std::invalid_argument("query holds " + std::to_string(x) + ", must be finite");
  if (!(norm2 < std::numeric_limits<float>::max() / 4))
    throw std::invalid_argument("query has a squared norm of " + std::to_string(norm2) + ", must be below 8e37");
}

}  // namespace

const float* ItemIndex::Impl::prepare(std::span<const float> query, std::vector<float>& memory) const {
  if (metric != IndexMetric::kCosine) return query.data();
  float* unit = Scratch::Impl::at_least(memory, query.size());
  retrieval::normalize(query.data(), query.size(), unit);
  return unit;
}

void ItemIndex::Impl::resolve(const ItemFilter& filter, SearchScratch& s) const {
  s.allowed.clear();
  if (filter.has_allow_list() && filter.num_allowed_ids() < store.rows / 2) {
    filter.for_each_allowed_id([&](std::int64_t id) {
      const std::int32_t row = filter.allows(id) ? store.find(id) : -1;
      if (row >= 0) s.allowed.push_back(row);
      return true;
    });
    return;
  }
  for (std::size_t r = 0; r < store.rows; ++r)
    if (store.is_alive(r) && filter.allows(store.id(r))) s.allowed.push_back(static_cast<std::int32_t>(r));
}

bool ItemIndex::Impl::encode(const float* query, retrieval::PreparedCodes& codes) const {
  if (store.dim < retrieval::kFewestCodedDimensions) return false;
  std::int8_t* to = Scratch::Impl::at_least(codes.codes, store.shape.width);
  return search::encode_query(query, store.shape, kernels::code().query_max, metric == IndexMetric::kL2, to, codes.query);
}

std::size_t ItemIndex::Impl::search_exact(const float* query, std::span<Neighbor> out, const ItemFilter* filter, bool resolved,
                                          SearchScratch& s) const {
  if (filter == nullptr) return scan_rows(query, nullptr, store.rows, out, s);
  if (!resolved) resolve(*filter, s);
  return scan_rows(query, s.allowed.data(), s.allowed.size(), out, s);
}

std::size_t ItemIndex::Impl::scan_rows(const float* query, const std::int32_t* list, std::size_t rows, std::span<Neighbor> out,
                                       SearchScratch& s) const {
  const Scorer scorer(metric, query, store.stored());
  const std::size_t k = std::min(out.size(), rows);
  if (k == 0) return 0;
  // Rows of a list are cache misses, fewer of them in bytes.
  if (rows >= (list != nullptr ? 2 * k : 8 * BoundedBest::limit(k)) && encode(query, s.codes)) {
    IndexRules rules{store.ids.data(), list == nullptr ? store.alive.data() : nullptr, store.codes.data(), &store.shape, scorer, &s.codes.query};
    BoundedBest selection;
    selection.found = Scratch::Impl::at_least(s.candidates, BoundedBest::limit(k) + search::kCodedStep);
    selection.k = k;
    std::size_t begin = 0;
    const auto scan = [&](std::size_t end) {
      search::scan_coded(kernels::code(), store.shape, store.codes.data(), list, begin, end - begin, s.codes.query, rules, selection, s.bounds);
      s.scored += end - begin;
      begin = end;
    };
    if (list == nullptr && metric == IndexMetric::kDot) {
      // By Cauchy and Schwarz nothing behind a row is in reach once the row is too short.
      const search::CodedQuery& q = s.codes.query;
      const float reach = std::sqrt(q.norm2) * (1 + 2 * q.gamma) * retrieval::ItemStore::kFallingSlack / q.step;
      while (begin < store.falling && !(reach * store.tail(begin).norm < selection.threshold)) scan(std::min(store.falling, begin + kStretch));
      begin = store.falling;
    }
    scan(rows);
    return retrieval::write(selection, rules, out, s.bounds);
  }
  s.scored += rows;
  float* scores = Scratch::Impl::at_least(s.scores, kBlock);
  s.top.start(out.size());
  for (std::size_t begin = 0; begin < rows; begin += kBlock) {
    const std::size_t n = std::min(kBlock, rows - begin);
    if (list != nullptr) scorer.rows(list + begin, n, scores);
    else scorer.range(begin, n, scores);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t row = list != nullptr ? static_cast<std::size_t>(list[begin + i]) : begin + i;
      if (s.top.wants(scores[i]) && store.is_alive(row)) s.top.push(store.id(row), scores[i]);
    }
  }
  return s.top.finish(out);
}

template <class Estimates>
std::size_t ItemIndex::Impl::take_best(const float* query, const search::CodedQuery& coded, const Estimates& estimates,
                                       std::span<Neighbor> out, SearchScratch& s) const {
  IndexRules rules{store.ids.data(), nullptr, store.codes.data(), &store.shape, Scorer(metric, query, store.stored()), &coded};
  BoundedBest selection;
  selection.found = Scratch::Impl::at_least(s.candidates, estimates.size());
  selection.k = std::min(out.size(), estimates.size());
  if (selection.k == 0) return 0;
  for (const auto& e : estimates) {
    const auto row = static_cast<std::size_t>(e.row) & (retrieval::kFollowed - 1);
    const kernels::CodeTail tail = store.tail(row);
    const float wide = tail.error * coded.terms.per_error + tail.norm * coded.terms.per_norm;
    selection.found[selection.count++] = {e.score + wide, e.score - wide, std::numeric_limits<float>::quiet_NaN(), static_cast<std::uint32_t>(row)};
  }
  return retrieval::write(selection, rules, out, s.bounds);
}

bool ItemIndex::Impl::search_together(std::span<const float* const> queries, std::span<const std::span<Neighbor>> out,
                                      std::size_t* counts, SearchScratch& s, const std::int32_t* hidden) const {
  if (kind != IndexKind::kHnsw || store.live == 0 || store.dead() != 0 || store.uncoded != 0) return false;
  const std::size_t k = std::min(out[0].size(), store.live);
  if (k == 0 || scans(k, store.live, false)) return false;
  const std::size_t ef = std::max(k, static_cast<std::size_t>(ef_search.load(std::memory_order_relaxed)));
  const retrieval::GraphView view = graph->view();
  std::optional<CodedScorer> scorers[SearchScratch::kWalks];
  for (std::size_t i = 0; i < queries.size(); ++i) {
    if (!encode(queries[i], s.walks[i].codes)) return false;
    scorers[i].emplace(s.walks[i].codes.query, store);
  }
  bool open[SearchScratch::kWalks] = {};
  std::size_t left = queries.size();
  for (std::size_t i = 0; i < queries.size(); ++i) {
    retrieval::walk_begin(view, *scorers[i], ef, s.walks[i]);
    if (hidden != nullptr) s.walks[i].visited.insert(hidden[i]);
    open[i] = retrieval::walk_gather(view, *scorers[i], s.walks[i]);
  }
  while (left > 0) {
    for (std::size_t i = 0; i < queries.size(); ++i) {
      if (!open[i]) continue;
      retrieval::walk_score(view, *scorers[i], ef, s.walks[i]);
      open[i] = retrieval::walk_gather(view, *scorers[i], s.walks[i]);
      left -= !open[i];
    }
  }
  for (std::size_t i = 0; i < queries.size(); ++i) {
    retrieval::WalkState& w = s.walks[i];
    counts[i] = w.size >= k ? take_best(queries[i], w.codes.query, std::span(w.pool).first(w.size), out[i], s)
                            : search_exact(queries[i], out[i], nullptr, false, s);  // part of the graph was out of reach
  }
  return true;
}

template <class Allowed>
bool ItemIndex::Impl::search_approximately(const float* query, std::size_t k, std::size_t candidates, Allowed allowed,
                                           SearchScratch& s) const {
  const bool coded = store.uncoded == 0 && encode(query, s.codes);
  const Scorer scorer(metric, query, store.stored());
  if (kind == IndexKind::kHnsw) {
    const std::size_t ef = std::max(k, static_cast<std::size_t>(ef_search.load(std::memory_order_relaxed)));
    const retrieval::GraphView view = graph->view();
    // Without a filter the walk always ends early; with one it must not cost more than reading what is allowed.
    const std::size_t budget = candidates == kUnlimited ? kUnlimited : candidates + 4 * ef * view.M;
    if (coded) return retrieval::walk(view, CodedScorer(s.codes.query, store), ef, budget, allowed, s);
    return retrieval::walk(view, scorer, ef, budget, allowed, s);
  }
  const std::size_t keep = k * static_cast<std::size_t>(options.rescore_factor);
  lists->search(metric, store, query, keep, nprobe.load(std::memory_order_relaxed), allowed, s);
  // From parts of a code to all of a vector, in eight bits where that will do.
  std::int32_t* rows = Scratch::Impl::at_least(s.rows, s.results.size());
  float* scores = Scratch::Impl::at_least(s.scores, s.results.size());
  for (std::size_t i = 0; i < s.results.size(); ++i) rows[i] = s.results[i].row;
  if (coded) CodedScorer(s.codes.query, store).rows(rows, s.results.size(), scores);
  else scorer.rows(rows, s.results.size(), scores);
  for (std::size_t i = 0; i < s.results.size(); ++i) s.results[i].score = scores[i];
  return true;
}

bool ItemIndex::Impl::scans(std::size_t k, std::size_t allowed, bool filtered) const {
  // Rows that are met in a walk are cache misses; those of a list are asked for ahead, and nothing is looked up for them.
  return static_cast<double>(allowed) <= (filtered ? kScanGainFiltered : kScanGain) * effort(k, allowed);
}

double ItemIndex::Impl::effort(std::size_t k, std::size_t allowed) const {
  // A walk meets rows/allowed times as many rows as it keeps.
  const double share = static_cast<double>(allowed) / static_cast<double>(store.rows);
  if (kind == IndexKind::kHnsw) {
    const auto ef = static_cast<double>(std::max(k, static_cast<std::size_t>(ef_search.load(std::memory_order_relaxed))));
    return ef * options.M / share;
  }
  if (kind == IndexKind::kIvf) {
    const double lists_read = std::min(1.0, nprobe.load(std::memory_order_relaxed) / static_cast<double>(lists->num_lists()));
    return lists_read * static_cast<double>(store.rows) / share;
  }
  // Codes are cheaper to score than vectors, re-scoring is not.
  const double keep = static_cast<double>(k) * options.rescore_factor;
  return 2 * keep + 0.25 * keep / share;
}

std::size_t ItemIndex::Impl::search(const float* query, std::span<Neighbor> out, const ItemFilter* filter, bool resolved,
                                    SearchScratch& s) const {
  if (filter != nullptr && filter->allows_everything()) filter = nullptr;
  const bool ready = kind == IndexKind::kHnsw || (has_lists() && lists != nullptr);
  if (!ready || store.live == 0) return search_exact(query, out, filter, resolved, s);
  if (filter == nullptr) {
    std::size_t count = 0;
    if (search_together({&query, 1}, {&out, 1}, &count, s)) return count;
  }

  // At most so many rows are allowed, some of which may not exist.
  std::size_t allowed = store.live;
  if (resolved) allowed = s.allowed.size();
  else if (filter != nullptr && filter->has_allow_list()) allowed = std::min(allowed, filter->num_allowed_ids());
  else if (filter != nullptr) allowed -= std::min(allowed, filter->denied_ids().size());
  const std::size_t k = std::min(out.size(), allowed);
  if (k == 0) return filter != nullptr && !resolved ? search_exact(query, out, filter, resolved, s) : 0;
  if (scans(k, allowed, filter != nullptr)) return search_exact(query, out, filter, resolved, s);
  if (kind == IndexKind::kIvf) return search_lists(query, k, out, filter, s);

  const bool finished =
      filter == nullptr
          ? search_approximately(query, k, kUnlimited, [&](std::int32_t r) { return store.is_alive(static_cast<std::size_t>(r)); }, s)
          : search_approximately(query, k, allowed, [&](std::int32_t r) {
              const auto row = static_cast<std::size_t>(r);
              return store.is_alive(row) && filter->allows(store.id(row));
            }, s);
  // Cut off, or short because part of the graph was out of reach.
  if (!finished || s.results.size() < k) return search_exact(query, out, filter, resolved, s);
  if (store.uncoded == 0 && encode(query, s.codes)) return take_best(query, s.codes.query, s.results, out, s);
  s.top.start(out.size());
  for (const ScoredRow& r : s.results) s.top.push(store.id(static_cast<std::size_t>(r.row)), r.score);
  return s.top.finish(out);
}

std::size_t ItemIndex::search(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter,
                              Scratch& scratch) const {
  check_query(query, impl_->dim);
  SearchScratch& s = SearchScratch::of(scratch);
  const float* q = impl_->prepare(query, s.query);
  const AccessGate::Shared section(impl_->gate);
  return impl_->search(q, out, filter, false, s);
}

double ItemIndex::distances_per_query(MatrixView<const float> queries, std::size_t k,
                                      std::span<const ItemFilter* const> filters) const {
  const std::size_t n = queries.rows();
  if (filters.size() > 1 && filters.size() != n)
    throw std::invalid_argument("filters has " + std::to_string(filters.size()) + " entries, must have none, one for all, or one for each of the " +
                                std::to_string(n) + " queries");
  Scratch scratch;
  std::vector<Neighbor> out(std::min(k, size()));
  for (std::size_t i = 0; i < n; ++i)
    search(queries.row(i), out, filters.empty() ? nullptr : filters[filters.size() == 1 ? 0 : i], scratch);
  const SearchScratch& s = SearchScratch::of(scratch);
  return n == 0 ? 0 : static_cast<double>(s.scored + s.walks[0].scored) / static_cast<double>(n);
}

void ItemIndex::search_batch(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                             std::span<const ItemFilter* const> filters, int num_threads) const {
  const std::size_t n = queries.rows();
  if (out.rows() < n || counts.size() < n)
    throw std::invalid_argument("out has " + std::to_string(out.rows()) + " rows and counts " + std::to_string(counts.size()) +
                                " entries, both must have one for each of the " + std::to_string(n) + " queries");
  if (filters.size() > 1 && filters.size() != n)
    throw std::invalid_argument("filters has " + std::to_string(filters.size()) + " entries, must have none, one for all, or one for each of the " +
                                std::to_string(n) + " queries");
  for (std::size_t i = 0; i < n; ++i) check_query(queries.row(i), impl_->dim);
  const ItemFilter* shared = filters.size() == 1 ? filters[0] : nullptr;
  if (shared != nullptr && shared->allows_everything()) shared = nullptr;

  if (filters.size() <= 1 && impl_->search_among_few(queries, out, counts, shared, num_threads)) return;
  if (filters.size() <= 1 && impl_->search_by_panels(queries, out, counts, shared, num_threads)) return;
  if (filters.size() <= 1 && shared == nullptr && impl_->search_by_lists(queries, out, counts, num_threads)) return;

  struct Worker {
    SearchScratch scratch;
    bool resolved = false;
    std::uint64_t generation = 0;
  };
  const auto threads = static_cast<std::size_t>(detail::resolve_threads(num_threads));
  std::vector<Worker> workers(threads);
  const std::size_t grain = std::clamp<std::size_t>(n / (threads * 8), 1, 16);
  const bool together = shared == nullptr && filters.size() <= 1 && impl_->kind == IndexKind::kHnsw;
  constexpr std::size_t kWalks = SearchScratch::kWalks;
  detail::parallel_for(n, grain, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    Worker& w = workers[static_cast<std::size_t>(thread)];
    for (std::size_t i = begin; i < end; ++i) {
      // Entered anew for each query or few, so that a long batch does not hold up a writer.
      const AccessGate::Shared section(impl_->gate);
      if (together) {
        const float* some[kWalks];
        std::span<Neighbor> places[kWalks];
        const std::size_t m = std::min(kWalks, end - i);
        for (std::size_t j = 0; j < m; ++j) {
          some[j] = impl_->prepare(queries.row(i + j), w.scratch.walks[j].query);
          places[j] = out.row(i + j);
        }
        if (impl_->search_together({some, m}, {places, m}, &counts[i], w.scratch)) {
          i += m - 1;
          continue;
        }
      }
      const float* q = impl_->prepare(queries.row(i), w.scratch.query);
      if (shared != nullptr && n > 1 && (!w.resolved || w.generation != impl_->generation)) {
        impl_->resolve(*shared, w.scratch);
        w.resolved = true;
        w.generation = impl_->generation;
      }
      const ItemFilter* filter = filters.size() > 1 ? filters[i] : shared;
      counts[i] = impl_->search(q, out.row(i), filter, w.resolved, w.scratch);
    }
  });
}

}  // namespace etalage
