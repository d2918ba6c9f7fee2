// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "etalage/core/item_filter.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/extend/vector_index.hpp"
#include "etalage/export.hpp"
#include "etalage/core/scratch.hpp"

namespace etalage {

/// How a query and a stored vector are compared: kDot for factors of models, whose lengths say how popular an item is; kCosine for text and
/// image vectors; kL2 where distances were what was trained.
enum class IndexMetric : std::uint8_t {
  kCosine,  ///< q.x / (|q| |x|); a zero vector has cosine 0 with everything
  kDot,     ///< q.x
  kL2       ///< -|q - x|^2
};

/// How vectors are found. All kinds keep the float32 values and a byte a dimension (kIvf once trained 3 + 1 bytes), and score what they answer in float32.
///
/// kExact   up to some hundred thousand items in batches, some ten thousand one by one; or as the yardstick
/// kHnsw    cosine and distance, one query at a time at a high recall; ef_search trades time for recall at any moment. It takes longest to
///          build, adds 8 M + 12 bytes an item, and links anew when it compacts
/// kIvf     factors under inner product, and batches under any metric: each list is read once for all queries that want it. Quick to build;
///          nprobe trades. Lists need 30 items each to train on; searches are exact until then
/// kIvfPq   reads the fewest bytes a row: for catalogues beyond the cache where memory's speed is the limit. nprobe and rescore_factor
///          trade; codes need 10 items a centroid to train on
///
/// With options.recall the search setting is measured and set by the index itself, for up to a quarter of the build's time.
enum class IndexKind : std::uint8_t {
  kExact,  ///< reads every vector
  kHnsw,   ///< a navigable graph
  kIvfPq,  ///< inverted lists of product-quantised vectors, re-scored from the vectors themselves
  kIvf     ///< inverted lists; all vectors of the lists read are scored
};

/// Settings of ItemIndex. Those of another kind are ignored.
struct ETALAGE_EXPORT ItemIndexOptions {
  int M = 16;                  ///< hnsw: links of a node on upper layers, 2 M on the lowest; in [2, 256]
  int ef_construction = 100;   ///< hnsw: candidates kept while a node is linked; >= 1
  int ef_search = 64;          ///< hnsw: candidates kept while searching, at least k are; >= 1
  int nlist = 0;               ///< ivf, ivf_pq: inverted lists; 0 grows with the number of items; >= 0
  int nprobe = 16;             ///< ivf, ivf_pq: lists read for a query, of ivf under dot so many average lists' worth of rows; >= 1
  int pq_m = 0;                ///< ivf_pq: bytes of a code, must divide dim; 0 takes about dim / 4; >= 0
  int pq_bits = 8;             ///< ivf_pq: 2^bits centroids for each byte; in [4, 8]
  double recall = 0;           ///< hnsw, ivf, ivf_pq: recall@10 that ef_search or nprobe are tuned to while items come in; 0: as they stand; in [0, 1)
  int rescore_factor = 10;     ///< ivf_pq: rescore_factor * k candidates are scored from their vectors; >= 1
  double compact_share = 0.3;  ///< compaction starts by itself above this share of dead rows; in (0, 1], 1 means never
  std::uint64_t seed = 42;     ///< layers of the graph, starting points of k-means
  int num_threads = 0;         ///< of add, update, compact; 0 means the CPUs this process may use
  bool deterministic = false;  ///< kept for files; equal input gives equal graphs without it
  void validate() const;       ///< throws std::invalid_argument: field, value, rule
  /// visit("name", field, rule) for each option that indexes of other libraries have too.
  template <class Options, class Visit>
  static void each_shared(Options& o, const Visit& visit) {
    visit_options(visit, "nprobe", o.nprobe, OptionRule(">= 1, at most 1048576"), "ef_search", o.ef_search, OptionRule(">= 1, at most 1048576"),
                  "rescore_factor", o.rescore_factor, OptionRule(">= 1, at most 65536"),
                  "compact_share", o.compact_share, OptionRule("in (0, 1]"), "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
  /// The same of all: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "M", o.M, OptionRule("in [2, 256]"), "ef_construction", o.ef_construction, OptionRule(">= 1, at most 65536"),
                  "nlist", o.nlist, OptionRule(">= 0 (0 grows with the number of items), at most 1048576"),
                  "pq_m", o.pq_m, OptionRule(">= 0 (0 takes about dim / 4), at most 1048576"), "pq_bits", o.pq_bits, OptionRule("in [4, 8]"),
                  "recall", o.recall, OptionRule("in [0, 1) (0 leaves ef_search and nprobe as they are)"), "seed", o.seed,
                  "deterministic", o.deterministic);
    each_shared(o, visit);
  }
};

/// Nearest items by their vectors, for any ids the shop has, changing while it is searched.
///
/// Scores     higher is better, float32 from the stored vectors whatever the kind; ties by lower id
/// Shapes     vectors float32 row-major [n x dim], finite; ids int64 >= 0, unique
/// Filters    min(k, allowed) results always: a selective filter is answered by reading the allowed vectors
/// Dot        in a graph, nodes are linked by the inner product of (x, sqrt(max(R^2 - |x|^2, 0))), which a query
///            (q, 0) orders as q.x does. R^2 is twice the mean squared norm: most items lie on one sphere, longer ones
///            stick out of it and draw links. As norms grow or shrink R follows, and the graph is linked anew when a
///            fifth of it was made for norms of another size
///            Lists of ivf hold rows of about one length and direction: NormTiers (norm_tiers.hpp)
/// IVF        (-PQ) searches exactly until there are enough items to train on, trains by itself then, and anew when the
///            number of items has grown fourfold
/// Eight bits every vector is also kept in a byte a dimension: graphs and lists are searched and exact scans begin there.
///            Bounds of what the bytes leave open are proven, and what these cannot exclude is scored in float32, so
///            exact answers are those of brute force
/// Cost       about 5 dim + 16 bytes an item, of ivf once trained 4 dim + 20; hnsw adds about 8 M + 12, ivf_pq pq_m + 8
/// Threads    const members may run while others add, update, remove, compact; these take turns among themselves, and
///            keep searches waiting for about a millisecond at a time. A single search opens no parallel region
/// Recall     with options.recall the search setting is chosen by 1,000 held-out queries beside exact search: stored rows drawn at
///            random, which searches for them do not see; of lists, whose rows are not known one by one, without themselves. At first from 2,000 items on, and whenever
///            half as many again have come. The mean recall@10 of these less two standard errors must reach the target and a
///            twentieth of what is missing to 1. While it is chosen, searches see the settings that are tried
/// Repeats    same bits for any number of threads
/// Errors     std::invalid_argument
/// Source     Malkov, Yashunin, TPAMI 2020 (HNSW); Manohar et al., PPoPP 2024 (linked in batches); Bachrach et al., RecSys 2014 (inner product);
///            Jegou, Douze, Schmid, TPAMI 2011 (IVF-PQ); Yan et al., NeurIPS 2018 (tiers of length)
class ETALAGE_EXPORT ItemIndex final : public VectorIndex {
 public:
  /// Dim >= 1; std::invalid_argument names the option, the value and the rule.
  ItemIndex(int dim, IndexMetric metric, IndexKind kind, ItemIndexOptions options = {});
  ~ItemIndex() override;
  ItemIndex(const ItemIndex&) = delete;
  ItemIndex& operator=(const ItemIndex&) = delete;

  /// New items; an id that is there already is std::invalid_argument, and nothing is added.
  void add(MatrixView<const float> vectors, std::span<const std::int64_t> ids);
  /// New vectors for ids that are there; an absent id is std::invalid_argument, and nothing changes. A search sees the
  /// old vector of an item or the new one, never neither.
  void update(MatrixView<const float> vectors, std::span<const std::int64_t> ids);
  /// Returns how many there were; absent ids are passed over.
  std::size_t remove(std::span<const std::int64_t> ids);
  /// Gives back what removed and replaced items occupy and links anew. Happens by itself (compact_share).
  void compact();

  [[nodiscard]] std::size_t size() const override;
  /// In order of insertion; an updated item counts as inserted anew.
  [[nodiscard]] std::vector<std::int64_t> ids() const;
  [[nodiscard]] bool contains(std::int64_t id) const;

  /// Up to out.size() items, best first; returns how many. No allocation once scratch is warm.
  std::size_t search(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter,
                     Scratch& scratch) const override;
  /// out [queries x k], counts [queries]; rows beyond counts[i] are left alone. filters: none, one for all, or one a
  /// query (null allows everything).
  void search_batch(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                    std::span<const ItemFilter* const> filters = {}, int num_threads = 0) const;
  /// How many vectors (of ivf_pq: codes) a single search for k items scores, as a mean over the queries: what it costs,
  /// whatever the machine. filters as in search_batch. 0 without queries.
  [[nodiscard]] double distances_per_query(MatrixView<const float> queries, std::size_t k,
                                           std::span<const ItemFilter* const> filters = {}) const;

  [[nodiscard]] int dim() const noexcept override;
  [[nodiscard]] bool ranks_by_dot() const noexcept override { return metric() == IndexMetric::kDot; }
  [[nodiscard]] IndexMetric metric() const noexcept;  ///< what nearness is
  /// "ItemIndex", whatever the structure.
  [[nodiscard]] std::string_view kind() const noexcept override { return "ItemIndex"; }
  [[nodiscard]] IndexKind structure() const noexcept;
  [[nodiscard]] ItemIndexOptions options() const;
  /// The two settings that trade time for recall, changeable while searching.
  void set_ef_search(int ef_search);
  void set_nprobe(int nprobe);
  /// recall@10 that the held-out queries had when the search setting was chosen last; 1 where searches are exact, NaN before.
  [[nodiscard]] double measured_recall() const;
  /// Bytes of vectors, ids and structure, with what is reserved for growth.
  [[nodiscard]] std::size_t memory_bytes() const;
  /// Rows of removed and replaced items that are still held.
  [[nodiscard]] std::size_t dead_rows() const;

  void save_state(StateWriter& writer) const override;
  /// Arrays are used where they lie; the first change copies what it changes.
  [[nodiscard]] static std::shared_ptr<ItemIndex> from_state(const StateReader& reader);

 private:
  struct Impl;
  explicit ItemIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace etalage
