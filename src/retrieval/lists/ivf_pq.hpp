// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "etalage/extend/state.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "kernels/rank_key.hpp"
#include "kernels/row_scores.hpp"
#include "retrieval/item_store.hpp"
#include "retrieval/lists/norm_tiers.hpp"
#include "retrieval/search_scratch.hpp"

namespace etalage::retrieval {

/// Inverted lists of product-quantised residuals. A row's approximate score against q is q.c + sum over the parts of
/// q_part.r_part (c the list's centroid, r the decoded residual), and for l2 2 q.x - |x|^2 with the row's exact norm:
/// one table of a query serves every list and metric. Without quantisation (m = 0) the lists alone; for inner products
/// those are NormTiers, and a list is as good as q.mean + 1.25 |q| sqrt(mean |x - mean|^2 / dim): what its best rows reach.
/// For cosine it is q.c + reach sqrt((1 - |c|^2) / dim), where training found a reach that reads fewer rows than the nearest centroids do.
/// Lists without codes lie in the store itself, one after the other (sorted()): a list is read as a stretch of rows.
class IvfPq {
 public:
  /// There are enough rows to train on.
  [[nodiscard]] static bool trainable(std::size_t rows, const ItemIndexOptions& options, bool quantise) noexcept;
  /// Lists of a store's live rows. Null while there are too few to train on. With `sorted`, which goes without codes,
  /// the lists are those of the store that gathered(*sorted) makes.
  [[nodiscard]] static std::shared_ptr<IvfPq> train(const ItemStore& store, IndexMetric metric, const ItemIndexOptions& options,
                                                     bool quantise, int num_threads, std::vector<std::int32_t>* sorted = nullptr);
  IvfPq(const StateReader& reader, const ItemIndexOptions& options, bool quantised, std::size_t dim, std::size_t rows);

  /// List and code of rows.
  struct Encoded {
    std::vector<std::uint32_t> lists;
    std::vector<std::uint8_t> codes;
  };
  /// Rows [begin, end) of those that are encoded, one after the other; may lie in the memory, which it sizes.
  using RowsAt = std::function<const float*(std::size_t begin, std::size_t end, std::vector<float>& memory)>;
  /// Of `count` rows; norms2 [count] where there are tiers.
  [[nodiscard]] Encoded encode(std::size_t count, const RowsAt& rows_at, const float* norms2, int num_threads) const;
  /// Takes encoded row i in as `row`.
  void append(const Encoded& encoded, std::size_t i, std::int32_t row);

  /// The best `keep` rows by approximate score that `allowed` accepts, from the nprobe best lists and further ones while
  /// fewer than `keep` were found. Leaves them in scratch.results.
  template <class Allowed>
  void search(IndexMetric metric, const ItemStore& store, const float* query, std::size_t keep, int nprobe, Allowed allowed,
              SearchScratch& scratch) const;

  /// Hands the nprobe best lists to `take`, best first, and further ones while it has returned less than `least` in all.
  /// Lists of tiers are of many sizes: there it is `least` alone.
  template <class Take>
  void visit(IndexMetric metric, const float* query, std::size_t least, int nprobe, SearchScratch& scratch, Take take) const;
  /// The same for many queries [m x dim]: take(query, list).
  template <class Take>
  void visit_block(IndexMetric metric, const float* queries, std::size_t m, std::size_t least, int nprobe, SearchScratch& scratch,
                   Take take) const;
  [[nodiscard]] std::size_t num_lists() const noexcept { return nlist_; }
  [[nodiscard]] bool tiered() const noexcept { return tiers_ != nullptr; }
  /// Lists are stretches of the store's rows.
  [[nodiscard]] bool sorted() const noexcept { return sorted_; }
  /// Of a sorted store's rows [0, size) the place in the order of insertion; those behind came later, in order. Empty where the
  /// ids of these rows say it.
  [[nodiscard]] std::span<const std::int32_t> order() const noexcept { return sorted_ ? rows_.view() : std::span<const std::int32_t>(); }
  /// How many rows of a sorted store were there when it was sorted; 0 of others.
  [[nodiscard]] std::size_t sorted_rows() const noexcept { return sorted_ ? static_cast<std::size_t>(offsets_.back()) : 0; }
  /// Forgets the order of insertion, for a store whose ids are the places.
  void order_by_ids() { rows_ = {}; }

  /// A list but for what was appended: `count` rows from `first` on, or where `rows` is not null, those named there.
  struct Stretch {
    const std::int32_t* rows = nullptr;
    std::size_t first = 0;
    std::size_t count = 0;
    [[nodiscard]] std::size_t row(std::size_t i) const noexcept { return rows == nullptr ? first + i : static_cast<std::size_t>(rows[i]); }
  };
  [[nodiscard]] Stretch stretch(std::size_t list) const noexcept {
    const auto begin = static_cast<std::size_t>(offsets_[list]);
    return {sorted_ ? nullptr : rows_.data() + begin, begin, static_cast<std::size_t>(offsets_[list + 1]) - begin};
  }
  [[nodiscard]] std::span<const std::int32_t> appended(std::size_t list) const noexcept { return tails_[list].rows; }

  /// How many rows were there when this was trained.
  [[nodiscard]] std::size_t trained_on() const noexcept { return trained_on_; }
  void save(StateWriter& writer, const ItemStore& store) const;
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  IvfPq() = default;
  void load_appended(const StateReader& reader, std::int64_t rows);
  void train_codes(const std::vector<float>& data, const ItemIndexOptions& options, int num_threads);
  static constexpr int kTieredStep = 32;
  static constexpr std::size_t kMoreLists = 4;
  static constexpr std::size_t kInOrder = 8;  // lists that are read best first
  // A list is a stretch of the arrays, which may lie in a file, and what was appended since.
  struct Tail {
    std::vector<std::int32_t> rows;
    std::vector<std::uint8_t> codes;
  };
  /// Means of all rows, and with tiers how far rows lie around them.
  void measure_lists(const ItemStore& store, int num_threads);
  /// How many deviations above a list's product its best rows are expected, for rows of length 1; 0: lists rank by the nearest centroid.
  void set_reach(float reach);
  /// How good lists are for a query, from its products with the centroids, in place or into `ranks` [nlist].
  void rate(IndexMetric metric, const float* query, const float* dots, float* ranks) const;
  /// Keys of at least the best `count` lists into scratch.keys, in no order, and of none worse than those left out.
  std::size_t gather_best(const float* ranks, std::size_t count, SearchScratch& scratch) const;
  /// The best `count` lists by their ranks, in order, into scratch.lists.
  void choose(const float* ranks, std::size_t count, SearchScratch& scratch) const;
  /// Products of a query with the centroids into scratch.list_scores, ranks into scratch.list_ranks.
  void rank_lists(IndexMetric metric, const float* query, SearchScratch& scratch) const;
  template <class Take>
  void visit_ranked(const float* ranks, std::size_t least, int nprobe, SearchScratch& scratch, Take take) const;
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
  float reach_ = 0;             // of cosines: learn_reach()
  std::vector<float> reaches_;  // [nlist] with a reach, in products
  std::shared_ptr<const NormTiers> tiers_;
  Array<float> codebook_;       // [m][dim / m][ksub]
  Array<float> code_half_norms_;  // [m][ksub]
  Array<std::int64_t> offsets_;   // [nlist + 1]
  bool sorted_ = false;
  Array<std::int32_t> rows_;      // list by list; of a sorted store the order of insertion
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

template <class Take>
void IvfPq::visit_ranked(const float* ranks, std::size_t least, int nprobe, SearchScratch& scratch, Take take) const {
  const std::size_t first = std::min(static_cast<std::size_t>(tiered() ? kTieredStep : nprobe), nlist_);
  std::size_t met = 0;
  const auto enough = [&](std::size_t rank) { return (tiered() || rank >= first) && met >= least; };
  std::size_t rank = 0;
  if (!tiered()) {
    // All of the best are read, in whatever order but that of the first few.
    const auto some = [&](std::size_t n) { return scratch.keys.begin() + static_cast<std::ptrdiff_t>(n); };
    const std::size_t found = gather_best(ranks, first, scratch);
    const std::size_t wanted = std::min(first, found);
    if (wanted < found) std::nth_element(some(0), some(wanted), some(found), std::greater<>());
    const std::size_t in_order = std::min(wanted, kInOrder);
    std::partial_sort(some(0), some(in_order), some(wanted), std::greater<>());
    for (; rank < wanted; ++rank) met += take(static_cast<std::size_t>(kernels::key_index(scratch.keys[rank])));
    if (enough(rank)) return;
  }
  // A heap of those that are better than all others: few are taken from it. When they are used up, of several times as many.
  for (std::size_t count = tiered() ? first : std::min(kMoreLists * first, nlist_); rank < nlist_ && !enough(rank); count = std::min(kMoreLists * count, nlist_)) {
    std::size_t left = gather_best(ranks, count, scratch);
    const auto keys = scratch.keys.begin();
    std::make_heap(keys, keys + static_cast<std::ptrdiff_t>(left));
    for (std::size_t known = 0; known < rank && left > 0; ++known) std::pop_heap(keys, keys + static_cast<std::ptrdiff_t>(left--));
    for (; left > 0 && !enough(rank); ++rank) {
      std::pop_heap(keys, keys + static_cast<std::ptrdiff_t>(left));
      met += take(static_cast<std::size_t>(kernels::key_index(scratch.keys[--left])));
    }
    if (count == nlist_) break;
  }
  if (rank == nlist_ || enough(rank)) return;
  choose(ranks, nlist_, scratch);
  for (; rank < nlist_ && !enough(rank); ++rank) met += take(static_cast<std::size_t>(scratch.lists[rank]));
}

template <class Take>
void IvfPq::visit(IndexMetric metric, const float* query, std::size_t least, int nprobe, SearchScratch& scratch, Take take) const {
  rank_lists(metric, query, scratch);
  visit_ranked(scratch.list_ranks.data(), least, nprobe, scratch, take);
}

template <class Take>
void IvfPq::visit_block(IndexMetric metric, const float* queries, std::size_t m, std::size_t least, int nprobe, SearchScratch& scratch,
                        Take take) const {
  float* dots = Scratch::Impl::at_least(scratch.list_scores, m * nlist_);
  kernels::row_scores().dot_columns_of(queries, m, centroids_.data(), dim_, nlist_, dots);
  for (std::size_t i = 0; i < m; ++i, dots += nlist_) {
    rate(metric, queries + i * dim_, dots, dots);
    visit_ranked(dots, least, nprobe, scratch, [&](std::size_t list) { return take(i, list); });
  }
}

template <class Allowed>
void IvfPq::search(IndexMetric metric, const ItemStore& store, const float* query, std::size_t keep, int nprobe, Allowed allowed,
                   SearchScratch& scratch) const {
  scratch.results.clear();
  const std::size_t first = std::min(static_cast<std::size_t>(nprobe), nlist_);
  rank_lists(metric, query, scratch);
  choose(scratch.list_ranks.data(), first, scratch);
  const std::size_t sub = dim_ / m_;
  float* table = Scratch::Impl::at_least(scratch.lookup, m_ * ksub_);
  for (std::size_t part = 0; part < m_; ++part)
    kernels::row_scores().dot_columns(query + part * sub, codebook_.data() + part * sub * ksub_, sub, ksub_,
                                      table + part * ksub_);
  for (std::size_t rank = 0; rank < nlist_; ++rank) {
    if (rank >= first && scratch.results.size() >= keep) break;
    if (rank == first) choose(scratch.list_ranks.data(), nlist_, scratch);
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
