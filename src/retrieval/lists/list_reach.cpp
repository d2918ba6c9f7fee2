// SPDX-License-Identifier: Apache-2.0
#include "retrieval/lists/list_reach.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "detail/parallel_for.hpp"
#include "kernels/row_scores.hpp"

namespace etalage::retrieval {
namespace {

constexpr std::size_t kQueries = 256;
constexpr std::size_t kNearest = 10;
constexpr std::size_t kGroup = 32;  // queries that read the sample together
constexpr std::size_t kBlock = 24;  // rows of it at a time
constexpr std::array<float, 6> kReaches = {0, 1, 2, 3, 4, 5};
constexpr std::array<double, 2> kRecalls = {0.95, 0.98};
constexpr double kLeastGain = 0.97;

using Near = std::pair<float, std::size_t>;  // product, row

/// The nearest of the sample's rows to `count` of them, but for themselves: [count x kNearest] rows.
void nearest_of_sample(const ItemStore& store, std::span<const std::size_t> sample, const std::size_t* queries, std::size_t count,
                       std::size_t* nearest) {
  const std::size_t dim = store.dim;
  std::vector<float> columns(dim * count), rows(kBlock * dim), dots(kBlock * count);
  for (std::size_t q = 0; q < count; ++q)
    for (std::size_t f = 0; f < dim; ++f) columns[f * count + q] = store.vector(queries[q])[f];
  std::vector<std::vector<Near>> best(count);
  for (std::size_t from = 0; from < sample.size(); from += kBlock) {
    const std::size_t n = std::min(kBlock, sample.size() - from);
    for (std::size_t i = 0; i < n; ++i) std::memcpy(&rows[i * dim], store.vector(sample[from + i]), dim * sizeof(float));
    kernels::row_scores().dot_columns_of(rows.data(), n, columns.data(), dim, count, dots.data());
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t q = 0; q < count; ++q) {
        const float dot = dots[i * count + q];
        if ((best[q].size() == kNearest && !(dot > best[q].front().first)) || sample[from + i] == queries[q]) continue;
        if (best[q].size() == kNearest) {
          std::pop_heap(best[q].begin(), best[q].end(), std::greater<>());
          best[q].pop_back();
        }
        best[q].emplace_back(dot, sample[from + i]);
        std::push_heap(best[q].begin(), best[q].end(), std::greater<>());
      }
  }
  for (std::size_t q = 0; q < count; ++q)
    for (std::size_t j = 0; j < kNearest; ++j) nearest[q * kNearest + j] = best[q][j].second;
}

class Choice {
 public:
  Choice(const ItemStore& store, std::span<const std::size_t> sample, const UnitLists& lists)
      : lists_(lists), num_lists_(lists.offsets.size() - 1), queries_(std::min(kQueries, sample.size())), deviations_(num_lists_),
        dots_(queries_ * num_lists_), of_nearest_(queries_ * kNearest) {
    for (std::size_t l = 0; l < num_lists_; ++l) deviations_[l] = unit_deviation(lists.half_norms[l], store.dim);
  }
  void hold_out(const ItemStore& store, std::span<const std::size_t> sample, int num_threads) {
    detail::parallel_for(queries_, kGroup, num_threads, [&](std::size_t begin, std::size_t end, int) {
      std::array<std::size_t, kGroup> rows{};
      std::array<std::size_t, kGroup * kNearest> nearest{};
      for (std::size_t i = begin; i < end; ++i) rows[i - begin] = sample[i * sample.size() / queries_];
      nearest_of_sample(store, sample, rows.data(), end - begin, nearest.data());
      for (std::size_t i = begin; i < end; ++i) {
        kernels::row_scores().dot_columns(store.vector(rows[i - begin]), lists_.columns, store.dim, num_lists_, &dots_[i * num_lists_]);
        for (std::size_t j = 0; j < kNearest; ++j) of_nearest_[i * kNearest + j] = lists_.of_rows[nearest[(i - begin) * kNearest + j]];
      }
    });
  }
  /// Mean rows of as many lists a query as find each of kRecalls.
  [[nodiscard]] std::array<double, kRecalls.size()> rows_read(float reach, int num_threads) const {
    std::vector<std::size_t> places(queries_ * kNearest);
    detail::parallel_for(queries_, kGroup, num_threads, [&](std::size_t begin, std::size_t end, int) {
      std::vector<float> ranks(num_lists_);
      for (std::size_t i = begin; i < end; ++i) {
        rank(i, reach, ranks.data());
        for (std::size_t j = i * kNearest; j < (i + 1) * kNearest; ++j)
          places[j] = static_cast<std::size_t>(std::count_if(ranks.begin(), ranks.end(), [own = ranks[of_nearest_[j]]](float r) { return r > own; }));
      }
    });
    std::sort(places.begin(), places.end());
    std::array<double, kRecalls.size()> out{};
    for (std::size_t c = 0; c < kRecalls.size(); ++c) {
      const std::size_t last = places[std::min(places.size() - 1, static_cast<std::size_t>(kRecalls[c] * static_cast<double>(places.size())))];
      std::vector<std::int64_t> rows(queries_);
      detail::parallel_for(queries_, kGroup, num_threads, [&](std::size_t begin, std::size_t end, int) {
        std::vector<float> ranks(num_lists_);
        std::vector<std::size_t> order(num_lists_);
        for (std::size_t i = begin; i < end; ++i) {
          rank(i, reach, ranks.data());
          std::iota(order.begin(), order.end(), std::size_t{0});
          std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(last), order.end(),
                           [&](std::size_t a, std::size_t b) { return ranks[a] > ranks[b] || (ranks[a] == ranks[b] && a < b); });
          for (std::size_t p = 0; p <= last; ++p) rows[i] += lists_.offsets[order[p] + 1] - lists_.offsets[order[p]];
        }
      });
      out[c] = static_cast<double>(std::accumulate(rows.begin(), rows.end(), std::int64_t{1})) / static_cast<double>(queries_);
    }
    return out;
  }

 private:
  void rank(std::size_t query, float reach, float* ranks) const {
    const float* dots = &dots_[query * num_lists_];
    for (std::size_t l = 0; l < num_lists_; ++l) ranks[l] = dots[l] + (reach > 0 ? reach * deviations_[l] : -lists_.half_norms[l]);
  }

  const UnitLists& lists_;
  std::size_t num_lists_;
  std::size_t queries_;
  std::vector<float> deviations_;
  std::vector<float> dots_;  // [queries x num_lists]
  std::vector<std::size_t> of_nearest_;  // [queries x kNearest] lists
};

}  // namespace

float unit_deviation(float half_norm, std::size_t dim) noexcept {
  return std::sqrt(std::max(1 - 2 * half_norm, 0.0f) / static_cast<float>(dim));
}

float learn_reach(const ItemStore& store, std::span<const std::size_t> sample, const UnitLists& lists, int num_threads) {
  if (sample.size() <= kNearest) return 0;
  Choice choice(store, sample, lists);
  choice.hold_out(store, sample, num_threads);
  const auto nearest = choice.rows_read(0, num_threads);
  float best = 0;
  double least = kLeastGain;
  for (const float reach : kReaches) {
    if (reach == 0) continue;
    const auto rows = choice.rows_read(reach, num_threads);
    const double shares[] = {rows[0] / nearest[0], rows[1] / nearest[1]};
    const double mean = std::sqrt(shares[0] * shares[1]);
    if (shares[0] > 1 || shares[1] > 1 || mean >= least) continue;
    best = reach;
    least = mean;
  }
  return best;
}

}  // namespace etalage::retrieval
