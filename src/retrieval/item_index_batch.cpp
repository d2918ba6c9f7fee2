// SPDX-License-Identifier: Apache-2.0
// Batches that read rows in panels of eight bits, many queries at a time.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/rows_view.hpp"
#include "retrieval/index_rules.hpp"
#include "retrieval/item_index_impl.hpp"
#include "search/coded_scan.hpp"
#include "search/exact.hpp"

namespace etalage {

using search::BoundedBest;
using retrieval::AccessGate;
using retrieval::IndexRules;
using retrieval::kFewestTogether;
using retrieval::RowsView;
using retrieval::Scorer;
using retrieval::SearchScratch;

namespace {

/// The queries of one block with their selections, and what is reused from block to block.
struct Block {
  search::CodedMemory memory;
  std::vector<float> units;
  std::vector<IndexRules> rules;
  std::vector<std::size_t> names;    // of the queries that are in
  std::vector<std::size_t> refused;  // of those that have no codes
  SearchScratch scratch;

  void begin(const RowsView& view, IndexMetric metric, MatrixView<const float> from, std::size_t first, std::size_t last, std::size_t k) {
    const kernels::CodeShape& shape = view.shape;
    const std::size_t m = last - first;
    const std::size_t room = BoundedBest::limit(k) + search::kCodedStep;
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
      search::CodedQuery coded;
      if (!search::encode_query(q, shape, kernels::code().query_max, metric == IndexMetric::kL2, &memory.codes[i * shape.width], coded)) {
        refused.push_back(first + i);
        continue;
      }
      memory.queries.push_back(coded);
      BoundedBest selection;
      selection.found = &memory.candidates[names.size() * room];
      selection.k = k;
      memory.selections.push_back(selection);
      rules.push_back({view.ids.data(), nullptr, view.codes.data(), &view.shape,
                       Scorer(metric, q, view.stored()), &memory.queries.back()});
      names.push_back(first + i);
    }
  }

  void finish(MatrixView<Neighbor> out, std::span<std::size_t> counts) {
    for (std::size_t i = 0; i < names.size(); ++i)
      counts[names[i]] = retrieval::write(memory.selections[i], rules[i], out.row(names[i]), memory.scratch);
  }
};

}  // namespace

bool ItemIndex::Impl::search_by_panels(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                                       const ItemFilter* filter, int num_threads, bool always) const {
  const kernels::CodeTable& table = kernels::code();
  const std::size_t n = queries.rows();
  if (table.panel == 0 || n < kFewestTogether || out.cols() == 0) return false;
  // Rows that are published never change: what is held here is one moment of the index, and nobody waits for it.
  RowsView view;
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
    if (!exact && !always && (k == 0 || !scans(k, rows, filter != nullptr))) return false;
    if (rows < 8 * BoundedBest::limit(k) || store.dim < retrieval::kFewestCodedDimensions) return false;
    view = RowsView(store);
  }
  const kernels::CodeShape& shape = view.shape;
  const int threads = detail::resolve_threads(num_threads);
  std::vector<Block> blocks(static_cast<std::size_t>(threads));
  const std::size_t k = std::min(out.cols(), rows);
  detail::parallel_for(n, search::scan_block_size(shape.dim, k, n, threads), threads, [&](std::size_t begin, std::size_t end, int thread) {
    Block& b = blocks[static_cast<std::size_t>(thread)];
    b.begin(view, metric, queries, begin, end, k);
    for (const std::size_t i : b.refused) {
      const AccessGate::Shared section(gate);
      counts[i] = search_exact(prepare(queries.row(i), b.scratch.query), out.row(i), filter, false, b.scratch);
    }
    if (b.names.empty()) return;
    search::scan_coded_block<IndexRules>(
        table, shape, b.memory.queries, b.rules, b.memory.selections, rows,
        [&](std::size_t first, std::size_t count, search::PanelBuilder& builder, std::uint32_t* indices) {
          const std::uint8_t* records[kernels::kMostPanel];
          for (std::size_t i = 0; i < count; ++i) {
            const std::size_t row = listed ? static_cast<std::size_t>(list[first + i]) : first + i;
            records[i] = view.record(row);
            indices[i] = static_cast<std::uint32_t>(row);
          }
          builder.set_all(records, count);
        },
        b.memory);
    b.finish(out, counts);
  });
  return true;
}

}  // namespace etalage
