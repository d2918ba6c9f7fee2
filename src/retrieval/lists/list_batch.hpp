// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "etalage/core/matrix_view.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_rules.hpp"
#include "retrieval/item_store.hpp"
#include "retrieval/lists/ivf_pq.hpp"
#include "retrieval/rows_view.hpp"
#include "retrieval/search_scratch.hpp"
#include "search/bound_selector.hpp"
#include "search/coded_memory.hpp"
#include "search/coded_scan.hpp"

namespace etalage::retrieval {

/// Rows of a list between two selections.
inline constexpr std::size_t kListStretch = 1536;

/// Live rows of a list.
[[nodiscard]] std::size_t count_live(const IvfPq::Stretch& base, std::span<const std::int32_t> appended, const std::uint8_t* alive) noexcept;

/// Lists of one moment: they never change, so nobody waits while they are read.
struct ListsView {
  RowsView rows;
  std::shared_ptr<const IvfPq> lists;
  std::vector<std::uint8_t> alive;  ///< empty when all rows are
  std::vector<std::size_t> appended_ends;
  std::vector<std::int32_t> appended;
  std::vector<std::size_t> live;    ///< rows of each list

  ListsView() = default;
  ListsView(const ItemStore& store, std::shared_ptr<const IvfPq> of);
  [[nodiscard]] std::span<const std::int32_t> appended_to(std::size_t list) const noexcept {
    const std::size_t begin = list == 0 ? 0 : appended_ends[list - 1];
    return std::span(appended).subspan(begin, appended_ends[list] - begin);
  }
};

/// Rounds of queries over lists that are read in eight bits: each list once for all queries of the round that want it.
/// A query's best lists come first. They give it a threshold, against which bounds of the others, of tiers nearer ones before
/// farther ones, are compared as they are made. The best k that it knows of are shared by all threads, so that each hit raises the threshold for all.
class ListBatch {
 public:
  ListBatch(const ListsView& view, IndexMetric metric, std::size_t k, std::size_t least, int probes, int threads);

  /// Answers queries [begin, end) but for those that have no codes.
  void run(MatrixView<const float> queries, std::size_t begin, std::size_t end, MatrixView<Neighbor> out, std::span<std::size_t> counts);
  /// False for a query of the last round that has no codes.
  [[nodiscard]] bool answered(std::size_t i) const noexcept { return coded_[i] != 0; }
  /// Queries of a round, so that what they need is some megabytes.
  [[nodiscard]] std::size_t round(std::size_t queries) const noexcept;

 private:
  /// Which queries want which list, list by list.
  struct ListRequests {
    std::vector<std::uint32_t> queries;
    std::vector<std::size_t> ends;  // [lists]
  };
  /// Lists of a few queries, one query after the other.
  struct Chosen {
    std::vector<std::uint32_t> lists;
    std::vector<std::size_t> ends;
  };
  /// A row that a query has to score.
  struct Pending {
    std::uint32_t query;  // of the list
    std::int32_t row;
  };
  /// A query of a first list.
  struct FirstLook {
    search::BoundSelector selector;
    float threshold = 0;
    std::vector<ScoredRow> found;
  };
  struct Worker {
    SearchScratch scratch;
    search::CodedMemory memory;
    std::vector<FirstLook> looks;
    std::vector<float> bounds;             // of the queries of one list
    std::vector<kernels::Bounded> room;    // a panel for each query of one list
    std::vector<Pending> pending;
    std::vector<std::int32_t> rows;
    std::vector<float> scores;
    std::vector<ScoredRow> found;
  };
  /// Rows of a list, those that came later behind.
  struct ListRows {
    IvfPq::Stretch base;
    std::span<const std::int32_t> appended;
    [[nodiscard]] std::size_t size() const noexcept { return base.count + appended.size(); }
    [[nodiscard]] std::size_t operator[](std::size_t at) const noexcept {
      return at < base.count ? base.row(at) : static_cast<std::size_t>(appended[at - base.count]);
    }
  };

  [[nodiscard]] float* unit(std::size_t i) noexcept { return &units_[i * view_.rows.shape.dim]; }
  [[nodiscard]] IndexRules rules_of(std::size_t i) noexcept;
  void prepare(MatrixView<const float> queries);
  void collect_requests();
  template <class Read>
  void read_lists(const ListRequests& requests, std::size_t most, const Read& read);
  /// Panel `at` of a list's rows.
  kernels::CodePanel panel_at(const ListRows& rows, std::size_t at, search::PanelBuilder& builder, std::uint32_t* indices) const;
  void set_queries(std::span<const std::uint32_t> queries, Worker& w);
  /// For queries that know no threshold yet: the best bounds first.
  void read_first(std::size_t list, std::span<const std::uint32_t> queries, Worker& w);
  /// For queries that know one.
  void read_on(std::size_t list, std::span<const std::uint32_t> queries, Worker& w);
  /// Takes scored rows into the query's best.
  void offer(std::size_t query, const ScoredRow* rows, std::size_t n);
  std::size_t finish(std::size_t i, std::span<Neighbor> out);

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
  std::vector<std::atomic<float>> thresholds_;       // of queries: what lies below is not among the best k
  std::vector<std::atomic<std::uint8_t>> locks_;     // of what follows
  std::vector<std::uint32_t> sizes_;
  std::vector<ScoredRow> best_;                      // [queries x k], the worst on top
  std::vector<Chosen> chosen_;
  ListRequests leading_;
  ListRequests near_;
  ListRequests others_;
  std::vector<Worker> workers_;
};

}  // namespace etalage::retrieval
