// SPDX-License-Identifier: Apache-2.0
// Batches that read rows in panels of eight bits, many queries at a time.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "kernels/coded_scan.hpp"
#include "kernels/exact_scan.hpp"
#include "retrieval/index_rules.hpp"
#include "retrieval/item_index_impl.hpp"

namespace etalage {

using kernels::BoundedSelection;
using retrieval::AccessGate;
using retrieval::IndexRules;
using retrieval::ItemStore;
using retrieval::Scorer;
using retrieval::SearchScratch;

namespace {

constexpr std::size_t kFewestTogether = 32;  // queries that make panels worth while
constexpr std::size_t kFewestOfAList = 4;    // the same for one inverted list

/// Rows of one moment: they never change, so nobody waits while they are read.
struct Moment {
  Moment() = default;
  explicit Moment(const ItemStore& s) : shape(s.shape), vectors(s.vectors), codes(s.codes), ids(s.ids) {}
  [[nodiscard]] const std::uint8_t* record(std::size_t row) const noexcept { return codes.data() + row * shape.stride; }
  kernels::CodeShape shape;
  Array<float> vectors;
  Array<std::uint8_t> codes;
  Array<std::int64_t> ids;
};

/// The queries of one block with their selections, and what is reused from block to block.
struct Block {
  kernels::CodedMemory memory;
  std::vector<float> units;
  std::vector<IndexRules> rules;
  std::vector<std::size_t> names;    // of the queries that are in
  std::vector<std::size_t> refused;  // of those that have no codes
  SearchScratch scratch;

  void begin(const Moment& moment, IndexMetric metric, MatrixView<const float> from, std::size_t first, std::size_t last, std::size_t k) {
    const kernels::CodeShape& shape = moment.shape;
    const std::size_t m = last - first;
    const std::size_t room = BoundedSelection::limit(k) + kernels::kCodedStep;
    units.resize(m * shape.dim);
    memory.codes.resize(m * shape.width);
    memory.candidates.resize(m * room);
    memory.queries.clear();
    memory.queries.reserve(m);  // rules point into it
    memory.selections.clear();
    rules.clear();
    names.clear();
    refused.clear();
    for (std::size_t i = 0; i < m; ++i) {
      const float* q = from.row(first + i).data();
      if (metric == IndexMetric::kCosine) {
        retrieval::normalize(q, shape.dim, &units[i * shape.dim]);
        q = &units[i * shape.dim];
      }
      kernels::CodedQuery coded;
      if (!kernels::encode_query(q, shape, kernels::code().query_max, metric == IndexMetric::kL2, &memory.codes[i * shape.width], coded)) {
        refused.push_back(first + i);
        continue;
      }
      memory.queries.push_back(coded);
      BoundedSelection selection;
      selection.found = &memory.candidates[names.size() * room];
      selection.k = k;
      memory.selections.push_back(selection);
      rules.push_back({moment.ids.data(), nullptr, moment.codes.data(), &moment.shape,
                       Scorer(metric, q, moment.vectors.data(), shape.dim), &memory.queries.back()});
      names.push_back(first + i);
    }
  }

  void finish(MatrixView<Neighbor> out, std::span<std::size_t> counts) {
    for (std::size_t i = 0; i < names.size(); ++i)
      counts[names[i]] = retrieval::write(memory.selections[i], rules[i], out.row(names[i]), memory.scratch);
  }
};

/// Which queries of a block want which list.
struct Wanted {
  std::vector<std::size_t> offsets;  // [lists + 1]
  std::vector<std::uint32_t> queries;

  /// probes [queries x width]; takes columns [from, to).
  void sort(const std::vector<std::int32_t>& probes, std::size_t width, std::size_t from, std::size_t to, std::size_t lists) {
    offsets.assign(lists + 1, 0);
    const std::size_t n = probes.size() / width;
    for (std::size_t q = 0; q < n; ++q)
      for (std::size_t p = from; p < to; ++p) ++offsets[static_cast<std::size_t>(probes[q * width + p]) + 1];
    for (std::size_t l = 0; l < lists; ++l) offsets[l + 1] += offsets[l];
    queries.resize(offsets[lists]);
    std::vector<std::size_t> at(offsets.begin(), offsets.end() - 1);
    for (std::size_t q = 0; q < n; ++q)
      for (std::size_t p = from; p < to; ++p) queries[at[static_cast<std::size_t>(probes[q * width + p])]++] = static_cast<std::uint32_t>(q);
  }
};

/// One list for those of a block that want it.
void scan_list(const Moment& moment, std::span<const std::int32_t> rows, std::span<const std::uint32_t> wanted, Block& b,
               kernels::CodedMemory& some, std::vector<IndexRules>& rules) {
  const kernels::CodeTable& table = kernels::code();
  const auto record = [&](std::size_t i) { return moment.record(static_cast<std::size_t>(rows[i])); };
  if (wanted.size() < kFewestOfAList) {
    for (const std::uint32_t q : wanted)
      kernels::scan_coded(table, moment.shape, moment.codes.data(), rows.data(), 0, rows.size(), b.memory.queries[q], b.rules[q],
                          b.memory.selections[q], b.memory.scratch);
    return;
  }
  some.queries.clear();
  some.selections.clear();
  rules.clear();
  for (const std::uint32_t q : wanted) {
    some.queries.push_back(b.memory.queries[q]);
    some.selections.push_back(b.memory.selections[q]);
    rules.push_back(b.rules[q]);
  }
  kernels::scan_coded_block<IndexRules>(
      table, moment.shape, some.queries, rules, some.selections, rows.size(),
      [&](std::size_t first, std::size_t count, kernels::PanelBuilder& builder, std::uint32_t* indices) {
        for (std::size_t i = first + count, end = std::min(rows.size(), first + 2 * table.panel); i < end; ++i)
          for (std::size_t line = 0; line < moment.shape.stride; line += 64) __builtin_prefetch(record(i) + line);
        for (std::size_t i = 0; i < count; ++i) {
          builder.set(i, record(first + i));
          indices[i] = static_cast<std::uint32_t>(rows[first + i]);
        }
      },
      some);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    BoundedSelection& s = b.memory.selections[wanted[i]];
    s = some.selections[i];
    if (s.full()) s.drain(b.rules[wanted[i]], b.memory.scratch);
  }
}

}  // namespace

bool ItemIndex::Impl::search_by_panels(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                                       const ItemFilter* filter, int num_threads) const {
  const kernels::CodeTable& table = kernels::code();
  const std::size_t n = queries.rows();
  if (table.panel == 0 || n < kFewestTogether || out.cols() == 0) return false;
  // Rows that are published never change: what is held here is one moment of the index, and nobody waits for it.
  Moment moment;
  std::vector<std::int32_t> list;
  bool listed = false;
  std::size_t rows = 0;
  {
    const AccessGate::Shared section(gate);
    SearchScratch s;
    listed = filter != nullptr || store.dead() != 0;
    if (filter != nullptr) {
      resolve(*filter, s);
      list = std::move(s.allowed);
    } else if (listed) {
      for (std::size_t r = 0; r < store.rows; ++r)
        if (store.is_alive(r)) list.push_back(static_cast<std::int32_t>(r));
    }
    rows = listed ? list.size() : store.rows;
    const std::size_t k = std::min(out.cols(), rows);
    const bool exact = kind == IndexKind::kExact || (has_lists() && lists == nullptr);
    // Only where a single search reads all of them too: a batch answers as its queries would alone.
    if (!exact && (k == 0 || !scans(k, rows, filter != nullptr))) return false;
    if (rows < 8 * BoundedSelection::limit(k) || store.dim < retrieval::kFewestCodedDimensions) return false;
    moment = Moment(store);
  }
  const kernels::CodeShape& shape = moment.shape;
  const int threads = detail::resolve_threads(num_threads);
  std::vector<Block> blocks(static_cast<std::size_t>(threads));
  const std::size_t k = std::min(out.cols(), rows);
  detail::parallel_for(n, kernels::scan_block_size(shape.dim, k, n, threads), threads, [&](std::size_t begin, std::size_t end, int thread) {
    Block& b = blocks[static_cast<std::size_t>(thread)];
    b.begin(moment, metric, queries, begin, end, k);
    for (const std::size_t i : b.refused) {
      const AccessGate::Shared section(gate);
      counts[i] = search_exact(prepare(queries.row(i), b.scratch.query), out.row(i), filter, false, b.scratch);
    }
    if (b.names.empty()) return;
    kernels::scan_coded_block<IndexRules>(
        table, shape, b.memory.queries, b.rules, b.memory.selections, rows,
        [&](std::size_t first, std::size_t count, kernels::PanelBuilder& builder, std::uint32_t* indices) {
          for (std::size_t i = 0; i < count; ++i) {
            const std::size_t row = listed ? static_cast<std::size_t>(list[first + i]) : first + i;
            builder.set(i, moment.record(row));
            indices[i] = static_cast<std::uint32_t>(row);
          }
        },
        b.memory);
    b.finish(out, counts);
  });
  return true;
}

bool ItemIndex::Impl::search_by_lists(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                                      int num_threads) const {
  constexpr std::size_t kFirstLists = 2;  // read before the others: they give a threshold
  const std::size_t n = queries.rows();
  if (kind != IndexKind::kIvf || kernels::code().panel == 0 || n < kFewestTogether || out.cols() == 0) return false;
  Moment moment;
  std::shared_ptr<const retrieval::IvfPq> partition;
  std::vector<std::size_t> offsets{0};
  std::vector<std::int32_t> rows;
  const int probes_wanted = nprobe.load(std::memory_order_relaxed);
  std::size_t k = 0;
  {
    const AccessGate::Shared section(gate);
    if (!lists || lists->tiered() || store.live == 0 || store.dim < retrieval::kFewestCodedDimensions) return false;
    k = std::min(out.cols(), store.live);
    if (scans(k, store.live, false)) return false;
    partition = lists;
    moment = Moment(store);
    rows.reserve(store.live);
    for (std::size_t l = 0; l < lists->num_lists(); ++l) {
      lists->rows_of(l, [&](std::int32_t r) { return store.is_alive(static_cast<std::size_t>(r)); }, rows);
      offsets.push_back(rows.size());
    }
  }
  const int threads = detail::resolve_threads(num_threads);
  struct Worker {
    Block block;
    kernels::CodedMemory some;
    std::vector<IndexRules> rules;
    std::vector<std::int32_t> probes;
    Wanted wanted;
  };
  std::vector<Worker> workers(static_cast<std::size_t>(threads));
  const std::size_t num_lists = partition->num_lists();
  const std::size_t width = std::min(static_cast<std::size_t>(probes_wanted), num_lists);
  const std::size_t first = std::min(width, kFirstLists);
  const std::size_t grain = std::clamp<std::size_t>((n + static_cast<std::size_t>(threads) - 1) / static_cast<std::size_t>(threads), 1, 1024);
  detail::parallel_for(n, grain, threads, [&](std::size_t begin, std::size_t end, int thread) {
    Worker& w = workers[static_cast<std::size_t>(thread)];
    Block& b = w.block;
    b.begin(moment, metric, queries, begin, end, k);
    w.probes.clear();
    for (std::size_t q = 0; q < b.names.size(); ++q) {
      partition->best_lists(metric, b.rules[q].scorer.query(), probes_wanted, b.scratch);
      std::size_t met = 0;
      for (std::size_t p = 0; p < width; ++p) {
        const std::int32_t l = b.scratch.lists[p];
        w.probes.push_back(l);
        met += offsets[static_cast<std::size_t>(l) + 1] - offsets[static_cast<std::size_t>(l)];
      }
      if (met < k) b.refused.push_back(b.names[q]);  // needs further lists
    }
    const auto pass = [&](std::size_t from, std::size_t to) {
      w.wanted.sort(w.probes, width, from, to, num_lists);
      for (std::size_t l = 0; l < num_lists; ++l) {
        const std::size_t some = w.wanted.offsets[l];
        if (const std::size_t many = w.wanted.offsets[l + 1] - some; many != 0 && offsets[l + 1] != offsets[l])
          scan_list(moment, std::span(rows).subspan(offsets[l], offsets[l + 1] - offsets[l]),
                    std::span(w.wanted.queries).subspan(some, many), b, w.some, w.rules);
      }
      for (std::size_t q = 0; q < b.names.size(); ++q) b.memory.selections[q].drain(b.rules[q], b.memory.scratch);
    };
    pass(0, first);
    if (first < width) pass(first, width);
    b.finish(out, counts);
    for (const std::size_t i : b.refused) {
      const AccessGate::Shared section(gate);
      counts[i] = search(prepare(queries.row(i), b.scratch.query), out.row(i), nullptr, false, b.scratch);
    }
  });
  return true;
}

}  // namespace etalage
