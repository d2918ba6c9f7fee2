// SPDX-License-Identifier: Apache-2.0
#include "retrieval/hnsw_graph.hpp"

#if defined(ETALAGE_WITH_FAISS)
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#endif
#include <faiss/impl/AuxIndexStructures.h>
#include <faiss/impl/DistanceComputer.h>
#include <faiss/impl/HNSW.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#endif

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"

namespace etalage::retrieval {

#if defined(ETALAGE_WITH_FAISS)

bool can_build_graphs() noexcept { return true; }

namespace {

static_assert(sizeof(std::size_t) == sizeof(std::uint64_t));

/// Distances between stored rows by our dispatched kernels: FAISS's own are compiled for the oldest CPU.
class RowDistance final : public faiss::DistanceComputer {
 public:
  explicit RowDistance(const LinkSpace& space) : space_(space), kernels_(kernels::row_scores()) {}

  void set_query(const float* x) override { query_ = x; }
  void set_row(std::size_t row) {
    set_query(space_.data + row * space_.dim);
    row_ = static_cast<std::int32_t>(row);
    codes_.resize(space_.shape.width);
    coded_ = space_.records != nullptr && space_.dim >= kFewestCodedDimensions &&
             kernels::encode_query(query_, space_.shape, kernels::code().query_max, space_.metric == IndexMetric::kL2, codes_.data(), coded_query_);
  }
  float operator()(idx_t i) override {
    const auto row = static_cast<std::int32_t>(i);
    if (!coded_) return distance(query_, row_, row);
    // Where to look among many is found from eight bits; which of them to link is decided from the vectors.
    float score = 0;
    kernels::code().scores(coded_query_.estimate(), space_.shape, space_.records, &row, 0, 1, &score);
    score *= coded_query_.step;
    if (space_.metric == IndexMetric::kL2) return coded_query_.norm2 - 2 * score;
    return from_product(score, row_, row);
  }
  float symmetric_dis(idx_t i, idx_t j) override {
    return distance(space_.data + static_cast<std::size_t>(i) * space_.dim, static_cast<std::int32_t>(i),
                    static_cast<std::int32_t>(j));
  }

 private:
  [[nodiscard]] float distance(const float* x, std::int32_t i, std::int32_t j) const {
    float out = 0;
    if (space_.metric == IndexMetric::kL2) {
      kernels_.negative_l2(x, space_.data, space_.dim, &j, 0, 1, &out);
      return -out;
    }
    kernels_.dot(x, space_.data, space_.dim, &j, 0, 1, &out);
    return from_product(out, i, j);
  }
  [[nodiscard]] float from_product(float out, std::int32_t i, std::int32_t j) const {
    if (space_.metric == IndexMetric::kCosine) return 1 - out;
    // The inner product of (x, sqrt(R^2 - |x|^2)) and (y, sqrt(R^2 - |y|^2)), as large as possible.
    const float extra = std::sqrt(std::max(space_.radius2 - space_.norms2[i], 0.0f)) *
                        std::sqrt(std::max(space_.radius2 - space_.norms2[j], 0.0f));
    return -out - extra;
  }

  LinkSpace space_;
  const kernels::RowScores& kernels_;
  const float* query_ = nullptr;
  std::int32_t row_ = 0;
  std::vector<std::int8_t> codes_;
  kernels::CodedQuery coded_query_;
  bool coded_ = false;
};

/// splitmix64: as good as random, and the same everywhere.
std::uint64_t mix(std::uint64_t seed, std::uint64_t i) {
  std::uint64_t x = seed + 0x9e3779b97f4a7c15ULL * (i + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// The layers of a node, from seed and number alone: a graph that was saved and loaded goes on as if it had not been.
std::int32_t layers_of(std::size_t node, std::uint64_t seed, int M, std::size_t most) {
  const double u = (static_cast<double>(mix(~seed, node) >> 11) + 0.5) * 0x1p-53;
  const double layer = std::floor(-std::log(u) / std::log(static_cast<double>(M)));
  return 1 + static_cast<std::int32_t>(std::min(layer, static_cast<double>(most - 1)));
}

}  // namespace

struct HnswGraph::Built {
  Built(const ItemIndexOptions& options, std::size_t room) : hnsw(options.M), seed(options.seed), M(options.M), capacity(room) {
    hnsw.efConstruction = options.ef_construction;
    hnsw.levels.reserve(room);
    hnsw.offsets.reserve(room + 1);
  }
  ~Built() {
    for (omp_lock_t& lock : locks) omp_destroy_lock(&lock);
  }
  Built(const Built&) = delete;
  Built& operator=(const Built&) = delete;

  /// The links array for all `capacity` nodes at once, so that it never moves under a reader.
  void reserve_links() {
    std::size_t links = hnsw.offsets.back();
    for (std::size_t i = hnsw.levels.size(); i < capacity; ++i)
      links += static_cast<std::size_t>(hnsw.cum_nb_neighbors(layers_of(i, seed, M, hnsw.assign_probas.size())));
    hnsw.neighbors.reserve(links);
    locks.resize(capacity);
    for (omp_lock_t& lock : locks) omp_init_lock(&lock);
  }

  faiss::HNSW hnsw;
  std::vector<omp_lock_t> locks;
  std::uint64_t seed;
  int M;
  std::size_t capacity;
};

HnswGraph::HnswGraph(const ItemIndexOptions& options, std::size_t capacity)
    : built_(std::make_unique<Built>(options, capacity)), M_(static_cast<std::size_t>(options.M)) {
  built_->reserve_links();
}

std::shared_ptr<HnswGraph> HnswGraph::grown(const ItemIndexOptions& options, std::size_t capacity) const {
  const GraphView v = view();
  auto out = std::make_shared<HnswGraph>(options, 0);
  out->built_ = std::make_unique<Built>(options, std::max(capacity, v.nodes));
  faiss::HNSW& h = out->built_->hnsw;
  h.levels.assign(v.levels, v.levels + v.nodes);
  h.offsets.resize(v.nodes + 1);
  if (v.nodes != 0) std::copy_n(v.offsets, v.nodes + 1, h.offsets.begin());
  out->built_->reserve_links();
  h.neighbors.resize(h.offsets.back());
  std::copy_n(v.neighbors, h.neighbors.size(), h.neighbors.begin());
  h.entry_point = v.entry;
  h.max_level = v.top_layer;
  return out;
}

void HnswGraph::allocate(std::size_t nodes) {
  faiss::HNSW& h = built_->hnsw;
  const std::size_t before = h.levels.size();
  for (std::size_t i = before; i < nodes; ++i)
    h.levels.push_back(layers_of(i, built_->seed, built_->M, h.assign_probas.size()));
  h.prepare_level_tab(nodes - before, true);
}

GraphView HnswGraph::view() const noexcept {
  if (!built_)
    return {offsets_.data(), levels_.data(), neighbors_.data(), levels_.size(), M_, entry_, top_layer_};
  const faiss::HNSW& h = built_->hnsw;
  return {reinterpret_cast<const std::uint64_t*>(h.offsets.data()), h.levels.data(), h.neighbors.data(), h.levels.size(), M_,
          h.entry_point, h.max_level};
}

bool HnswGraph::has_room(std::size_t nodes) const noexcept { return built_ != nullptr && nodes <= built_->capacity; }

std::size_t HnswGraph::memory_bytes() const noexcept {
  if (!built_)
    return offsets_.size() * sizeof(std::uint64_t) + (levels_.size() + neighbors_.size()) * sizeof(std::int32_t);
  const faiss::HNSW& h = built_->hnsw;
  return h.offsets.capacity() * sizeof(std::size_t) + (h.levels.capacity() + h.neighbors.capacity()) * sizeof(std::int32_t) +
         built_->locks.capacity() * sizeof(omp_lock_t);
}

struct HnswGraph::Linker::Impl {
  struct Worker {
    Worker(const LinkSpace& space, std::size_t capacity) : distance(space), visited(static_cast<int>(capacity)) {}
    RowDistance distance;
    faiss::VisitedTable visited;
  };

  void link_one(std::size_t node, std::size_t thread) {
    Worker& w = *workers[thread];
    w.distance.set_row(node);
    hnsw.add_with_locks(w.distance, hnsw.levels[node] - 1, static_cast<int>(node), locks, w.visited);
  }

  faiss::HNSW& hnsw;
  std::vector<omp_lock_t>& locks;
  std::vector<std::unique_ptr<Worker>> workers;
};

HnswGraph::Linker::Linker(HnswGraph& graph, const LinkSpace& space, std::size_t capacity, int num_threads)
    : impl_(new Impl{graph.built_->hnsw, graph.built_->locks, {}}) {
  for (int t = 0; t < num_threads; ++t) impl_->workers.push_back(std::make_unique<Impl::Worker>(space, capacity));
}
HnswGraph::Linker::~Linker() = default;

std::size_t HnswGraph::Linker::batch() const noexcept { return impl_->workers.size() == 1 ? 1 : 16 * impl_->workers.size(); }

void HnswGraph::Linker::link(std::span<const std::int32_t> nodes) {
  if (impl_->workers.size() == 1) {
    for (const std::int32_t node : nodes) impl_->link_one(static_cast<std::size_t>(node), 0);
    return;
  }
  // A node that becomes the new entry point changes what the others start from: those go first, alone.
  std::vector<std::int32_t> rest;
  for (const std::int32_t node : nodes) {
    if (impl_->hnsw.levels[static_cast<std::size_t>(node)] - 1 > impl_->hnsw.max_level)
      impl_->link_one(static_cast<std::size_t>(node), 0);
    else
      rest.push_back(node);
  }
  detail::parallel_for(rest.size(), 1, static_cast<int>(impl_->workers.size()), [&](std::size_t b, std::size_t e, int thread) {
    for (std::size_t i = b; i < e; ++i) impl_->link_one(static_cast<std::size_t>(rest[i]), static_cast<std::size_t>(thread));
  });
}

std::shared_ptr<HnswGraph> HnswGraph::build(const ItemIndexOptions& options, const LinkSpace& space, std::size_t rows,
                                            std::size_t capacity, int num_threads) {
  auto graph = std::make_shared<HnswGraph>(options, capacity);
  graph->allocate(rows);
  std::vector<std::int32_t> order(rows);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    const std::uint64_t x = mix(options.seed, static_cast<std::uint64_t>(a));
    const std::uint64_t y = mix(options.seed, static_cast<std::uint64_t>(b));
    return x != y ? x < y : a < b;
  });
  Linker linker(*graph, space, rows, num_threads);
  for (std::size_t begin = 0; begin < rows; begin += linker.batch())
    linker.link(std::span(order).subspan(begin, std::min(linker.batch(), rows - begin)));
  return graph;
}

#else

bool can_build_graphs() noexcept { return false; }

namespace {
[[noreturn]] void no_faiss() {
  throw UnsupportedError("kind is hnsw, but this build has no FAISS to build graphs with; configure with "
                         "-DETALAGE_WITH_FAISS=ON (Debian: libfaiss-dev), or use kind exact or ivf_pq");
}
}  // namespace

struct HnswGraph::Built {};
struct HnswGraph::Linker::Impl {};
HnswGraph::HnswGraph(const ItemIndexOptions&, std::size_t) : M_(0) { no_faiss(); }
std::shared_ptr<HnswGraph> HnswGraph::grown(const ItemIndexOptions&, std::size_t) const { no_faiss(); }
void HnswGraph::allocate(std::size_t) { no_faiss(); }
GraphView HnswGraph::view() const noexcept {
  return {offsets_.data(), levels_.data(), neighbors_.data(), levels_.size(), M_, entry_, top_layer_};
}
bool HnswGraph::has_room(std::size_t) const noexcept { return false; }
std::size_t HnswGraph::memory_bytes() const noexcept {
  return offsets_.size() * sizeof(std::uint64_t) + (levels_.size() + neighbors_.size()) * sizeof(std::int32_t);
}
HnswGraph::Linker::Linker(HnswGraph&, const LinkSpace&, std::size_t, int) { no_faiss(); }
HnswGraph::Linker::~Linker() = default;
void HnswGraph::Linker::link(std::span<const std::int32_t>) {}
std::shared_ptr<HnswGraph> HnswGraph::build(const ItemIndexOptions&, const LinkSpace&, std::size_t, std::size_t, int) { no_faiss(); }
std::size_t HnswGraph::Linker::batch() const noexcept { return 1; }

#endif

HnswGraph::~HnswGraph() = default;

void HnswGraph::save(StateWriter& writer) const {
  const GraphView v = view();
  writer.put_int("graph/entry", v.entry);
  writer.put_int("graph/top_layer", v.top_layer);
  // Copies: links change in place while the file is being written.
  writer.put_array("graph/offsets", Array<std::uint64_t>(std::span(v.offsets, v.nodes == 0 ? 0 : v.nodes + 1)));
  writer.put_array("graph/levels", Array<std::int32_t>(std::span(v.levels, v.nodes)));
  writer.put_array("graph/neighbors", Array<std::int32_t>(std::span(v.neighbors, v.nodes == 0 ? 0 : v.offsets[v.nodes])));
}

HnswGraph::HnswGraph(const StateReader& reader, int M, std::size_t nodes) : M_(static_cast<std::size_t>(M)) {
  const auto n = static_cast<std::int64_t>(nodes);
  offsets_ = reader.get_array<std::uint64_t>("graph/offsets", nodes == 0 ? 0 : nodes + 1);
  levels_ = reader.get_array<std::int32_t>("graph/levels", nodes);
  neighbors_ = reader.get_array<std::int32_t>("graph/neighbors", nodes == 0 ? 0 : offsets_.back());
  entry_ = static_cast<std::int32_t>(reader.get_int("graph/entry", nodes == 0 ? -1 : 0, n - 1));
  top_layer_ = static_cast<std::int32_t>(reader.get_int("graph/top_layer", -1, 64));
  if (nodes == 0) return;
  if (offsets_[0] != 0) reader.fail("graph/offsets", "found a first offset that is not 0");
  if (levels_[static_cast<std::size_t>(entry_)] != top_layer_ + 1)
    reader.fail("graph/top_layer", "found " + std::to_string(top_layer_) + ", which is not the entry's top layer");
  if (!reader.verify()) return;
  for (std::size_t i = 0; i < nodes; ++i) {
    if (levels_[i] < 1 || levels_[i] > top_layer_ + 1)
      reader.fail("graph/levels", "found " + std::to_string(levels_[i]) + " at " + std::to_string(i) + ", expected a value in [1, " +
                                      std::to_string(top_layer_ + 1) + "]");
    if (offsets_[i + 1] - offsets_[i] != M_ * static_cast<std::size_t>(levels_[i] + 1))
      reader.fail("graph/offsets", "found a node of another size than its layers have, at " + std::to_string(i));
    for (std::int32_t layer = 0; layer < levels_[i]; ++layer) {
      const std::int32_t* links = view().links(static_cast<std::int32_t>(i), layer);
      for (std::size_t j = 0, most = view().max_links(layer); j < most && links[j] >= 0; ++j)
        if (links[j] >= n || levels_[static_cast<std::size_t>(links[j])] <= layer)
          reader.fail("graph/neighbors", "found link " + std::to_string(links[j]) + " at node " + std::to_string(i) +
                                             ", which is no node of that layer");
    }
  }
}

}  // namespace etalage::retrieval
