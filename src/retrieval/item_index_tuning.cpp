// SPDX-License-Identifier: Apache-2.0
// The search setting that reaches a recall, chosen by held-out queries beside exact search.
#include <algorithm>
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
  const std::size_t n = ids.size();
  const auto due = [&](std::size_t live) { return live >= kFewestItems && 2 * live >= 3 * tuned_rows; };
  // Lists do not know their rows one by one: stored ones, drawn at random, are as good as held-out ones. A walk finds what it
  // has links to.
  if (tunes && !has_lists() && n >= kFewestItems && due(store.live + n)) {
    // The last rows are asked for before they are there: queries that no link was made for.
    const std::size_t first = n - kQueries;
    insert({vectors.data(), first, vectors.cols(), vectors.stride()}, ids.first(first));
    const MatrixView<const float> rest(vectors.row(first).data(), kQueries, vectors.cols(), vectors.stride());
    tune(rest);
    return insert(rest, ids.subspan(first));
  }
  insert(vectors, ids);
  if (tunes && due(store.live)) tune({});
}

void ItemIndex::Impl::tune(MatrixView<const float> held_out) {
  tuned_rows = store.live;
  if (store.live <= kBest + 1 || (has_lists() && !lists)) {
    measured_recall.store(1.0);
    return;
  }
  // Stored rows as queries are found with themselves on top, which does not count.
  const bool stored = held_out.rows() == 0;
  std::vector<float> copied;
  const auto width = static_cast<std::size_t>(dim);
  if (stored) {
    const std::vector<std::int32_t> live = in_order();
    copied.resize(kQueries * width);
    for (std::size_t i = 0; i < kQueries; ++i) {
      detail::RandomStream random(options.seed, live.size(), i);
      const auto row = static_cast<std::size_t>(live[random.below(static_cast<std::uint32_t>(live.size()))]);
      std::copy_n(store.vector(row), width, &copied[i * width]);
    }
    held_out = {copied.data(), kQueries, width};
  }
  const std::size_t n = held_out.rows();
  const std::size_t k = std::min(kBest + (stored ? 1 : 0), store.live);
  std::vector<Neighbor> truth(n * k), found(n * k);
  std::vector<std::size_t> counts(n);
  const int threads = options.num_threads;
  // ask(query, out, scratch) for each query on its own, into `out` [n x k].
  const auto each = [&](std::vector<Neighbor>& out, const auto& ask) {
    std::vector<SearchScratch> workers(static_cast<std::size_t>(detail::resolve_threads(threads)));
    detail::parallel_for(n, 8, threads, [&](std::size_t begin, std::size_t end, int thread) {
      SearchScratch& s = workers[static_cast<std::size_t>(thread)];
      for (std::size_t i = begin; i < end; ++i) {
        const AccessGate::Shared section(gate);
        counts[i] = ask(prepare(held_out.row(i), s.query), std::span(out).subspan(i * k, k), s);
      }
    });
  };
  if (!search_by_panels(held_out, {truth.data(), n, k}, counts, nullptr, threads, true))
    each(truth, [&](const float* query, std::span<Neighbor> out, SearchScratch& s) { return search_exact(query, out, nullptr, false, s); });
  std::vector<float> last(n);  // score of the last of the best
  for (std::size_t i = 0; i < n; ++i) last[i] = truth[i * k + k - 1].score;

  std::atomic<int>& setting = kind == IndexKind::kHnsw ? ef_search : nprobe;
  const int most = kind == IndexKind::kHnsw ? kMostEffort : static_cast<int>(std::min<std::size_t>(lists->num_lists(), kMostEffort));
  const auto measured_over = [&](const auto& hits_of) {
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t hits = hits_of(i);
      const double share = static_cast<double>(hits - (stored && hits > 0 ? 1 : 0)) / static_cast<double>(k - (stored ? 1 : 0));
      sum += share;
      squares += share * share;
    }
    Measured m;
    m.mean = sum / static_cast<double>(n);
    m.error = std::sqrt(std::max(0.0, squares / static_cast<double>(n) - m.mean * m.mean) / static_cast<double>(n));
    return m;
  };
  const auto measure = [&](int effort) {
    setting.store(effort, std::memory_order_relaxed);
    if (kind != IndexKind::kIvf || !search_by_lists(held_out, {found.data(), n, k}, counts, threads))
      each(found, [&](const float* query, std::span<Neighbor> out, SearchScratch& s) { return search(query, out, nullptr, false, s); });
    // By score, so that items that tie with the last one count.
    return measured_over([&](std::size_t i) {
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
    const auto width = static_cast<std::size_t>(dim);
    detail::parallel_for(n, 64, threads, [&](std::size_t begin, std::size_t end, int) {
      SearchScratch s;
      for (std::size_t i = begin; i < end; ++i) {
        lists->visit(metric, prepare({held_out.row(i).data(), width}, s.query), 0, 1, s, [](std::size_t) { return std::size_t{0}; });
        for (std::size_t j = 0; j < k; ++j) {
          const float own = s.list_ranks[list_of[static_cast<std::size_t>(store.find(truth[i * k + j].id))]];
          const std::span<const float> of_lists(s.list_ranks.data(), lists->num_lists());
          ranks[i * k + j] = static_cast<std::uint32_t>(std::count_if(of_lists.begin(), of_lists.end(), [own](float rank) { return rank > own; }));
        }
      }
    });
    const auto foretold = [&](int probes) {
      return measured_over([&](std::size_t i) {
        const std::span<const std::uint32_t> of_query = std::span(ranks).subspan(i * k, k);
        return static_cast<std::size_t>(
            std::count_if(of_query.begin(), of_query.end(), [probes](std::uint32_t rank) { return rank < static_cast<std::uint32_t>(probes); }));
      });
    };
    int too_few = 0, probes = most;
    while (probes - too_few > 1) {
      const int middle = too_few + (probes - too_few) / 2;
      (reaches(foretold(middle)) ? probes : too_few) = middle;
    }
    measured_recall.store(measure(probes).mean);
    return;
  }
  // Doubled until it reaches, then halved in between to within a tenth.
  int low = 0, high = std::min(most, kind == IndexKind::kHnsw ? static_cast<int>(kBest) + 2 : 1);
  Measured at_high = measure(high);
  while (!reaches(at_high) && high < most) {
    low = high;
    high = std::min(most, high * 2);
    at_high = measure(high);
  }
  while (low > 0 && high - low > std::max(1, high / 10)) {
    const int middle = (low + high) / 2;
    const Measured m = measure(middle);
    if (reaches(m)) {
      high = middle;
      at_high = m;
    } else {
      low = middle;
    }
  }
  setting.store(high, std::memory_order_relaxed);
  measured_recall.store(at_high.mean);
}

}  // namespace etalage
