// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "etalage/retrieval/item_index.hpp"
#include "retrieval/access_gate.hpp"
#include "retrieval/fork_safety.hpp"
#include "retrieval/graph/hnsw_graph.hpp"
#include "retrieval/item_store.hpp"
#include "retrieval/lists/ivf_pq.hpp"
#include "retrieval/search_scratch.hpp"

namespace etalage {

/// What a search reads lies behind `gate`: readers hold it shared for one query, a mutator exclusively for about a
/// millisecond at a time. `writer` is held for a whole mutation; under it the same members may be read freely. Anything
/// long (copies, new graphs, training) is prepared beside what readers see and swapped in.
struct ItemIndex::Impl final : retrieval::ForkMember {
  Impl(int dimension, IndexMetric m, IndexKind k, ItemIndexOptions o);
  ~Impl();

  // A child finds no reader or writer inside the gate. Where another thread was in the middle of a mutation, what readers see is
  // whole and what the mutation knew is not: the child may search, and is refused changes.
  void before_fork() noexcept override;
  void after_fork_in_parent() noexcept override;
  void after_fork_in_child() noexcept override;
  /// Takes `writer`; std::runtime_error in a child of a fork that interrupted a mutation.
  [[nodiscard]] std::unique_lock<std::mutex> mutation() const;

  /// Rows linked while R was this.
  struct LinkedRadius {
    double radius2 = 0;
    std::int64_t rows = 0;
  };

  const int dim;
  const IndexMetric metric;
  const IndexKind kind;
  const ItemIndexOptions options;
  std::atomic<int> ef_search;
  std::atomic<int> nprobe;
  std::atomic<double> measured_recall{std::numeric_limits<double>::quiet_NaN()};
  std::size_t tuned_rows = 0;  // live rows when it was measured; guarded by `writer`

  mutable std::mutex writer;
  bool writer_was_free = true;  // while a fork goes on
  bool interrupted = false;     // by the fork that made this process
  mutable retrieval::AccessGate gate;
  retrieval::ItemStore store;
  std::shared_ptr<retrieval::HnswGraph> graph;  // kHnsw; null while empty
  std::shared_ptr<retrieval::IvfPq> lists;      // kIvf, kIvfPq; null until trained
  std::uint64_t generation = 0;                 // counts changes of the store
  std::vector<LinkedRadius> linked_radii;       // graphs; guarded by `writer`
  double norm2_sum = 0;                         // over all rows; guarded by `writer`

  /// By links of a graph of products, by tiers of lists, and by lists of codes for distances.
  [[nodiscard]] bool needs_norms2() const noexcept {
    if (kind == IndexKind::kIvfPq) return metric != IndexMetric::kCosine;
    return (kind == IndexKind::kIvf || kind == IndexKind::kHnsw) && metric == IndexMetric::kDot;
  }
  /// Trained lists without codes of their own read records: float32 rows are asked for a few at a time.
  [[nodiscard]] bool splits_rows() const noexcept {
    return kind == IndexKind::kIvf && store.dim >= retrieval::kFewestSplit && store.dim <= retrieval::kMostSplit;
  }
  [[nodiscard]] bool has_lists() const noexcept { return kind == IndexKind::kIvfPq || kind == IndexKind::kIvf; }

  // Mutation; `writer` is held.
  void insert(MatrixView<const float> vectors, std::span<const std::int64_t> ids);
  void link_and_publish(std::size_t target);
  /// The vectors are those written behind the published rows.
  void encode_and_publish(MatrixView<const float> vectors);
  void publish_plain(std::size_t target);
  void rebuild();
  void tidy();
  /// insert(), and choosing the search setting where options.recall asks for it.
  void insert_tuned(MatrixView<const float> vectors, std::span<const std::int64_t> ids);
  /// Chooses the search setting by stored rows as queries, each without itself.
  void tune();
  /// Live rows in the order of insertion.
  [[nodiscard]] std::vector<std::int32_t> in_order() const;
  /// Trains lists on a store whose rows are in the order of insertion and all live; it becomes what the lists want.
  [[nodiscard]] std::shared_ptr<retrieval::IvfPq> train_lists(retrieval::ItemStore& fresh) const;
  /// Places in the order of insertion that are the ids of their rows need not be kept.
  static void forget_order_that_ids_say(const retrieval::ItemStore& rows, retrieval::IvfPq& of);
  [[nodiscard]] retrieval::LinkSpace link_space(const retrieval::ItemStore& s) const;
  [[nodiscard]] int link_threads() const;
  void note_norms(std::size_t rows);
  void check_rows(MatrixView<const float> vectors, std::span<const std::int64_t> ids, bool present) const;

  // Search; `gate` is held shared.
  [[nodiscard]] const float* prepare(std::span<const float> query, std::vector<float>& memory) const;
  /// Rows that the filter allows, into s.allowed.
  void resolve(const ItemFilter& filter, retrieval::SearchScratch& s) const;
  /// resolved: s.allowed holds the filter's rows.
  std::size_t search(const float* query, std::span<Neighbor> out, const ItemFilter* filter, bool resolved,
                     retrieval::SearchScratch& s) const;
  std::size_t search_exact(const float* query, std::span<Neighbor> out, const ItemFilter* filter, bool resolved,
                           retrieval::SearchScratch& s) const;
  /// Exact over rows of a list of live ones, or over all rows when it is null.
  std::size_t scan_rows(const float* query, const std::int32_t* list, std::size_t rows, std::span<Neighbor> out,
                        retrieval::SearchScratch& s) const;
  /// The best lists, k of whose rows are wanted.
  std::size_t search_lists(const float* query, std::size_t k, std::span<Neighbor> out, const ItemFilter* filter,
                           retrieval::SearchScratch& s) const;
  /// Rows of the best lists that live and are allowed, into s.rows.
  void gather_lists(const float* query, std::size_t k, const ItemFilter* filter, retrieval::SearchScratch& s) const;
  /// Rows that have to be met in lists for k without a filter.
  [[nodiscard]] std::size_t least_of_lists(std::size_t k) const;
  /// A batch that reads all rows, or all that one filter allows, many queries at a time. False when another way is
  /// quicker.
  bool search_by_panels(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                        const ItemFilter* filter, int num_threads, bool always = false) const;
  /// The same where the rows are so few that float32 is quicker than bytes with bounds.
  bool search_among_few(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                        const ItemFilter* filter, int num_threads) const;
  /// A batch over inverted lists: each list is read once for all of a block's queries that want it. False when another
  /// way is the one.
  bool search_by_lists(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts, int num_threads) const;
  /// Some queries without a filter by walks that take turns; out [queries.size()], counts the same. False when an
  /// ordinary search is the way for them. With `hidden` rows, one a query, the walk on the lowest layer does not see them.
  bool search_together(std::span<const float* const> queries, std::span<const std::span<Neighbor>> out, std::size_t* counts,
                       retrieval::SearchScratch& s, const std::int32_t* hidden = nullptr) const;
  /// Scores what estimates cannot exclude from the best k; estimates are in units of the query.
  template <class Estimates>
  std::size_t take_best(const float* query, const search::CodedQuery& coded, const Estimates& estimates, std::span<Neighbor> out,
                        retrieval::SearchScratch& s) const;
  /// Reading all that is allowed is expected to be quicker than the graph or the lists.
  [[nodiscard]] bool scans(std::size_t k, std::size_t allowed, bool filtered) const;
  /// Queries by walks that take turns and do not see a row each; false where an ordinary search has to answer one of them.
  bool walk_together(MatrixView<const float> queries, std::span<const std::int32_t> hidden, MatrixView<Neighbor> out,
                     std::span<std::size_t> counts) const;
  /// How many scores a search for k of `allowed` items is expected to take by way of the graph or the lists.
  [[nodiscard]] double effort(std::size_t k, std::size_t allowed) const;
  bool encode(const float* query, retrieval::PreparedCodes& codes) const;
  template <class Allowed>
  bool search_approximately(const float* query, std::size_t k, std::size_t candidates, Allowed allowed,
                            retrieval::SearchScratch& s) const;
};

}  // namespace etalage
