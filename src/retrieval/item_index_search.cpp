// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/graph_walk.hpp"
#include "retrieval/item_index_impl.hpp"

namespace etalage {

using retrieval::AccessGate;
using retrieval::ScoredRow;
using retrieval::Scorer;
using retrieval::SearchScratch;

namespace {

constexpr std::size_t kBlock = 256;  // rows scored at a time: they and their scores stay in cache
constexpr std::size_t kUnlimited = static_cast<std::size_t>(-1);

void check_query(std::span<const float> query, int dim) {
  if (query.size() != static_cast<std::size_t>(dim))
    throw std::invalid_argument("query has " + std::to_string(query.size()) + " values, must have dim = " + std::to_string(dim));
  float norm2 = 0;
  for (const float x : query) {
    if (!std::isfinite(x)) throw std::invalid_argument("query holds " + std::to_string(x) + ", must be finite");
    norm2 += x * x;
  }
  if (!(norm2 < std::numeric_limits<float>::max() / 4))
    throw std::invalid_argument("query has a squared norm of " + std::to_string(norm2) + ", must be below 8e37");
}

}  // namespace

const float* ItemIndex::Impl::prepare(std::span<const float> query, SearchScratch& s) const {
  if (metric != IndexMetric::kCosine) return query.data();
  float* unit = Scratch::Impl::at_least(s.query, query.size());
  retrieval::normalize(query.data(), query.size(), unit);
  return unit;
}

void ItemIndex::Impl::resolve(const ItemFilter& filter, SearchScratch& s) const {
  s.allowed.clear();
  if (filter.has_allow_list() && filter.allowed_ids().size() < store.rows / 2) {
    for (const std::int64_t id : filter.allowed_ids()) {
      const std::int32_t row = filter.allows(id) ? store.find(id) : -1;
      if (row >= 0) s.allowed.push_back(row);
    }
    return;
  }
  for (std::size_t r = 0; r < store.rows; ++r)
    if (store.is_alive(r) && filter.allows(store.ids[r])) s.allowed.push_back(static_cast<std::int32_t>(r));
}

std::size_t ItemIndex::Impl::search_exact(const float* query, std::span<Neighbor> out, const ItemFilter* filter, bool resolved,
                                          SearchScratch& s) const {
  const Scorer scorer(metric, query, store.vectors.data(), store.dim);
  float* scores = Scratch::Impl::at_least(s.scores, kBlock);
  s.top.start(out.size());
  if (filter != nullptr) {
    if (!resolved) resolve(*filter, s);
    for (std::size_t begin = 0; begin < s.allowed.size(); begin += kBlock) {
      const std::size_t n = std::min(kBlock, s.allowed.size() - begin);
      const std::int32_t* rows = s.allowed.data() + begin;
      scorer.rows(rows, n, scores);
      for (std::size_t i = 0; i < n; ++i)
        if (s.top.wants(scores[i])) s.top.push(store.ids[static_cast<std::size_t>(rows[i])], scores[i]);
    }
    return s.top.finish(out);
  }
  for (std::size_t begin = 0; begin < store.rows; begin += kBlock) {
    const std::size_t n = std::min(kBlock, store.rows - begin);
    scorer.range(begin, n, scores);
    for (std::size_t i = 0; i < n; ++i)
      if (s.top.wants(scores[i]) && store.is_alive(begin + i)) s.top.push(store.ids[begin + i], scores[i]);
  }
  return s.top.finish(out);
}

template <class Allowed>
bool ItemIndex::Impl::search_approximately(const float* query, std::size_t k, std::size_t candidates, Allowed allowed,
                                           SearchScratch& s) const {
  const Scorer scorer(metric, query, store.vectors.data(), store.dim);
  if (kind == IndexKind::kHnsw) {
    const std::size_t ef = std::max(k, static_cast<std::size_t>(ef_search.load(std::memory_order_relaxed)));
    const retrieval::GraphView view = graph->view();
    // Without a filter the walk always ends early; with one it must not cost more than reading what is allowed.
    const std::size_t budget = candidates == kUnlimited ? kUnlimited : candidates + 4 * ef * view.M;
    return retrieval::walk(view, scorer, ef, budget, allowed, s);
  }
  const std::size_t keep = k * static_cast<std::size_t>(options.rescore_factor);
  lists->search(metric, store, query, keep, nprobe.load(std::memory_order_relaxed), allowed, s);
  // From codes to vectors.
  std::int32_t* rows = Scratch::Impl::at_least(s.rows, s.results.size());
  float* scores = Scratch::Impl::at_least(s.scores, s.results.size());
  for (std::size_t i = 0; i < s.results.size(); ++i) rows[i] = s.results[i].row;
  scorer.rows(rows, s.results.size(), scores);
  for (std::size_t i = 0; i < s.results.size(); ++i) s.results[i].score = scores[i];
  return true;
}

std::size_t ItemIndex::Impl::search(const float* query, std::span<Neighbor> out, const ItemFilter* filter, bool resolved,
                                    SearchScratch& s) const {
  if (filter != nullptr && filter->allows_everything()) filter = nullptr;
  const bool ready = kind == IndexKind::kHnsw || (kind == IndexKind::kIvfPq && lists != nullptr);
  if (!ready || store.live == 0) return search_exact(query, out, filter, resolved, s);

  // At most so many rows are allowed, some of which may not exist.
  std::size_t allowed = store.live;
  if (resolved) allowed = s.allowed.size();
  else if (filter != nullptr && filter->has_allow_list()) allowed = std::min(allowed, filter->allowed_ids().size());
  else if (filter != nullptr) allowed -= std::min(allowed, filter->denied_ids().size());
  const std::size_t k = std::min(out.size(), allowed);
  if (k == 0) return filter != nullptr && !resolved ? search_exact(query, out, filter, resolved, s) : 0;

  // What either way would score: a walk meets rows/allowed times as many rows as it keeps.
  const double share = static_cast<double>(allowed) / static_cast<double>(store.rows);
  double effort = 0;
  if (kind == IndexKind::kHnsw) {
    const auto ef = static_cast<double>(std::max(k, static_cast<std::size_t>(ef_search.load(std::memory_order_relaxed))));
    effort = ef * options.M / share;
  } else {
    // Codes are cheaper to score than vectors, re-scoring is not.
    const double keep = static_cast<double>(k) * options.rescore_factor;
    effort = 2 * keep + 0.25 * keep / share;
  }
  if (static_cast<double>(allowed) <= effort) return search_exact(query, out, filter, resolved, s);

  const bool finished =
      filter == nullptr
          ? search_approximately(query, k, kUnlimited, [&](std::int32_t r) { return store.is_alive(static_cast<std::size_t>(r)); }, s)
          : search_approximately(query, k, allowed, [&](std::int32_t r) {
              const auto row = static_cast<std::size_t>(r);
              return store.is_alive(row) && filter->allows(store.ids[row]);
            }, s);
  // Cut off, or short because part of the graph was out of reach.
  if (!finished || s.results.size() < k) return search_exact(query, out, filter, resolved, s);
  s.top.start(out.size());
  for (const ScoredRow& r : s.results) s.top.push(store.ids[static_cast<std::size_t>(r.row)], r.score);
  return s.top.finish(out);
}

std::size_t ItemIndex::search(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter,
                              Scratch& scratch) const {
  check_query(query, impl_->dim);
  SearchScratch& s = SearchScratch::of(scratch);
  const float* q = impl_->prepare(query, s);
  const AccessGate::Shared section(impl_->gate);
  return impl_->search(q, out, filter, false, s);
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

  struct Worker {
    SearchScratch scratch;
    bool resolved = false;
    std::uint64_t generation = 0;
  };
  const auto threads = static_cast<std::size_t>(detail::resolve_threads(num_threads));
  std::vector<Worker> workers(threads);
  const std::size_t grain = std::clamp<std::size_t>(n / (threads * 8), 1, 16);
  detail::parallel_for(n, grain, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    Worker& w = workers[static_cast<std::size_t>(thread)];
    for (std::size_t i = begin; i < end; ++i) {
      const float* q = impl_->prepare(queries.row(i), w.scratch);
      // Entered anew for each query, so that a long batch does not hold up a writer.
      const AccessGate::Shared section(impl_->gate);
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
