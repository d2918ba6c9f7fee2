// SPDX-License-Identifier: Apache-2.0
// Searches of inverted lists that are read in eight bits: one query, and batches in which each list is read once for all
// queries that want it.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_rules.hpp"
#include "retrieval/item_index_impl.hpp"
#include "retrieval/lists/list_batch.hpp"
#include "search/bound_selector.hpp"

namespace etalage {

using retrieval::AccessGate;
using retrieval::BoundSelector;
using retrieval::IndexRules;
using retrieval::IvfPq;
using retrieval::kListStretch;
using retrieval::ListBatch;
using retrieval::ListsView;
using retrieval::ScoredRow;
using retrieval::Scorer;
using retrieval::SearchScratch;

namespace {

constexpr std::size_t kFewWanted = 32;      // of more, list by list, most are scored in vain: the threshold comes too late

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
    const IndexRules rules{store.ids.data(), nullptr, store.codes.data(), &store.shape, Scorer(metric, query, store.stored()), &s.codes.query};
    float* bounds = Scratch::Impl::at_least(s.scores, BoundSelector::padded(n));
    kernels::code().scores(s.codes.query.terms, store.shape, store.codes.data(), s.rows.data(), 0, n, bounds);
    s.scored += n;
    s.results.clear();
    float threshold = -std::numeric_limits<float>::infinity();
    s.selector.take([&] { return rules; }, threshold, bounds, n, k, [&](std::size_t i) { return s.rows[i]; }, s.results);
    return write_best(s.results, rules.ids, k, out);
  }
  const std::uint8_t* alive = store.dead() != 0 ? store.alive.data() : nullptr;
  const IndexRules rules{store.ids.data(), nullptr, store.codes.data(), &store.shape, Scorer(metric, query, store.stored()), &s.codes.query};
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
    return alive != nullptr ? retrieval::count_live(base, appended, alive) : base.count + appended.size();
  });
  return write_best(s.results, store.ids.data(), k, out);
}

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
  const std::size_t round = batch.round(n);
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
