// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "etalage/retrieval/item_index.hpp"

namespace faiss {
struct IDSelector;
struct Index;
struct SearchParameters;
}  // namespace faiss

namespace etalage::retrieval {

/// An index of FAISS over rows numbered from 0, without what wraps it only to map ids or to score again. All of FAISS that
/// FaissIndex needs, its exceptions made ours.
class FaissStructure {
 public:
  /// std::invalid_argument with FAISS's words.
  FaissStructure(int dim, IndexMetric metric, const std::string& factory);
  explicit FaissStructure(std::span<const std::uint8_t> bytes);
  ~FaissStructure();
  FaissStructure(const FaissStructure&) = delete;
  FaissStructure& operator=(const FaissStructure&) = delete;

  [[nodiscard]] int dim() const noexcept;
  [[nodiscard]] std::size_t rows() const noexcept;
  [[nodiscard]] bool trained() const noexcept;
  /// "faiss::IndexIVFPQ"
  [[nodiscard]] std::string type() const;
  /// Whether its distances are of what metric says.
  [[nodiscard]] bool measures(IndexMetric metric) const noexcept;
  /// Rows that FAISS trains on without a warning: 39 for each centroid.
  [[nodiscard]] std::size_t min_training_rows() const;
  /// Whether it holds the rows themselves, so that its order is the right one.
  [[nodiscard]] bool keeps_vectors() const;
  /// Whether rows can be added to what is there.
  [[nodiscard]] bool grows() const;

  void set_nprobe(int nprobe);
  void set_ef_search(int ef_search);
  /// num_threads as resolved.
  void train(const float* rows, std::size_t count, int num_threads);
  void add(const float* rows, std::size_t count, int num_threads);
  /// The same, trained, without rows.
  [[nodiscard]] std::unique_ptr<FaissStructure> emptied() const;

  /// After rows have come: finds out whether searches take a selector.
  void probe_selector();
  [[nodiscard]] bool takes_selector() const noexcept { return takes_selector_; }
  /// labels [count x k], -1 where there are no more. selector: null, or where takes_selector(). On the caller's thread.
  void propose(const float* queries, std::size_t count, std::size_t k, const faiss::IDSelector* selector, std::int64_t* labels) const;

  [[nodiscard]] std::vector<std::uint8_t> bytes() const;
  /// bytes() of an IndexIDMap2 over it.
  [[nodiscard]] std::vector<std::uint8_t> bytes_with_ids(std::span<const std::int64_t> ids) const;
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  void unwrap();
  std::unique_ptr<faiss::Index> index_;
  bool takes_selector_ = false;
};

}  // namespace etalage::retrieval
