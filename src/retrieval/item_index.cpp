// SPDX-License-Identifier: Apache-2.0
#include "etalage/retrieval/item_index.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "retrieval/graph/graph_linker.hpp"
#include "retrieval/item_index_impl.hpp"

namespace etalage {

using retrieval::AccessGate;
using retrieval::HnswGraph;
using retrieval::IvfPq;
using retrieval::LinkSpace;
using retrieval::ItemStore;

namespace {

constexpr std::size_t kMaxRows = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kFewRows = 64;       // not worth tidying
constexpr std::size_t kPublishChunk = 1024;
constexpr std::size_t kLinkChunk = 32;     // linked in less than kSection
constexpr auto kSection = std::chrono::milliseconds(1);

/// Room for more: amortised, exact for a first bulk load.
std::size_t next_capacity(std::size_t capacity, std::size_t needed) {
  return capacity == 0 ? needed : std::max(needed, capacity + capacity / 2);
}

}  // namespace

void ItemIndexOptions::validate() const { require_options(*this); }

ItemIndex::Impl::Impl(int dimension, IndexMetric m, IndexKind k, ItemIndexOptions o)
    : dim(dimension), metric(m), kind(k), options(o), ef_search(o.ef_search), nprobe(o.nprobe) {
  detail::require(dim >= 1, "dim", dim, ">= 1");
  detail::require_at_most("dim", dim, detail::kMostWalked);
  options.validate();
  if (kind == IndexKind::kIvfPq && options.pq_m > 0)
    detail::require(dim % options.pq_m == 0, "pq_m", options.pq_m, ("a divisor of dim (" + std::to_string(dim) + ")").c_str());
  const auto width = static_cast<std::size_t>(dim);
  store = ItemStore(kind == IndexKind::kIvf ? kernels::CodeShape::dense(width) : kernels::CodeShape(width), 0, needs_norms2());
  join();
}

ItemIndex::Impl::~Impl() { leave(); }

void ItemIndex::Impl::before_fork() noexcept {
  writer_was_free = writer.try_lock();
  gate.enter_for_fork();
}

void ItemIndex::Impl::after_fork_in_parent() noexcept {
  gate.leave_in_parent();
  if (writer_was_free) writer.unlock();
}

void ItemIndex::Impl::after_fork_in_child() noexcept {
  gate.reset_in_child();
  if (!writer_was_free) interrupted = true;
  new (&writer) std::mutex;
}

std::unique_lock<std::mutex> ItemIndex::Impl::mutation() const {
  std::unique_lock lock(writer);
  if (interrupted)
    throw std::runtime_error("this process was forked while another thread of its parent changed the index: it can be searched here, "
                             "not changed or saved; make the child's own by loading it, or fork while nothing changes it");
  return lock;
}

ItemIndex::ItemIndex(int dim, IndexMetric metric, IndexKind kind, ItemIndexOptions options)
    : impl_(std::make_unique<Impl>(dim, metric, kind, options)) {
  if (kind == IndexKind::kHnsw) impl_->graph = std::make_shared<HnswGraph>(impl_->options, 0);
}
ItemIndex::ItemIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ItemIndex::~ItemIndex() = default;

void ItemIndex::Impl::check_rows(MatrixView<const float> vectors, std::span<const std::int64_t> ids, bool present) const {
  if (vectors.rows() != ids.size())
    throw std::invalid_argument("vectors has " + std::to_string(vectors.rows()) + " rows, must have one for each of the " +
                                std::to_string(ids.size()) + " ids");
  if (ids.empty()) return;
  if (vectors.cols() != static_cast<std::size_t>(dim))
    throw std::invalid_argument("vectors has " + std::to_string(vectors.cols()) + " columns, must have dim = " + std::to_string(dim));
  if (ids.size() > kMaxRows - store.rows)
    throw std::invalid_argument("ids has " + std::to_string(ids.size()) + " entries, an index holds at most " + std::to_string(kMaxRows) + " rows");
  // One block of memory, which goes back to the system: of a set of so many ids, pieces stay.
  std::vector<std::int64_t> sorted;
  if (std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) != ids.end()) sorted.assign(ids.begin(), ids.end());
  std::sort(sorted.begin(), sorted.end());
  const bool repeated = std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end();
  std::unordered_set<std::int64_t> seen;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto refuse = [&](const char* rule) {
      throw std::invalid_argument("ids[" + std::to_string(i) + "] is " + std::to_string(ids[i]) + ", " + rule);
    };
    if (ids[i] < 0) refuse("must be >= 0");
    if (repeated && !seen.insert(ids[i]).second) refuse("must not occur twice in one call");
    if ((store.find(ids[i]) >= 0) != present)
      refuse(present ? "must be in the index (add is for new items)" : "must not be in the index yet (update replaces)");
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    float norm2 = 0;
    for (const float x : vectors.row(i)) {
      if (!std::isfinite(x))
        throw std::invalid_argument("vectors[" + std::to_string(i) + "] holds " + std::to_string(x) + ", must be finite");
      norm2 += x * x;
    }
    if (!(norm2 < std::numeric_limits<float>::max() / 4))
      throw std::invalid_argument("vectors[" + std::to_string(i) + "] has a squared norm of " + std::to_string(norm2) +
                                  ", must be below 8e37");
  }
}

LinkSpace ItemIndex::Impl::link_space(const ItemStore& s) const {
  return {metric, s.vectors.data(), s.norms2.data(), s.dim, s.uncoded == 0 ? s.codes.data() : nullptr, s.shape,
          static_cast<float>(linked_radii.back().radius2)};
}

int ItemIndex::Impl::link_threads() const { return detail::resolve_threads(options.num_threads); }

void ItemIndex::Impl::note_norms(std::size_t rows) {
  // R^2 is twice the mean squared norm: most items lie on the sphere, where links lead both ways, and the long ones
  // stick out of it and draw links, as a search for large products needs. It moves only when the norms do.
  const double radius2 = rows == 0 ? 0 : 2 * norm2_sum / static_cast<double>(rows);
  if (linked_radii.empty() || radius2 > 2 * linked_radii.back().radius2 || radius2 < linked_radii.back().radius2 / 2) linked_radii.push_back({radius2, 0});
}

void ItemIndex::Impl::insert(MatrixView<const float> vectors, std::span<const std::int64_t> ids) {
  if (ids.empty()) return;
  const std::size_t target = store.rows + ids.size();
  const bool room = store.writable() && target <= store.capacity();
  if (!room || !store.takes(ids)) {
    ItemStore next = room ? store : store.with_capacity(next_capacity(store.capacity(), target));
    if (!next.takes(ids)) next.keep_ids();
    const AccessGate::Exclusive section(gate);
    std::swap(store, next);
  }
  // Behind what readers see.
  std::vector<float> unit(static_cast<std::size_t>(dim));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const float* x = vectors.row(i).data();
    if (metric == IndexMetric::kCosine) {
      retrieval::normalize(x, unit.size(), unit.data());
      x = unit.data();
    }
    store.write(store.rows + i, x, ids[i]);
    norm2_sum += static_cast<double>(store.norm2_of(x));
  }
  switch (kind) {
    case IndexKind::kExact: publish_plain(target); break;
    case IndexKind::kHnsw:
      note_norms(target);
      link_and_publish(target);
      break;
    case IndexKind::kIvf:
    case IndexKind::kIvfPq: encode_and_publish(vectors); break;
  }
  tidy();
}

void ItemIndex::Impl::publish_plain(std::size_t target) {
  while (store.rows < target) {
    const AccessGate::Exclusive section(gate);
    ++generation;
    for (const std::size_t end = std::min(target, store.rows + kPublishChunk); store.rows < end;) store.publish();
  }
}

void ItemIndex::Impl::link_and_publish(std::size_t target) {
  if (target - store.rows >= store.rows) {
    // A bulk load: the whole graph is made aside. Rows that it knows and that are not published yet are not alive.
    linked_radii.assign(1, {linked_radii.back().radius2, static_cast<std::int64_t>(target)});
    auto whole = HnswGraph::build(options, link_space(store), target, link_threads());
    {
      const AccessGate::Exclusive section(gate);
      std::swap(graph, whole);
    }
    return publish_plain(target);
  }
  if (!graph->has_room(target)) {
    auto bigger = graph->grown(options, store.capacity());
    const AccessGate::Exclusive section(gate);
    std::swap(graph, bigger);
  }
  retrieval::GraphLinker linker(*graph, link_space(store), options.ef_construction, link_threads());
  std::vector<std::int32_t> batch;
  while (store.rows < target) {
    const AccessGate::Exclusive section(gate);
    ++generation;
    const auto start = std::chrono::steady_clock::now();
    // In batches whose borders depend on nothing but the numbers, until a millisecond is over and someone waits.
    do {
      const std::size_t end = std::min(target, store.rows + std::min(kLinkChunk, retrieval::GraphLinker::batch(store.rows)));
      graph->allocate(end);
      batch.resize(end - store.rows);
      std::iota(batch.begin(), batch.end(), static_cast<std::int32_t>(store.rows));
      linker.link(batch);
      linked_radii.back().rows += static_cast<std::int64_t>(end - store.rows);
      while (store.rows < end) store.publish();
    } while (store.rows < target && !(gate.contended() && std::chrono::steady_clock::now() - start > kSection));
  }
}

void ItemIndex::Impl::encode_and_publish(MatrixView<const float> vectors) {
  const std::size_t first = store.rows;
  const std::size_t target = first + vectors.rows();
  if (!lists) return publish_plain(target);
  const auto rows_at = [&](std::size_t begin, std::size_t end, std::vector<float>& memory) -> const float* {
    if (!store.split) return store.vector(first + begin);
    memory.resize((end - begin) * store.dim);
    for (std::size_t i = begin; i < end; ++i) {
      float* to = &memory[(i - begin) * store.dim];
      if (metric == IndexMetric::kCosine) retrieval::normalize(vectors.row(i).data(), store.dim, to);
      else std::copy_n(vectors.row(i).data(), store.dim, to);
    }
    return memory.data();
  };
  const IvfPq::Encoded encoded =
      lists->encode(target - first, rows_at, store.norms2.empty() ? nullptr : store.norms2.data() + first, options.num_threads);
  while (store.rows < target) {
    const AccessGate::Exclusive section(gate);
    ++generation;
    for (const std::size_t end = std::min(target, store.rows + kPublishChunk); store.rows < end;) {
      lists->append(encoded, store.rows - first, static_cast<std::int32_t>(store.rows));
      store.publish();
    }
  }
}

std::vector<std::int32_t> ItemIndex::Impl::in_order() const {
  std::vector<std::int32_t> rows;
  rows.reserve(store.live);
  const std::span<const std::int32_t> order = lists ? lists->order() : std::span<const std::int32_t>();
  std::vector<std::int32_t> sorted(lists ? lists->sorted_rows() : 0);
  for (std::size_t r = 0; r < sorted.size(); ++r)
    sorted[static_cast<std::size_t>(order.empty() ? store.id(r) : std::int64_t{order[r]})] = static_cast<std::int32_t>(r);
  for (std::size_t i = 0; i < store.rows; ++i) {
    const std::int32_t row = i < sorted.size() ? sorted[i] : static_cast<std::int32_t>(i);
    if (store.is_alive(static_cast<std::size_t>(row))) rows.push_back(row);
  }
  return rows;
}

std::shared_ptr<IvfPq> ItemIndex::Impl::train_lists(ItemStore& fresh) const {
  if (kind == IndexKind::kIvfPq) return IvfPq::train(fresh, metric, options, true, options.num_threads);
  std::vector<std::int32_t> sorted;
  auto trained = IvfPq::train(fresh, metric, options, false, options.num_threads, &sorted);
  if (!trained) return trained;
  fresh = fresh.gathered(sorted, link_threads(), splits_rows());
  forget_order_that_ids_say(fresh, *trained);
  return trained;
}

void ItemIndex::Impl::forget_order_that_ids_say(const ItemStore& rows, IvfPq& of) {
  const std::span<const std::int32_t> order = of.order();
  bool said = !order.empty();
  for (std::size_t r = 0; r < order.size() && said; ++r) said = rows.id(r) == std::int64_t{order[r]};
  if (said) of.order_by_ids();
}

void ItemIndex::Impl::rebuild() {
  // Where rows are sorted for new lists anyway, one copy is enough.
  const bool in_place = kind == IndexKind::kIvf && !lists && store.dead() == 0 && IvfPq::trainable(store.live, options, false);
  ItemStore fresh = in_place ? store : store.gathered(in_order(), link_threads());
  std::shared_ptr<HnswGraph> new_graph;
  std::shared_ptr<IvfPq> new_lists;
  if (kind == IndexKind::kHnsw) {
    norm2_sum = 0;
    for (std::size_t r = 0; r < fresh.rows; ++r) norm2_sum += static_cast<double>(fresh.norm2(r));
    linked_radii.clear();
    note_norms(fresh.rows);
    linked_radii.back().rows = static_cast<std::int64_t>(fresh.rows);
    new_graph = HnswGraph::build(options, link_space(fresh), fresh.rows, link_threads());
  } else if (has_lists()) {
    new_lists = train_lists(fresh);
  }
  const AccessGate::Exclusive section(gate);
  ++generation;
  std::swap(store, fresh);
  std::swap(graph, new_graph);
  std::swap(lists, new_lists);
}

void ItemIndex::Impl::tidy() {
  const bool wasteful = options.compact_share < 1 && store.dead() > kFewRows &&
                        static_cast<double>(store.dead()) > options.compact_share * static_cast<double>(store.rows);
  bool outgrown = false;
  if (kind == IndexKind::kHnsw && metric == IndexMetric::kDot && store.rows > kFewRows) {
    // Links that were made for norms of another size.
    std::int64_t stale = 0;
    for (const LinkedRadius& linked : linked_radii)
      if (linked.radius2 < linked_radii.back().radius2 / 3 || linked.radius2 > linked_radii.back().radius2 * 3) stale += linked.rows;
    outgrown = static_cast<double>(stale) > 0.2 * static_cast<double>(store.rows);
  }
  if (has_lists()) outgrown = !lists || store.live > 4 * lists->trained_on();
  if (wasteful || store.too_odd()) return rebuild();
  if (!outgrown) return;
  if (!has_lists()) return rebuild();
  if (!IvfPq::trainable(store.live, options, kind == IndexKind::kIvfPq)) return;
  if (kind == IndexKind::kIvf) return rebuild();  // rows move
  auto trained = train_lists(store);
  const AccessGate::Exclusive section(gate);
  ++generation;
  std::swap(lists, trained);
}

void ItemIndex::add(MatrixView<const float> vectors, std::span<const std::int64_t> ids) {
  const auto lock = impl_->mutation();
  impl_->check_rows(vectors, ids, false);
  impl_->insert_tuned(vectors, ids);
}

void ItemIndex::update(MatrixView<const float> vectors, std::span<const std::int64_t> ids) {
  const auto lock = impl_->mutation();
  impl_->check_rows(vectors, ids, true);
  impl_->insert_tuned(vectors, ids);
}

std::size_t ItemIndex::remove(std::span<const std::int64_t> ids) {
  const auto lock = impl_->mutation();
  for (std::size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0) throw std::invalid_argument("ids[" + std::to_string(i) + "] is " + std::to_string(ids[i]) + ", must be >= 0");
  const std::size_t before = impl_->store.live;
  if (!impl_->store.flags_owned()) {
    ItemStore own = impl_->store;
    own.own_flags();
    const AccessGate::Exclusive section(impl_->gate);
    std::swap(impl_->store, own);
  }
  for (std::size_t begin = 0; begin < ids.size(); begin += kPublishChunk) {
    const AccessGate::Exclusive section(impl_->gate);
    ++impl_->generation;
    for (const std::int64_t id : ids.subspan(begin, std::min(kPublishChunk, ids.size() - begin)))
      if (impl_->store.find(id) >= 0) impl_->store.kill(id);
  }
  const std::size_t removed = before - impl_->store.live;
  impl_->tidy();
  return removed;
}

void ItemIndex::compact() {
  const auto lock = impl_->mutation();
  impl_->rebuild();
}

std::size_t ItemIndex::size() const {
  const AccessGate::Shared section(impl_->gate);
  return impl_->store.live;
}

std::vector<std::int64_t> ItemIndex::ids() const {
  const AccessGate::Shared section(impl_->gate);
  std::vector<std::int64_t> out;
  for (const std::int32_t row : impl_->in_order()) out.push_back(impl_->store.id(static_cast<std::size_t>(row)));
  return out;
}

bool ItemIndex::contains(std::int64_t id) const {
  const AccessGate::Shared section(impl_->gate);
  return id >= 0 && impl_->store.find(id) >= 0;
}

int ItemIndex::dim() const noexcept { return impl_->dim; }
IndexMetric ItemIndex::metric() const noexcept { return impl_->metric; }
IndexKind ItemIndex::structure() const noexcept { return impl_->kind; }

ItemIndexOptions ItemIndex::options() const {
  ItemIndexOptions o = impl_->options;
  o.ef_search = impl_->ef_search.load(std::memory_order_relaxed);
  o.nprobe = impl_->nprobe.load(std::memory_order_relaxed);
  return o;
}

void ItemIndex::set_ef_search(int ef_search) {
  detail::require(ef_search >= 1, "ef_search", ef_search, ">= 1");
  detail::require_at_most("ef_search", ef_search, detail::kMostWalked);
  impl_->ef_search.store(ef_search, std::memory_order_relaxed);
}

void ItemIndex::set_nprobe(int nprobe) {
  detail::require(nprobe >= 1, "nprobe", nprobe, ">= 1");
  detail::require_at_most("nprobe", nprobe, detail::kMostWalked);
  impl_->nprobe.store(nprobe, std::memory_order_relaxed);
}

double ItemIndex::measured_recall() const {
  return impl_->kind == IndexKind::kExact ? 1.0 : impl_->measured_recall.load(std::memory_order_relaxed);
}

std::size_t ItemIndex::memory_bytes() const {
  const auto lock = impl_->mutation();
  return impl_->store.memory_bytes() + (impl_->graph ? impl_->graph->memory_bytes() : 0) +
         (impl_->lists ? impl_->lists->memory_bytes() : 0);
}

std::size_t ItemIndex::dead_rows() const {
  const AccessGate::Shared section(impl_->gate);
  return impl_->store.dead();
}

}  // namespace etalage
