// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "etalage/retrieval/faiss_index.hpp"
#include "retrieval/faiss/faiss_structure.hpp"

namespace etalage {

/// The rows are an exact ItemIndex's; `structure` numbers them anew, by the order in which it was given them, and a number is never given
/// twice until it is built anew. `writer` is held for a whole change, `gate` exclusively while what searches read changes.
struct FaissIndex::Impl {
  Impl(int dim, IndexMetric metric, FaissIndexOptions o);

  FaissIndexOptions options;
  std::string factory;
  bool from_bytes = false;  // there is no factory to build it anew
  std::shared_ptr<ItemIndex> exact;

  mutable std::mutex writer;
  mutable std::shared_mutex gate;
  mutable std::mutex turnstile;  // a writer that waits is not overtaken for ever
  std::unique_ptr<retrieval::FaissStructure> structure;
  bool built = false;
  bool keeps_vectors = false;
  std::vector<std::int64_t> ids;     // of the structure's rows
  std::vector<std::uint8_t> alive;   // and whether they still are that id's
  std::size_t dead = 0;
  std::unordered_map<std::int64_t, std::size_t> row_of;  // live rows

  [[nodiscard]] std::shared_lock<std::shared_mutex> reading() const;
  class Changing;

  // `writer` is held.
  void build();  ///< anew, of all rows
  void build_when_ready();
  void start(std::unique_ptr<retrieval::FaissStructure> fresh, std::span<const std::int64_t> fresh_ids);
  void append(MatrixView<const float> vectors, std::span<const std::int64_t> added);
  void forget(std::int64_t id);
  void tidy();
  void require_growth(const char* what) const;

  // The gate is held shared.
  struct Request {
    std::size_t k = 0;           ///< results wanted, at most what may be there
    std::size_t proposals = 0;   ///< to ask FAISS for; 0: answer exactly
    bool selected = false;       ///< under a selector
  };
  [[nodiscard]] Request request(std::size_t k, const ItemFilter* filter) const;
  /// Beyond so many proposals reading all rows is no dearer.
  [[nodiscard]] std::size_t most_proposals() const noexcept { return ids.size() / 2 + 1; }
  /// From the proposals that are there already (request.proposals of them, or none), and from more where these are too few.
  std::size_t answer(std::span<const float> query, Request request, std::span<const std::int64_t> proposed, std::span<Neighbor> out,
                     const ItemFilter* filter, Scratch& scratch) const;
  /// From proposals for one query; false when they are too few.
  bool score(std::span<const float> query, std::span<const std::int64_t> labels, const Request& request, std::span<Neighbor> out, const ItemFilter* filter,
             Scratch& scratch, std::size_t& found) const;
};

/// Exclusive for as long as it lives.
class FaissIndex::Impl::Changing {
 public:
  explicit Changing(const Impl& impl) : turn_(impl.turnstile), gate_(impl.gate) {}

 private:
  std::unique_lock<std::mutex> turn_;
  std::unique_lock<std::shared_mutex> gate_;
};

}  // namespace etalage
