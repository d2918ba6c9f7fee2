// SPDX-License-Identifier: Apache-2.0
// The search setting that reaches a recall, chosen by held-out queries beside exact search.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "detail/parallel_for.hpp"
#include "detail/random_stream.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/item_index_impl.hpp"

namespace etalage {

using retrieval::AccessGate;
using retrieval::SearchScratch;

namespace {

constexpr std::size_t kQueries = 1000;
constexpr std::size_t kFewestItems = 2 * kQueries;
constexpr std::size_t kBest = 10;
constexpr int kMostEffort = 16384;
constexpr int kTries = 8;
constexpr float kLeastScale = 1e-12f;  // of a stored row that has codes as a query too
constexpr std::size_t kSome = kQueries / 4;  // that a setting is first looked for with
constexpr double kSlack = 0.15;              // of what is missing to 1, by which a setting may be better than it has to

struct Measured {
  double mean = 0;
  double error = 0;  // standard error of the mean
};

/// The list of each row.
std::vector<std::uint32_t> lists_of_rows(const retrieval::IvfPq& lists, std::size_t rows) {
  std::vector<std::uint32_t> out(rows);
  for (std::size_t list = 0; list < lists.num_lists(); ++list) {
    const retrieval::IvfPq::Stretch base = lists.stretch(list);
    for (std::size_t i = 0; i < base.count; ++i) out[base.row(i)] = static_cast<std::uint32_t>(list);
    for (const std::int32_t row : lists.appended(list)) out[static_cast<std::size_t>(row)] = static_cast<std::uint32_t>(list);
  }
  return out;
}

}  // namespace

void ItemIndex::Impl::insert_tuned(MatrixView<const float> vectors, std::span<const std::int64_t> ids) {
  const bool tunes = options.recall > 0 && kind != IndexKind::kExact;
  const auto due = [&](std::size_t live) { return live >= kFewestItems && 2 * live >= 3 * tuned_rows; };
  insert(vectors, ids);
  if (tunes && due(store.live)) tune();
}

bool ItemIndex::Impl::walk_together(MatrixView<const float> queries, std::span<const std::int32_t> hidden, MatrixView<Neighbor> out,
                                    std::span<std::size_t> counts) const {
  constexpr std::size_t kWalks = SearchScratch::kWalks;
  std::vector<SearchScratch> workers(static_cast<std::size_t>(detail::resolve_threads(options.num_threads)));
  std::atomic<bool> done{true};
  detail::parallel_for(hidden.size(), kWalks, options.num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    SearchScratch& s = workers[static_cast<std::size_t>(thread)];
    const float* some[kWalks];
    std::span<Neighbor> places[kWalks];
    for (std::size_t i = begin; i < end; ++i) {
      some[i - begin] = prepare(queries.row(i), s.walks[i - begin].query);
      places[i - begin] = out.row(i);
    }
    const AccessGate::Shared section(gate);
    if (!search_together({some, end - begin}, {places, end - begin}, &counts[begin], s, &hidden[begin])) done.store(false, std::memory_order_relaxed);
  });
  return done.load(std::memory_order_relaxed);
}

void ItemIndex::Impl::tune() {
  tuned_rows = store.live;
  if (store.live <= kBest + 1 || (has_lists() && !lists)) {
    measured_recall.store(1.0);
    return;
  }
  // Stored rows as queries are found with themselves on top, which does not count. Walks do not see them: a graph finds what
  // it has links from. On upper layers they would, so that nodes of these are passed over, and so are rows that are (nearly)
  // zero: one query without codes, and none of them could be answered so.
  const std::vector<std::int32_t> live = in_order();
  const auto width = static_cast<std::size_t>(dim);
  constexpr std::size_t n = kQueries;
  std::vector<std::int32_t> rows(n);
  std::vector<float> copied(n * width);
  const retrieval::GraphView view = graph ? graph->view() : retrieval::GraphView();
  const auto can_be_hidden = [&](std::size_t row) { return view.level(row) == 1 && store.tail(row).scale > kLeastScale; };
  for (std::size_t i = 0; i < n; ++i) {
    detail::RandomStream random(options.seed, live.size(), i);
    for (int tries = 0; tries < kTries; ++tries) {
      rows[i] = live[random.below(static_cast<std::uint32_t>(live.size()))];
      if (!graph || can_be_hidden(static_cast<std::size_t>(rows[i]))) break;
    }
    store.stored().copy(static_cast<std::size_t>(rows[i]), &copied[i * width]);
  }
  const MatrixView<const float> held_out(copied.data(), n, width);
  const std::size_t k = std::min(kBest + 1, store.live);
  std::vector<Neighbor> truth(n * k), found(n * k);
  std::vector<std::size_t> counts(n);
  const int threads = options.num_threads;
  // ask(query, out, scratch) for each query on its own, into `out` [n x k].
  const auto each = [&](std::size_t count, std::vector<Neighbor>& out, const auto& ask) {
    std::vector<SearchScratch> workers(static_cast<std::size_t>(detail::resolve_threads(threads)));
    detail::parallel_for(count, 8, threads, [&](std::size_t begin, std::size_t end, int thread) {
      SearchScratch& s = workers[static_cast<std::size_t>(thread)];
      for (std::size_t i = begin; i < end; ++i) {
        const AccessGate::Shared section(gate);
        counts[i] = ask(prepare(held_out.row(i), s.query), std::span(out).subspan(i * k, k), s);
      }
    });
  };
  if (!search_by_panels(held_out, {truth.data(), n, k}, counts, nullptr, threads, true))
    each(n, truth, [&](const float* query, std::span<Neighbor> out, SearchScratch& s) { return search_exact(query, out, nullptr, false, s); });
  std::vector<float> last(n);  // score of the last of the best
  for (std::size_t i = 0; i < n; ++i) last[i] = truth[i * k + k - 1].score;

  std::atomic<int>& setting = kind == IndexKind::kHnsw ? ef_search : nprobe;
  const int most = kind == IndexKind::kHnsw ? kMostEffort : static_cast<int>(std::min<std::size_t>(lists->num_lists(), kMostEffort));
  const auto ask = [&](std::size_t count) {
    if (kind == IndexKind::kIvf && search_by_lists({held_out.data(), count, width, held_out.stride()}, {found.data(), count, k}, counts, threads)) return;
    each(count, found, [&](const float* query, std::span<Neighbor> out, SearchScratch& s) { return search(query, out, nullptr, false, s); });
  };
  // hits_of(i) of the k best of query i are found; whether itself is among them or was hidden.
  const auto measured_over = [&](std::size_t count, bool hidden, const auto& hits_of) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t hits = hits_of(i);
      if (!hidden && hits > 0) --hits;
      const double share = static_cast<double>(std::min(hits, k - 1)) / static_cast<double>(k - 1);
      sum += share;
      squares += share * share;
    }
    Measured m;
    m.mean = sum / static_cast<double>(count);
    m.error = std::sqrt(std::max(0.0, squares / static_cast<double>(count) - m.mean * m.mean) / static_cast<double>(n));  // all would have it
    return m;
  };
  const auto measure = [&](int effort, std::size_t count) {
    setting.store(effort, std::memory_order_relaxed);
    const bool hidden = kind == IndexKind::kHnsw && walk_together(held_out, std::span(rows).first(count), {found.data(), n, k}, counts);
    if (!hidden) ask(count);
    // By score, so that items that tie with the last one count.
    return measured_over(count, hidden, [&](std::size_t i) {
      std::size_t hits = 0;
      for (std::size_t j = 0; j < counts[i]; ++j) hits += found[i * k + j].score >= last[i] ? 1 : 0;
      return hits;
    });
  };
  const double target = options.recall + 0.05 * (1 - options.recall);
  const auto reaches = [&](const Measured& m) { return m.mean - 2 * m.error >= target; };
  if (kind == IndexKind::kIvf && !lists->tiered()) {
    // All rows of a list that is read are scored: the ranks of the lists in which the best lie say it all, without a search.
    const std::vector<std::uint32_t> list_of = lists_of_rows(*lists, store.rows);
    std::vector<std::uint32_t> ranks(n * k);
    detail::parallel_for(n, 64, threads, [&](std::size_t begin, std::size_t end, int) {
      SearchScratch s;
      for (std::size_t i = begin; i < end; ++i) {
        lists->visit(metric, prepare(held_out.row(i), s.query), 0, 1, s, [](std::size_t) { return std::size_t{0}; });
        for (std::size_t j = 0; j < k; ++j) {
          const float own = s.list_ranks[list_of[static_cast<std::size_t>(store.find(truth[i * k + j].id))]];
          const std::span<const float> of_lists(s.list_ranks.data(), lists->num_lists());
          ranks[i * k + j] = static_cast<std::uint32_t>(std::count_if(of_lists.begin(), of_lists.end(), [own](float rank) { return rank > own; }));
        }
      }
    });
    const auto predicted = [&](int probes) {
      return measured_over(n, false, [&](std::size_t i) {
        const std::span<const std::uint32_t> of_query = std::span(ranks).subspan(i * k, k);
        return static_cast<std::size_t>(
            std::count_if(of_query.begin(), of_query.end(), [probes](std::uint32_t rank) { return rank < static_cast<std::uint32_t>(probes); }));
      });
    };
    int too_few = 0, probes = most;
    while (probes - too_few > 1) {
      const int middle = too_few + (probes - too_few) / 2;
      (reaches(predicted(middle)) ? probes : too_few) = middle;
    }
    measured_recall.store(measure(probes, n).mean);
    return;
  }
  // By some of the queries, that it costs little: doubled until it reaches, then halved in between to within an eighth.
  const std::size_t some = std::min(n, kSome);
  int low = 0, high = std::min(most, kind == IndexKind::kHnsw ? static_cast<int>(kBest) + 2 : 1);
  while (!reaches(measure(high, some)) && high < most) {
    low = high;
    high = std::min(most, high * 2);
  }
  while (low > 0 && high - low > std::max(1, high / 8)) {
    const int middle = (low + high) / 2;
    (reaches(measure(middle, some)) ? high : low) = middle;
  }
  // By all of them from there on: down while much is left over, or up until it reaches.
  Measured at_high = measure(high, n);
  const auto step = [](int effort) { return std::max(1, effort / 8); };
  if (reaches(at_high)) {
    while (high > 1 && at_high.mean - 2 * at_high.error - target > kSlack * (1 - target)) {
      const Measured m = measure(high - step(high), n);
      if (!reaches(m)) break;
      high -= step(high);
      at_high = m;
    }
  }
  while (!reaches(at_high) && high < most) {
    high = std::min(most, high + step(high));
    at_high = measure(high, n);
  }
  setting.store(high, std::memory_order_relaxed);
  measured_recall.store(at_high.mean);
}

}  // namespace etalage
