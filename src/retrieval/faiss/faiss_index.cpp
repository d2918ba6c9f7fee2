// SPDX-License-Identifier: Apache-2.0
#include "etalage/retrieval/faiss_index.hpp"

#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/option_check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/retrieval/index_rows.hpp"
#include "retrieval/faiss/faiss_index_impl.hpp"
#include "retrieval/scorer.hpp"

namespace etalage {

using retrieval::FaissStructure;

namespace {

constexpr std::size_t kFewRows = 64;  // not worth building anew

ItemIndexOptions exact_options(const FaissIndexOptions& o) {
  ItemIndexOptions out;
  out.compact_share = o.compact_share;
  out.num_threads = o.num_threads;
  return out;
}

}  // namespace

void FaissIndexOptions::validate() const { require_options(*this); }

FaissIndex::Impl::Impl(int dim, IndexMetric metric, FaissIndexOptions o) : options(o) {
  options.validate();
  exact = std::make_shared<ItemIndex>(dim, metric, IndexKind::kExact, exact_options(options));
}

std::shared_lock<std::shared_mutex> FaissIndex::Impl::reading() const {
  { const std::lock_guard turn(turnstile); }
  return std::shared_lock(gate);
}

FaissIndex::FaissIndex(int dim, IndexMetric metric, std::string factory, FaissIndexOptions options)
    : impl_(std::make_unique<Impl>(dim, metric, options)) {
  impl_->structure = std::make_unique<FaissStructure>(dim, metric, factory);
  impl_->factory = std::move(factory);
  if (impl_->structure->dim() != dim)
    throw std::invalid_argument("factory is '" + impl_->factory + "', must make an index of dim = " + std::to_string(dim));
}
FaissIndex::FaissIndex(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FaissIndex::~FaissIndex() = default;

std::shared_ptr<FaissIndex> FaissIndex::from_faiss_bytes(std::span<const std::uint8_t> bytes, MatrixView<const float> vectors,
                                                         std::span<const std::int64_t> ids, IndexMetric metric, FaissIndexOptions options) {
  auto structure = std::make_unique<FaissStructure>(bytes);
  if (!structure->measures(metric)) throw std::invalid_argument("bytes are of an index of another metric than the given one");
  if (structure->rows() != ids.size())
    throw std::invalid_argument("ids has " + std::to_string(ids.size()) + " entries, must have one for each of the " +
                                std::to_string(structure->rows()) + " rows of the bytes");
  auto impl = std::make_unique<Impl>(structure->dim(), metric, options);
  impl->factory = structure->type();
  impl->from_bytes = true;
  impl->exact->add(vectors, ids);
  const std::lock_guard lock(impl->writer);
  if (structure->trained()) impl->start(std::move(structure), ids);
  else impl->structure = std::move(structure);
  return std::shared_ptr<FaissIndex>(new FaissIndex(std::move(impl)));
}

std::vector<std::uint8_t> FaissIndex::to_faiss_bytes() const {
  {
    const std::lock_guard lock(impl_->writer);
    if (impl_->built && impl_->dead == 0) return impl_->structure->bytes_with_ids(impl_->ids);
    if (!impl_->built && size() > 0)
      throw std::runtime_error("the index is not trained, it has " + std::to_string(size()) + " items of the " +
                               std::to_string(impl_->structure->min_training_rows()) + " that it waits for: train() it first");
  }
  // Without the dead rows, beside the index as it is.
  Impl copy(dim(), metric(), impl_->options);
  copy.factory = impl_->factory;
  {
    const std::lock_guard lock(impl_->writer);
    copy.from_bytes = true;
    copy.structure = impl_->structure->emptied();
    const IndexRows rows = rows_of(*impl_->exact);
    copy.exact->add({rows.vectors.data(), rows.ids.size(), static_cast<std::size_t>(dim())}, rows.ids);
  }
  copy.build();
  return copy.structure->bytes_with_ids(copy.ids);
}

void FaissIndex::Impl::start(std::unique_ptr<FaissStructure> fresh, std::span<const std::int64_t> fresh_ids) {
  fresh->set_nprobe(options.nprobe);
  fresh->set_ef_search(options.ef_search);
  fresh->probe_selector();
  std::vector<std::int64_t> new_ids(fresh_ids.begin(), fresh_ids.end());
  std::vector<std::uint8_t> new_alive(new_ids.size(), 1);
  std::unordered_map<std::int64_t, std::size_t> rows;
  rows.reserve(new_ids.size());
  for (std::size_t r = 0; r < new_ids.size(); ++r) rows.emplace(new_ids[r], r);
  const Changing section(*this);
  keeps_vectors = fresh->keeps_vectors();
  std::swap(structure, fresh);
  std::swap(ids, new_ids);
  std::swap(alive, new_alive);
  std::swap(row_of, rows);
  dead = 0;
  built = true;
}

void FaissIndex::Impl::build() {
  const IndexRows rows = rows_of(*exact);
  const int threads = detail::resolve_threads(options.num_threads);
  auto fresh = from_bytes ? structure->emptied() : std::make_unique<FaissStructure>(exact->dim(), exact->metric(), factory);
  if (!fresh->trained()) fresh->train(rows.vectors.data(), rows.ids.size(), threads);
  if (!rows.ids.empty()) fresh->add(rows.vectors.data(), rows.ids.size(), threads);
  start(std::move(fresh), rows.ids);
}

void FaissIndex::Impl::build_when_ready() {
  if (exact->size() > 0 && exact->size() >= structure->min_training_rows()) build();
}

void FaissIndex::Impl::require_growth(const char* what) const {
  if (built && !structure->grows())
    throw std::invalid_argument(std::string(what) + " is refused: factory '" + factory + "' makes a " + structure->type() +
                                ", which takes no items once it is built; make a new index of all items");
}

void FaissIndex::Impl::append(MatrixView<const float> vectors, std::span<const std::int64_t> added) {
  std::vector<float> block;
  const float* rows = vectors.data();
  if (exact->metric() == IndexMetric::kCosine) {
    block.resize(vectors.rows() * vectors.cols());
    for (std::size_t i = 0; i < vectors.rows(); ++i)
      retrieval::normalize(vectors.row(i).data(), vectors.cols(), block.data() + i * vectors.cols());
    rows = block.data();
  }
  const Changing section(*this);
  try {
    structure->add(rows, added.size(), detail::resolve_threads(options.num_threads));
  } catch (...) {
    built = false;  // it may hold half of them: exact from here on, until it is built anew
    throw;
  }
  for (const std::int64_t id : added) {
    forget(id);
    row_of[id] = ids.size();
    ids.push_back(id);
    alive.push_back(1);
  }
}

void FaissIndex::Impl::forget(std::int64_t id) {
  const auto found = row_of.find(id);
  if (found == row_of.end()) return;
  alive[found->second] = 0;
  ++dead;
  row_of.erase(found);
}

void FaissIndex::Impl::tidy() {
  if (built && options.compact_share < 1 && dead > kFewRows && static_cast<double>(dead) > options.compact_share * static_cast<double>(ids.size()) &&
      exact->size() >= (from_bytes ? 1 : FaissStructure(exact->dim(), exact->metric(), factory).min_training_rows()))
    build();
}

void FaissIndex::add(MatrixView<const float> vectors, std::span<const std::int64_t> ids) {
  const std::lock_guard lock(impl_->writer);
  if (!ids.empty()) impl_->require_growth("add");
  impl_->exact->add(vectors, ids);
  if (ids.empty()) return;
  if (impl_->built) impl_->append(vectors, ids);
  else impl_->build_when_ready();
}

void FaissIndex::update(MatrixView<const float> vectors, std::span<const std::int64_t> ids) {
  const std::lock_guard lock(impl_->writer);
  if (!ids.empty()) impl_->require_growth("update");
  impl_->exact->update(vectors, ids);
  if (ids.empty() || !impl_->built) return;
  impl_->append(vectors, ids);
  impl_->tidy();
}

std::size_t FaissIndex::remove(std::span<const std::int64_t> ids) {
  const std::lock_guard lock(impl_->writer);
  std::size_t removed = 0;
  {
    const Impl::Changing section(*impl_);
    removed = impl_->exact->remove(ids);
    if (impl_->built)
      for (const std::int64_t id : ids) impl_->forget(id);
  }
  impl_->tidy();
  return removed;
}

void FaissIndex::compact() {
  const std::lock_guard lock(impl_->writer);
  impl_->exact->compact();
  if (impl_->built) impl_->build();
}

void FaissIndex::train() {
  const std::lock_guard lock(impl_->writer);
  if (!impl_->built && impl_->exact->size() > 0) impl_->build();
}

bool FaissIndex::built() const {
  const auto section = impl_->reading();
  return impl_->built;
}

std::size_t FaissIndex::min_training_rows() const {
  const std::lock_guard lock(impl_->writer);
  return impl_->from_bytes ? impl_->structure->min_training_rows() : FaissStructure(dim(), metric(), impl_->factory).min_training_rows();
}

std::size_t FaissIndex::size() const { return impl_->exact->size(); }
std::vector<std::int64_t> FaissIndex::ids() const { return impl_->exact->ids(); }
bool FaissIndex::contains(std::int64_t id) const { return impl_->exact->contains(id); }
IndexRows FaissIndex::rows() const { return rows_of(*impl_->exact); }
int FaissIndex::dim() const noexcept { return impl_->exact->dim(); }
IndexMetric FaissIndex::metric() const noexcept { return impl_->exact->metric(); }
const std::string& FaissIndex::factory() const noexcept { return impl_->factory; }

FaissIndexOptions FaissIndex::options() const {
  const auto section = impl_->reading();
  return impl_->options;
}

void FaissIndex::set_ef_search(int ef_search) {
  FaissIndexOptions o;
  o.ef_search = ef_search;
  o.validate();
  const std::lock_guard lock(impl_->writer);
  const Impl::Changing section(*impl_);
  impl_->options.ef_search = ef_search;
  impl_->structure->set_ef_search(ef_search);
}

void FaissIndex::set_nprobe(int nprobe) {
  FaissIndexOptions o;
  o.nprobe = nprobe;
  o.validate();
  const std::lock_guard lock(impl_->writer);
  const Impl::Changing section(*impl_);
  impl_->options.nprobe = nprobe;
  impl_->structure->set_nprobe(nprobe);
}

std::size_t FaissIndex::memory_bytes() const {
  const std::lock_guard lock(impl_->writer);
  constexpr std::size_t kRowBytes = sizeof(std::int64_t) + 1 + sizeof(std::pair<std::int64_t, std::size_t>) + 2 * sizeof(void*);
  return impl_->exact->memory_bytes() + impl_->structure->memory_bytes() + impl_->ids.size() * kRowBytes;
}

std::size_t FaissIndex::dead_rows() const {
  const auto section = impl_->reading();
  return impl_->built ? impl_->dead : impl_->exact->dead_rows();
}

}  // namespace etalage
