// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/matrix_view.hpp"
#include "etalage/export.hpp"
#include "etalage/extend/vector_index.hpp"
#include "etalage/retrieval/index_rows.hpp"
#include "etalage/retrieval/item_index.hpp"

namespace etalage {

/// Settings of FaissIndex. Those that its type does not have are ignored.
struct ETALAGE_EXPORT FaissIndexOptions {
  int nprobe = 16;             ///< inverted lists read for a query; >= 1
  int ef_search = 64;          ///< graphs: candidates kept while searching; >= 1
  int rescore_factor = 10;     ///< types that keep codes: rescore_factor * k candidates are scored from their vectors; >= 1
  double compact_share = 0.3;  ///< it is built anew above this share of removed and replaced rows; in (0, 1], 1 means never
  int num_threads = 0;         ///< of add, update, compact; 0 means the CPUs this process may use
  void validate() const;       ///< throws std::invalid_argument: field, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    ItemIndexOptions::each_shared(o, visit);
  }
};

/// Any index that FAISS's index_factory() knows, behind VectorIndex: for a type that ItemIndex does not have, or one that was trained
/// elsewhere. In the library target etalage::faiss, which links FAISS and a BLAS; etalage::etalage does not.
///
/// FAISS proposes rows; what is answered is scored by an exact ItemIndex over the float rows, which are kept beside. So scores and ties
/// are ItemIndex's, and an "RFlat" at the factory's end, which would keep them twice, is left out.
/// Metric    cosine: rows are given to FAISS with length 1, as inner products
/// Filters   min(k, allowed) results always. The type's own selector where it takes one; else, and in graphs, which come back short
///           under one, more rows are asked for, by the share that is allowed; what stays short is answered exactly
/// Training  types that train answer exactly until there are min_training_rows() items, and train on all of these by themselves then;
///           train() does it at once with those that are there. Never anew but by compact()
/// Changes   removed and replaced rows are passed over until it is built anew. NSG and NNDescent take no items once built:
///           add and update are std::invalid_argument that says so, compact() is not needed for remove()
/// Threads   as ItemIndex, but searches wait while FAISS adds. A search runs on the caller's thread; FAISS allocates in it
/// Forks     FAISS's own state: fork while nothing changes the index
/// Errors    std::invalid_argument; std::runtime_error with FAISS's words where it fails
class ETALAGE_EXPORT FaissIndex final : public VectorIndex {
 public:
  /// factory: as FAISS reads it, "OPQ32,IVF4096,PQ32x4fs,RFlat"; std::invalid_argument with FAISS's words when it cannot.
  FaissIndex(int dim, IndexMetric metric, std::string factory, FaissIndexOptions options = {});
  ~FaissIndex() override;
  FaissIndex(const FaissIndex&) = delete;
  FaissIndex& operator=(const FaissIndex&) = delete;
  /// What faiss::write_index() wrote, wherever it was trained; row i of vectors, with ids[i], is its i-th. Its metric must be the inner
  /// product (of rows of length 1 under kCosine) or the squared distance, as metric says. The bytes are trusted. std::invalid_argument
  /// when this FAISS cannot read them. compact() keeps what was trained.
  [[nodiscard]] static std::shared_ptr<FaissIndex> from_faiss_bytes(std::span<const std::uint8_t> bytes, MatrixView<const float> vectors,
                                                                    std::span<const std::int64_t> ids, IndexMetric metric,
                                                                    FaissIndexOptions options = {});
  /// For faiss::read_index(): the structure with ids as they are here, an IndexIDMap2 over what the factory made.
  [[nodiscard]] std::vector<std::uint8_t> to_faiss_bytes() const;

  /// As ItemIndex's.
  void add(MatrixView<const float> vectors, std::span<const std::int64_t> ids);
  void update(MatrixView<const float> vectors, std::span<const std::int64_t> ids);
  std::size_t remove(std::span<const std::int64_t> ids);
  /// Builds the structure anew, trained on what is there (one from bytes keeps its training).
  void compact();
  /// Trains and builds with the items that are there, if it is not built yet.
  void train();
  /// Whether FAISS answers; else searches are exact.
  [[nodiscard]] bool built() const;
  /// 39 for each centroid, as FAISS wants them; 0 for types that do not train.
  [[nodiscard]] std::size_t min_training_rows() const;

  [[nodiscard]] std::size_t size() const override;
  /// In order of insertion; an updated item counts as inserted anew.
  [[nodiscard]] std::vector<std::int64_t> ids() const;
  /// Whether there is an item of this id.
  [[nodiscard]] bool contains(std::int64_t id) const;
  /// As rows_of(): the float rows that are kept beside.
  [[nodiscard]] IndexRows rows() const;
  std::size_t search(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter, Scratch& scratch) const override;
  /// As ItemIndex's.
  void search_batch(MatrixView<const float> queries, MatrixView<Neighbor> out, std::span<std::size_t> counts,
                    std::span<const ItemFilter* const> filters = {}, int num_threads = 0) const;

  [[nodiscard]] int dim() const noexcept override;
  [[nodiscard]] bool ranks_by_dot() const noexcept override { return metric() == IndexMetric::kDot; }
  /// As it was made with.
  [[nodiscard]] IndexMetric metric() const noexcept;
  [[nodiscard]] std::string_view kind() const noexcept override { return "FaissIndex"; }
  /// As it was given; of one from bytes the name of its class, "faiss::IndexIVFPQ".
  [[nodiscard]] const std::string& factory() const noexcept;
  [[nodiscard]] FaissIndexOptions options() const;
  void set_ef_search(int ef_search);
  void set_nprobe(int nprobe);
  /// Bytes of rows, ids and structure.
  [[nodiscard]] std::size_t memory_bytes() const;
  [[nodiscard]] std::size_t dead_rows() const;

  /// The float rows are mapped on loading, FAISS's bytes are copied.
  void save_state(StateWriter& writer) const override;
  /// FAISS believes what it reads: only from a file whose writer is trusted. See load_faiss_index() for the way that asks.
  [[nodiscard]] static std::shared_ptr<FaissIndex> from_trusted_state(const StateReader& reader);

 private:
  struct Impl;
  explicit FaissIndex(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

namespace retrieval {
using etalage::FaissIndex;
using etalage::FaissIndexOptions;
}  // namespace retrieval

}  // namespace etalage
