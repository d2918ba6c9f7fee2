// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "etalage/core/state.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "kernels/row_scores.hpp"
#include "retrieval/item_store.hpp"
#include "retrieval/norm_tiers.hpp"
#include "retrieval/search_scratch.hpp"

namespace etalage::retrieval {

/// Inverted lists of product-quantised residuals. A row's approximate score against q is q.c + sum over the parts of
/// q_part.r_part (c the list's centroid, r the decoded residual), and for l2 2 q.x - |x|^2 with the row's exact norm:
/// one table of a query serves every list and metric. Without quantisation (m = 0) the lists alone; for inner products
/// those are NormTiers, and a list is as good as q.mean + 1.25 |q| sqrt(mean |x - mean|^2 / dim): what its best rows reach.
class IvfPq {
 public:
  /// Null while the store has too few live rows to train on.
  [[nodiscard]] static std::shared_ptr<IvfPq> train(const ItemStore& store, IndexMetric metric, const ItemIndexOptions& options,
                                                     bool quantise, int num_threads);
  IvfPq(const StateReader& reader, const ItemIndexOptions& options, bool quantised, std::size_t dim, std::size_t rows);

  /// List and code of rows [begin, end) that are written but need not be published.
  struct Encoded {
    std::vector<std::uint32_t> lists;
    std::vector<std::uint8_t> codes;
  };
  [[nodiscard]] Encoded encode(const ItemStore& store, std::size_t begin, std::size_t end, int num_threads) const;
  /// Takes encoded row begin + i in as `row`.
  void append(const Encoded& encoded, std::size_t i, std::int32_t row);

  /// The best `keep` rows by approximate score that `allowed` accepts, from the nprobe best lists and further ones while
  /// fewer than `keep` were found. Leaves them in scratch.results.
  template <class Allowed>
  void search(IndexMetric metric, const ItemStore& store, const float* query, std::size_t keep, int nprobe, Allowed allowed,
              SearchScratch& scratch) const;

  /// Appends the rows of the nprobe best lists, and of further ones while there are fewer than `least`, that `allowed`
  /// accepts. Lists of tiers are of many sizes: there it is `least` alone.
  template <class Allowed>
  void gather(IndexMetric metric, const float* query, std::size_t least, int nprobe, Allowed allowed, SearchScratch& scratch,
              std::vector<std::int32_t>& rows) const;
  /// The best lists of a query, into scratch.lists[0, returned).
  std::size_t best_lists(IndexMetric metric, const float* query, int nprobe, SearchScratch& scratch) const;
  [[nodiscard]] std::size_t num_lists() const noexcept { return nlist_; }
  [[nodiscard]] bool tiered() const noexcept { return tiers_ != nullptr; }
  /// All rows of a list that `allowed` accepts.
  template <class Allowed>
  void rows_of(std::size_t list, Allowed allowed, std::vector<std::int32_t>& rows) const;

  /// How many rows were there when this was trained.
  [[nodiscard]] std::size_t trained_on() const noexcept { return trained_on_; }
  void save(StateWriter& writer) const;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  IvfPq() = default;
  void train_codes(const std::vector<float>& data, const ItemIndexOptions& options, int num_threads);
  static constexpr int kTieredStep = 32;
  // A list is a stretch of the arrays, which may lie in a file, and what was appended since.
  struct Tail {
    std::vector<std::int32_t> rows;
    std::vector<std::uint8_t> codes;
  };
  /// Means, and how far rows lie around them.
  void measure_lists(const ItemStore& store, int num_threads);
  /// Lists into scratch.lists, the best `first` of them in order; rank_more() orders those behind, up to `last`.
  void rank_lists(IndexMetric metric, const float* query, std::size_t first, SearchScratch& scratch) const;
  void rank_more(IndexMetric metric, std::size_t first, std::size_t last, SearchScratch& scratch) const;
  template <class Allowed>
  void scan(IndexMetric metric, const ItemStore& store, float base, const std::int32_t* rows, const std::uint8_t* codes,
            std::size_t n, std::size_t keep, Allowed allowed, SearchScratch& scratch) const;

  std::size_t dim_ = 0;
  std::size_t nlist_ = 0;
  std::size_t m_ = 0;
  std::size_t ksub_ = 0;
  std::size_t trained_on_ = 0;
  Array<float> centroids_;      // [dim x nlist]
  Array<float> half_norms_;     // [nlist]
  Array<float> spreads_;        // [nlist] with tiers
  std::shared_ptr<const NormTiers> tiers_;
  Array<float> codebook_;       // [m][dim / m][ksub]
  Array<float> code_half_norms_;  // [m][ksub]
  Array<std::int64_t> offsets_;   // [nlist + 1]
  Array<std::int32_t> rows_;
  Array<std::uint8_t> codes_;     // [rows x m]
  std::vector<Tail> tails_;       // [nlist]
};

template <class Allowed>
void IvfPq::scan(IndexMetric metric, const ItemStore& store, float base, const std::int32_t* rows, const std::uint8_t* codes,
                 std::size_t n, std::size_t keep, Allowed allowed, SearchScratch& scratch) const {
  auto& results = scratch.results;
  const float* table = scratch.lookup.data();
  scratch.scored += n;
  for (std::size_t i = 0; i < n; ++i, codes += m_) {
    float score = base;
    for (std::size_t part = 0; part < m_; ++part) score += table[part * ksub_ + codes[part]];
    if (metric == IndexMetric::kL2) score = 2 * score - store.norms2[static_cast<std::size_t>(rows[i])];
    if (results.size() >= keep && score <= results.front().score) continue;
    if (!allowed(rows[i])) continue;
    results.push_back({score, rows[i]});
    std::push_heap(results.begin(), results.end(), WorstOnTop{});
    if (results.size() > keep) {
      std::pop_heap(results.begin(), results.end(), WorstOnTop{});
      results.pop_back();
    }
  }
}

template <class Allowed>
void IvfPq::rows_of(std::size_t list, Allowed allowed, std::vector<std::int32_t>& rows) const {
  for (auto i = static_cast<std::size_t>(offsets_[list]), end = static_cast<std::size_t>(offsets_[list + 1]); i < end; ++i)
    if (allowed(rows_[i])) rows.push_back(rows_[i]);
  for (const std::int32_t r : tails_[list].rows)
    if (allowed(r)) rows.push_back(r);
}

template <class Allowed>
void IvfPq::gather(IndexMetric metric, const float* query, std::size_t least, int nprobe, Allowed allowed, SearchScratch& scratch,
                   std::vector<std::int32_t>& rows) const {
  const std::size_t first = best_lists(metric, query, tiered() ? kTieredStep : nprobe, scratch);
  for (std::size_t rank = 0, ranked = first; rank < nlist_; ++rank) {
    if ((tiered() || rank >= first) && rows.size() >= least) break;
    if (rank == ranked) {
      ranked = tiered() ? std::min(2 * ranked, nlist_) : nlist_;
      rank_more(metric, rank, ranked, scratch);
    }
    rows_of(static_cast<std::size_t>(scratch.lists[rank]), allowed, rows);
  }
}

template <class Allowed>
void IvfPq::search(IndexMetric metric, const ItemStore& store, const float* query, std::size_t keep, int nprobe, Allowed allowed,
                   SearchScratch& scratch) const {
  scratch.results.clear();
  const std::size_t first = std::min(static_cast<std::size_t>(nprobe), nlist_);
  rank_lists(metric, query, first, scratch);
  const std::size_t sub = dim_ / m_;
  float* table = Scratch::Impl::at_least(scratch.lookup, m_ * ksub_);
  for (std::size_t part = 0; part < m_; ++part)
    kernels::row_scores().dot_columns(query + part * sub, codebook_.data() + part * sub * ksub_, sub, ksub_,
                                      table + part * ksub_);
  for (std::size_t rank = 0; rank < nlist_; ++rank) {
    if (rank >= first && scratch.results.size() >= keep) break;
    if (rank == first) rank_more(metric, first, nlist_, scratch);
    const auto list = static_cast<std::size_t>(scratch.lists[rank]);
    const auto begin = static_cast<std::size_t>(offsets_[list]);
    const float base = scratch.list_scores[list];
    scan(metric, store, base, rows_.data() + begin, codes_.data() + begin * m_,
         static_cast<std::size_t>(offsets_[list + 1]) - begin, keep, allowed, scratch);
    scan(metric, store, base, tails_[list].rows.data(), tails_[list].codes.data(), tails_[list].rows.size(), keep, allowed,
         scratch);
  }
}

}  // namespace etalage::retrieval
