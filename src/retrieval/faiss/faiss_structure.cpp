// SPDX-License-Identifier: Apache-2.0
#include "retrieval/faiss/faiss_structure.hpp"

#include <cxxabi.h>
#include <faiss/Index.h>
#include <faiss/IndexAdditiveQuantizer.h>
#include <faiss/IndexFastScan.h>
#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/IndexIDMap.h>
#include <faiss/IndexIVF.h>
#include <faiss/IndexIVFFastScan.h>
#include <faiss/IndexIVFFlat.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexIVFPQFastScan.h>
#include <faiss/IndexNNDescent.h>
#include <faiss/IndexNSG.h>
#include <faiss/IndexPQ.h>
#include <faiss/IndexPQFastScan.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/IndexRefine.h>
#include <faiss/VectorTransform.h>
#include <faiss/impl/FaissException.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/impl/io.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <typeinfo>
#include <utility>

namespace etalage::retrieval {
namespace {

using idx_t = std::int64_t;  // where it is declared differs between versions

constexpr std::size_t kRowsPerCentroid = 39;  // below it FAISS prints a warning

/// FAISS makes its threads by OpenMP; how many is the calling thread's own setting, given back afterwards.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ThreadLimit() { omp_set_num_threads(before_); }
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

std::string version() {
  return "FAISS " + std::to_string(FAISS_VERSION_MAJOR) + "." + std::to_string(FAISS_VERSION_MINOR) + "." + std::to_string(FAISS_VERSION_PATCH);
}

/// What FAISS says, without where in its sources.
std::string words(const std::exception& e) {
  const std::string text = e.what();
  const std::size_t error = text.rfind("Error: ");
  return error == std::string::npos ? text : text.substr(error + 7);
}

/// run(), a failure of FAISS as std::runtime_error.
template <class Run>
void guarded(const char* what, const Run& run) {
  try {
    run();
  } catch (const faiss::FaissException& e) {
    throw std::runtime_error(version() + " failed to " + what + ": " + words(e));
  }
}

/// Reads memory that is not ours.
class SpanReader final : public faiss::IOReader {
 public:
  explicit SpanReader(std::span<const std::uint8_t> bytes) : left_(bytes) {}
  std::size_t operator()(void* to, std::size_t size, std::size_t count) override {
    if (size == 0) return 0;
    const std::size_t n = std::min(count, left_.size() / size);
    if (n > 0) std::memcpy(to, left_.data(), n * size);
    left_ = left_.subspan(n * size);
    return n;
  }

 private:
  std::span<const std::uint8_t> left_;
};

class CountingWriter final : public faiss::IOWriter {
 public:
  std::size_t operator()(const void*, std::size_t size, std::size_t count) override {
    bytes += size * count;
    return count;
  }
  std::size_t bytes = 0;
};

/// Behind transformations of the rows.
const faiss::Index& innermost(const faiss::Index& index) {
  if (const auto* pre = dynamic_cast<const faiss::IndexPreTransform*>(&index)) return innermost(*pre->index);
  return index;
}
faiss::Index& innermost(faiss::Index& index) { return const_cast<faiss::Index&>(innermost(std::as_const(index))); }

std::size_t rows_for_bits(std::size_t bits) { return kRowsPerCentroid << std::min<std::size_t>(bits, 24); }

std::size_t training_rows(const faiss::Index& index) {
  if (index.is_trained) return 0;
  if (const auto* pre = dynamic_cast<const faiss::IndexPreTransform*>(&index)) {
    std::size_t most = training_rows(*pre->index);
    for (const faiss::VectorTransform* step : pre->chain) {
      if (step->is_trained) continue;
      const auto* opq = dynamic_cast<const faiss::OPQMatrix*>(step);
      most = std::max(most, opq != nullptr ? rows_for_bits(opq->pq != nullptr ? opq->pq->nbits : 8) : static_cast<std::size_t>(step->d_in) + 1);
    }
    return most;
  }
  if (const auto* refine = dynamic_cast<const faiss::IndexRefine*>(&index))
    return std::max(training_rows(*refine->base_index), training_rows(*refine->refine_index));
  std::size_t most = 1;
  if (const auto* ivf = dynamic_cast<const faiss::IndexIVF*>(&index)) {
    const auto* multi = dynamic_cast<const faiss::MultiIndexQuantizer*>(ivf->quantizer);
    if (!ivf->quantizer->is_trained || ivf->quantizer->ntotal != static_cast<idx_t>(ivf->nlist))
      most = multi != nullptr ? rows_for_bits(multi->pq.nbits) : kRowsPerCentroid * ivf->nlist;
  }
  if (const auto* pq = dynamic_cast<const faiss::IndexIVFPQ*>(&index)) most = std::max(most, rows_for_bits(pq->pq.nbits));
  if (const auto* pq = dynamic_cast<const faiss::IndexIVFPQFastScan*>(&index)) most = std::max(most, rows_for_bits(pq->pq.nbits));
  if (const auto* pq = dynamic_cast<const faiss::IndexPQ*>(&index)) most = std::max(most, rows_for_bits(pq->pq.nbits));
  if (const auto* pq = dynamic_cast<const faiss::IndexPQFastScan*>(&index)) most = std::max(most, rows_for_bits(pq->pq.nbits));
  if (const auto* graph = dynamic_cast<const faiss::IndexHNSW*>(&index); graph != nullptr && graph->storage != nullptr)
    most = std::max(most, training_rows(*graph->storage));
  if (const auto* graph = dynamic_cast<const faiss::IndexNSG*>(&index); graph != nullptr && graph->storage != nullptr)
    most = std::max(most, training_rows(*graph->storage));
  if (dynamic_cast<const faiss::IndexAdditiveQuantizer*>(&index) != nullptr) most = std::max(most, rows_for_bits(8));
  return most;
}

std::string readable(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(::abi::__cxa_demangle(mangled, nullptr, nullptr, &status), std::free);
  return status == 0 ? text.get() : mangled;
}

constexpr std::uint64_t kMostInFactory = 1u << 20;
constexpr std::uint64_t kMostLinks = 256;
constexpr std::uint64_t kMostBits = 16;
constexpr std::uint64_t kMostListBits = 20;

/// FAISS takes sizes from the text as they are: it divides by a 0, ends the process by an assertion where there are no lists, and asks for
/// memory for whatever number it finds.
void check_sizes(const std::string& factory) {
  const auto refuse = [&](const std::string& rule) { throw std::invalid_argument("factory is '" + factory + "', must " + rule); };
  if (factory.find('\0') != std::string::npos) throw std::invalid_argument("factory holds a zero byte at " + std::to_string(factory.find('\0')) + ", must hold none");
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::uint64_t before = 0;  // of 8 in IMI2x8
  std::string name;
  for (std::size_t i = 0; i < factory.size();) {
    if (!is_digit(factory[i])) {
      const char c = factory[i++];
      const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
      name = letter ? name + c : std::string();
      continue;
    }
    std::uint64_t number = 0;
    for (; i < factory.size() && is_digit(factory[i]); ++i) number = std::min<std::uint64_t>(number * 10 + static_cast<std::uint64_t>(factory[i] - '0'), kMostInFactory + 1);
    if (number < 1 || number > kMostInFactory) refuse("hold numbers in [1, " + std::to_string(kMostInFactory) + "]");
    if ((name == "HNSW" || name == "NSG") && (number < 2 || number > kMostLinks)) refuse("have links in [2, " + std::to_string(kMostLinks) + "]");
    if (name == "IMI") before = number;
    if (name == "x" && before > 0 && before * number > kMostListBits) refuse("have lists of at most " + std::to_string(kMostListBits) + " bits");
    if (name == "x" && number > kMostBits) refuse("have codes of at most " + std::to_string(kMostBits) + " bits");
    if (name == "x") before = 0;
    name.clear();
  }
}

}  // namespace

FaissStructure::~FaissStructure() = default;

FaissStructure::FaissStructure(int dim, IndexMetric metric, const std::string& factory) {
  check_sizes(factory);
  try {
    index_.reset(faiss::index_factory(dim, factory.c_str(), metric == IndexMetric::kL2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT));
  } catch (const std::exception& e) {  // std::out_of_range and the like of its parser, too
    throw std::invalid_argument("factory is '" + factory + "', which " + version() + " does not make for this dim and metric: " + words(e));
  }
  unwrap();
}

FaissStructure::FaissStructure(std::span<const std::uint8_t> bytes) {
  SpanReader reader(bytes);
  try {
    index_.reset(faiss::read_index(&reader));
  } catch (const faiss::FaissException& e) {
    throw std::invalid_argument(version() + " cannot read the index, a newer one may have written it: " + words(e));
  }
  if (index_ == nullptr) throw std::invalid_argument(version() + " read no index");
  unwrap();
}

void FaissStructure::unwrap() {
  // Ids are mapped and rows are scored again by FaissIndex: neither needs to be held twice.
  for (;;) {
    faiss::Index* inner = nullptr;
    if (auto* map = dynamic_cast<faiss::IndexIDMap*>(index_.get()); map != nullptr && map->own_fields) {
      inner = std::exchange(map->index, nullptr);
      map->own_fields = false;
    } else if (auto* refine = dynamic_cast<faiss::IndexRefine*>(index_.get());
               refine != nullptr && refine->own_fields && dynamic_cast<const faiss::IndexFlat*>(refine->refine_index) != nullptr) {
      inner = std::exchange(refine->base_index, nullptr);
      refine->own_fields = false;
    }
    if (inner == nullptr) break;
    index_.reset(inner);
  }
  // What FAISS takes by itself for more than 20 results partitions a reservoir, and ends the process by an assertion where many codes are
  // equally far (1.7.3). Its heaps do not.
  faiss::Index* scan = &innermost(*index_);
  if (auto* lists = dynamic_cast<faiss::IndexIVFFastScan*>(scan)) lists->implem = lists->bbs == 32 ? 12 : 10;
  if (auto* codes = dynamic_cast<faiss::IndexFastScan*>(scan)) codes->implem = codes->bbs == 32 ? 12 : 14;
}

int FaissStructure::dim() const noexcept { return static_cast<int>(index_->d); }
std::size_t FaissStructure::rows() const noexcept { return static_cast<std::size_t>(index_->ntotal); }
bool FaissStructure::trained() const noexcept { return index_->is_trained; }
std::string FaissStructure::type() const {
  const faiss::Index& index = innermost(*index_);
  return readable(typeid(index).name());
}
bool FaissStructure::measures(IndexMetric metric) const noexcept {
  return index_->metric_type == (metric == IndexMetric::kL2 ? faiss::METRIC_L2 : faiss::METRIC_INNER_PRODUCT);
}
std::size_t FaissStructure::min_training_rows() const { return training_rows(*index_); }

bool FaissStructure::keeps_vectors() const {
  if (dynamic_cast<const faiss::IndexPreTransform*>(index_.get()) != nullptr) return false;
  const faiss::Index* index = index_.get();
  if (const auto* graph = dynamic_cast<const faiss::IndexHNSW*>(index)) index = graph->storage;
  else if (const auto* net = dynamic_cast<const faiss::IndexNSG*>(index)) index = net->storage;
  else if (const auto* near = dynamic_cast<const faiss::IndexNNDescent*>(index)) index = near->storage;
  return dynamic_cast<const faiss::IndexFlat*>(index) != nullptr || dynamic_cast<const faiss::IndexIVFFlat*>(index) != nullptr;
}

bool FaissStructure::grows() const {
  const faiss::Index* index = &innermost(*index_);
  return dynamic_cast<const faiss::IndexNSG*>(index) == nullptr && dynamic_cast<const faiss::IndexNNDescent*>(index) == nullptr;
}

void FaissStructure::set_nprobe(int nprobe) {
  if (auto* ivf = dynamic_cast<faiss::IndexIVF*>(&innermost(*index_))) ivf->nprobe = static_cast<std::size_t>(nprobe);
}

void FaissStructure::set_ef_search(int ef_search) {
  faiss::Index* index = &innermost(*index_);
  if (auto* graph = dynamic_cast<faiss::IndexHNSW*>(index)) graph->hnsw.efSearch = ef_search;
  if (auto* net = dynamic_cast<faiss::IndexNSG*>(index)) net->nsg.search_L = ef_search;
  if (auto* near = dynamic_cast<faiss::IndexNNDescent*>(index)) near->nndescent.search_L = ef_search;
}

void FaissStructure::train(const float* rows, std::size_t count, int num_threads) {
  const ThreadLimit limit(num_threads);
  guarded("train", [&] { index_->train(static_cast<idx_t>(count), rows); });
}

void FaissStructure::add(const float* rows, std::size_t count, int num_threads) {
  const ThreadLimit limit(num_threads);
  guarded("add items", [&] { index_->add(static_cast<idx_t>(count), rows); });
}

std::unique_ptr<FaissStructure> FaissStructure::emptied() const {
  std::unique_ptr<FaissStructure> out;
  const std::vector<std::uint8_t> copy = bytes();  // clone_index() knows fewer types
  guarded("copy an index", [&] {
    out = std::make_unique<FaissStructure>(copy);
    out->index_->reset();
  });
  return out;
}

void FaissStructure::probe_selector() {
  takes_selector_ = false;
  // A graph under a selector walks as if there were none and comes back short.
  const faiss::Index* inner = &innermost(*index_);
  if (index_->ntotal == 0 || dynamic_cast<const faiss::IndexHNSW*>(inner) != nullptr || !grows()) return;
  const std::vector<float> query(static_cast<std::size_t>(index_->d), 0.0f);
  const faiss::IDSelectorRange none(0, 0);
  std::int64_t label = -1;
  try {
    propose(query.data(), 1, 1, &none, &label);
    takes_selector_ = label < 0;  // a type that overlooks it is not asked again
  } catch (const std::exception&) {
    // "search params not supported for this index"
  }
}

void FaissStructure::propose(const float* queries, std::size_t count, std::size_t k, const faiss::IDSelector* selector, std::int64_t* labels) const {
  const ThreadLimit limit(1);
  std::vector<float> distances(count * k);
  const auto search = [&](const faiss::SearchParameters* params) {
    guarded("search", [&] { index_->search(static_cast<idx_t>(count), queries, static_cast<idx_t>(k), distances.data(), labels, params); });
  };
  if (selector == nullptr) return search(nullptr);
  if (const auto* ivf = dynamic_cast<const faiss::IndexIVF*>(&innermost(*index_))) {
    faiss::SearchParametersIVF params;
    params.nprobe = ivf->nprobe;
    params.sel = const_cast<faiss::IDSelector*>(selector);
    return search(&params);
  }
  faiss::SearchParameters params;
  params.sel = const_cast<faiss::IDSelector*>(selector);
  search(&params);
}

std::vector<std::uint8_t> FaissStructure::bytes() const {
  faiss::VectorIOWriter writer;
  guarded("write an index", [&] { faiss::write_index(index_.get(), &writer); });
  return std::move(writer.data);
}

std::vector<std::uint8_t> FaissStructure::bytes_with_ids(std::span<const std::int64_t> ids) const {
  faiss::IndexIDMap2 map;
  map.d = index_->d;
  map.metric_type = index_->metric_type;
  map.is_trained = index_->is_trained;
  map.ntotal = index_->ntotal;
  map.index = index_.get();
  map.id_map.assign(ids.begin(), ids.end());
  faiss::VectorIOWriter writer;
  guarded("write an index", [&] { faiss::write_index(&map, &writer); });
  return std::move(writer.data);
}

std::size_t FaissStructure::memory_bytes() const {
  CountingWriter writer;
  guarded("measure an index", [&] { faiss::write_index(index_.get(), &writer); });
  return writer.bytes;
}

}  // namespace etalage::retrieval
