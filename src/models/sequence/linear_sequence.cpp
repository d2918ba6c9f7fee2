// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/linear_sequence.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "kernels/als_kernels.hpp"
#include "kernels/dense_kernels.hpp"
#include "kernels/rank_key.hpp"
#include "models/neighbour/occurrences.hpp"
#include "models/row_chunks.hpp"
#include "models/sparse_rows.hpp"
#include "models/linear/sparse_first_inverse.hpp"
#include "models/training_data.hpp"
#include "models/sequence/watched_for.hpp"

namespace etalage {
namespace {

/// s_t of every place t.
class Sources {
 public:
  Sources(const Sequences& sequences, const LinearSequenceOptions& o) : occurrences_(sequences), items_(sequences.items().data()) {
    std::size_t longest = 1;
    for (std::int64_t s = 0; s < sequences.size(); ++s) longest = std::max(longest, sequences.items_of(s).size());
    window_ = std::min(static_cast<std::size_t>(o.window), longest);
    for (std::size_t d = 0; d <= window_; ++d) {
      const float v = d == 0 ? 0.0f : o.decay.value() > 0 ? std::exp(-static_cast<float>(d - 1) / o.decay.value()) : 1.0f;
      before_.push_back(o.forward * v);
      behind_.push_back(o.backward * v);
    }
  }

  [[nodiscard]] std::span<const std::size_t> places_of(std::size_t item) const noexcept { return occurrences_.of(item); }
  /// visit(item, weight) for the sources of the target at place t.
  template <class Visit>
  void each_source(std::size_t t, const Visit& visit) const {
    const std::size_t left = std::min(window_, t - occurrences_.list_begin(t));
    const std::size_t right = std::min(window_, occurrences_.list_end(t) - 1 - t);
    if (before_[1] > 0)
      for (std::size_t d = 1; d <= left; ++d) visit(items_[t - d], before_[d]);
    if (behind_[1] > 0)
      for (std::size_t d = 1; d <= right; ++d) visit(items_[t + d], behind_[d]);
  }
  /// visit(t, weight) for the targets t whose source is at place p.
  template <class Visit>
  void each_target(std::size_t p, const Visit& visit) const {
    const std::size_t left = std::min(window_, p - occurrences_.list_begin(p));
    const std::size_t right = std::min(window_, occurrences_.list_end(p) - 1 - p);
    if (before_[1] > 0)
      for (std::size_t d = 1; d <= right; ++d) visit(p + d, before_[d]);
    if (behind_[1] > 0)
      for (std::size_t d = 1; d <= left; ++d) visit(p - d, behind_[d]);
  }

 private:
  detail::Occurrences occurrences_;
  const std::int32_t* items_;
  std::size_t window_ = 1;
  std::vector<float> before_;
  std::vector<float> behind_;
};

constexpr std::size_t kLongRow = 12;  // entries a place of the block, from which on looking each up is cheaper than passing over all

/// Column j of B from the block of its candidates, for every j; rows of the result are targets.
CsrMatrix solve_candidates(const CsrMatrix& gram, const CsrMatrix& targets, std::span<const float> diagonal,
                           const LinearSequenceOptions& o, detail::Watch& watch) {
  const auto n = static_cast<std::size_t>(gram.rows);
  const kernels::AlsTable& kernel = kernels::als();
  struct Work {
    std::vector<std::uint64_t> keys;
    std::vector<std::int32_t> sources;
    std::vector<std::int32_t> slots;  // by item: 1 + its place among the sources
    Array<float> matrix;
    Array<float> right;
  };
  std::vector<std::unique_ptr<Work>> work(static_cast<std::size_t>(detail::resolve_threads(o.num_threads)));
  constexpr std::size_t kGrain = 16;
  std::vector<detail::RowChunk> chunks(detail::num_chunks(n, kGrain));
  (void)detail::watched_for(n, kGrain, o.num_threads, "regression", watch, [&](std::size_t begin, std::size_t end, int thread) {
    auto& w = work[static_cast<std::size_t>(thread)];
    if (!w) {
      w = std::make_unique<Work>();
      w->slots.resize(n);
    }
    detail::RowChunk& chunk = chunks[begin / kGrain];
    for (std::size_t j = begin; j < end; ++j) {
      const auto columns = targets.view().row_columns(static_cast<std::int64_t>(j));
      const auto values = targets.view().row_values(static_cast<std::int64_t>(j));
      w->keys.clear();
      for (std::size_t p = 0; p < columns.size(); ++p) {
        const float scale = std::sqrt(diagonal[static_cast<std::size_t>(columns[p])]);
        w->keys.push_back(kernels::rank_key(values[p] / scale, static_cast<std::uint32_t>(p)));
      }
      const std::size_t m = std::min(w->keys.size(), static_cast<std::size_t>(o.num_candidates));
      if (m < w->keys.size())
        std::nth_element(w->keys.begin(), w->keys.begin() + static_cast<std::ptrdiff_t>(m), w->keys.end(), std::greater<>());
      w->keys.resize(m);
      std::sort(w->keys.begin(), w->keys.end(),
                [](std::uint64_t a, std::uint64_t b) { return kernels::key_index(a) < kernels::key_index(b); });
      const std::size_t padded = (m + kernels::kAlsPad - 1) / kernels::kAlsPad * kernels::kAlsPad;
      if (w->right.size() < padded) {
        w->right = Array<float>(padded);
        w->matrix = Array<float>(padded * padded);
      }
      float* a = w->matrix.mutable_data();
      float* b = w->right.mutable_data();
      std::fill_n(a, padded * padded, 0.0f);
      std::fill_n(b, padded, 0.0f);
      w->sources.clear();
      for (std::size_t c = 0; c < m; ++c) {
        const std::size_t p = kernels::key_index(w->keys[c]);
        w->sources.push_back(columns[p]);
        w->slots[static_cast<std::size_t>(columns[p])] = static_cast<std::int32_t>(c) + 1;
        b[c] = values[p];
      }
      for (std::size_t c = 0; c < m; ++c) {
        // The upper triangle: sources ascend, so what lies right of the diagonal are the larger items.
        const std::int32_t source = w->sources[c];
        const auto others = gram.view().row_columns(source);
        const auto entries = gram.view().row_values(source);
        auto q = static_cast<std::size_t>(std::lower_bound(others.begin(), others.end(), source) - others.begin());
        // A popular source's row is far longer than the block: then each place of the block is looked for in what is left of the row.
        if (others.size() - q > kLongRow * (m - c)) {
          for (std::size_t d = c + 1; d < m && q < others.size(); ++d) {
            const std::int32_t other = w->sources[d];
            q = static_cast<std::size_t>(std::lower_bound(others.begin() + static_cast<std::ptrdiff_t>(q), others.end(), other) - others.begin());
            if (q < others.size() && others[q] == other) a[c * padded + d] = entries[q];
          }
        } else {
          for (; q < others.size() && others[q] <= w->sources.back(); ++q) {
            const std::int32_t slot = w->slots[static_cast<std::size_t>(others[q])];
            if (slot != 0) a[c * padded + static_cast<std::size_t>(slot) - 1] = entries[q];
          }
        }
        a[c * padded + c] = diagonal[static_cast<std::size_t>(source)];
      }
      for (std::size_t c = m; c < padded; ++c) a[c * padded + c] = 1.0f;
      for (const std::int32_t source : w->sources) w->slots[static_cast<std::size_t>(source)] = 0;
      if (padded != 0) {
        const std::size_t pivot = kernel.cholesky(a, padded, padded);
        if (pivot != padded)
          throw NumericalError("the regression onto item " + std::to_string(j) + " has a pivot that is not positive; a larger l2 helps");
        kernel.solve(a, padded, padded, b);
      }
      for (std::size_t c = 0; c < m; ++c) {
        chunk.columns.push_back(w->sources[c]);
        chunk.values.push_back(b[c]);
      }
      chunk.sizes.push_back(static_cast<std::int64_t>(m));
    }
  });
  return detail::joined(chunks, n, gram.cols, o.num_threads);
}

constexpr std::size_t kKeptOfExact = 1000;

/// All of B by the inverse of the whole Gram matrix; of each target the kKeptOfExact largest weights by size stay. Rows of
/// the result are targets.
CsrMatrix solve_exact(const CsrMatrix& gram, const CsrMatrix& targets, std::span<const float> diagonal, int num_threads,
                      detail::Watch& watch) {
  const auto n = static_cast<std::size_t>(gram.rows);
  Array<float> memory(n * n);
  float* a = memory.mutable_data();
  for (std::size_t i = 0; i < n; ++i) {
    const auto columns = gram.view().row_columns(static_cast<std::int64_t>(i));
    const auto values = gram.view().row_values(static_cast<std::int64_t>(i));
    for (std::size_t p = 0; p < columns.size(); ++p) a[i * n + static_cast<std::size_t>(columns[p])] = values[p];
    a[i * n + i] = diagonal[i];
  }
  if (!sparse_first_inverse(a, n, n, num_threads, [&](std::size_t done) { return watch.go_on(done, n, "inverse"); }))
    return {gram.rows, gram.cols, Array<std::int64_t>(n + 1), {}, {}};
  constexpr std::size_t kTile = 64;
  detail::parallel_for((n + kTile - 1) / kTile, 1, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin * kTile; i < std::min(n, end * kTile); ++i)
      for (std::size_t j = 0; j < i; ++j) a[i * n + j] = a[j * n + i];
  });
  const kernels::DenseTable& kernel = kernels::dense();
  return detail::make_rows(n, n, 0, num_threads, [&](std::size_t j, detail::SparseScores& row) {
    const auto columns = targets.view().row_columns(static_cast<std::int64_t>(j));
    const auto values = targets.view().row_values(static_cast<std::int64_t>(j));
    const std::vector<std::size_t> index(columns.begin(), columns.end());
    std::vector<float> weights(values.size());
    std::transform(values.begin(), values.end(), weights.begin(), [](float v) { return -v; });
    std::vector<float> b(n, 0.0f);
    kernel.add_rows(a, n, index.data(), weights.data(), index.size(), n, b.data());
    std::vector<std::uint64_t> keys;
    for (std::size_t i = 0; i < n; ++i)
      if (b[i] != 0.0f) keys.push_back(kernels::rank_key(std::fabs(b[i]), static_cast<std::uint32_t>(i)));
    if (keys.size() > kKeptOfExact) {
      std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(kKeptOfExact), keys.end(), std::greater<>());
      keys.resize(kKeptOfExact);
    }
    for (const std::uint64_t key : keys) row.add(static_cast<std::int32_t>(kernels::key_index(key)), b[kernels::key_index(key)]);
  }, &watch, "regression");
}

/// The num_kept entries of largest size of each row.
CsrMatrix strongest(const CsrMatrix& m, std::size_t num_kept, int num_threads) {
  return detail::make_rows(static_cast<std::size_t>(m.rows), static_cast<std::size_t>(m.cols), 0, num_threads,
                           [&](std::size_t i, detail::SparseScores& row) {
                             const auto columns = m.view().row_columns(static_cast<std::int64_t>(i));
                             const auto values = m.view().row_values(static_cast<std::int64_t>(i));
                             std::vector<std::uint64_t> keys;
                             for (std::size_t p = 0; p < columns.size(); ++p)
                               keys.push_back(kernels::rank_key(std::fabs(values[p]), static_cast<std::uint32_t>(p)));
                             if (keys.size() > num_kept) {
                               std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(num_kept), keys.end(), std::greater<>());
                               keys.resize(num_kept);
                             }
                             for (const std::uint64_t key : keys) row.add(columns[kernels::key_index(key)], values[kernels::key_index(key)]);
                           });
}

}  // namespace

void LinearSequenceOptions::validate() const {
  require_options(*this);
  detail::require(forward > 0 || backward > 0, "backward", backward, "> 0 where forward is 0");
}

LinearSequenceModel::LinearSequenceModel(LinearSequenceOptions options) : options_(options) {
  options_.validate();
  set_query_weights(options_.query_decay, options_.max_history);
}

FitReport LinearSequenceModel::fit(const Sequences& sequences, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  detail::check_training_shape(sequences.size(), sequences.num_items());
  const auto n = static_cast<std::size_t>(sequences.num_items());
  const double bytes = 4.0 * static_cast<double>(n) * static_cast<double>(n);
  const bool fits = bytes <= static_cast<double>(options_.memory_budget);
  if (options_.method.given() && options_.method == LinearSequenceMethod::kExact && !fits)
    throw std::invalid_argument("memory_budget is " + std::to_string(options_.memory_budget) + ", must be at least 4 num_items^2 = " +
                                std::to_string(static_cast<std::int64_t>(bytes)) + " bytes for the exact method");
  bool stopped = false;
  LinearSequenceOptions o = settled(options_, sequences, callback, &stopped);
  o.method.settle(fits ? LinearSequenceMethod::kExact : LinearSequenceMethod::kCandidates);
  const bool exact = o.method == LinearSequenceMethod::kExact;
  const Sources sources(sequences, o);
  detail::Watch watch(callback);
  if (stopped) watch.stop();
  // Row j: what stands near the places of j.
  const CsrMatrix targets = detail::make_rows(n, n, 0, o.num_threads, [&](std::size_t j, detail::SparseScores& row) {
    for (const std::size_t t : sources.places_of(j)) sources.each_source(t, [&](std::int32_t i, float v) { row.add(i, v); });
  }, &watch, "pairs");
  const CsrMatrix gram = detail::make_rows(n, n, 0, o.num_threads, [&](std::size_t i, detail::SparseScores& row) {
    for (const std::size_t p : sources.places_of(i))
      sources.each_target(p, [&](std::size_t t, float v) {
        sources.each_source(t, [&](std::int32_t other, float u) { row.add(other, v * u); });
      });
  }, &watch, "gram");
  const float l2 = o.l2;
  std::vector<float> diagonal(n, l2);
  for (std::size_t i = 0; i < n; ++i) {
    const auto columns = gram.view().row_columns(static_cast<std::int64_t>(i));
    const auto at = std::lower_bound(columns.begin(), columns.end(), static_cast<std::int32_t>(i));
    if (at == columns.end() || *at != static_cast<std::int32_t>(i)) continue;
    const float square = gram.view().row_values(static_cast<std::int64_t>(i))[static_cast<std::size_t>(at - columns.begin())];
    diagonal[i] = square + l2 * std::pow(square, o.ridge_exponent.value());
  }
  // A Gram matrix that lacks rows says nothing: whoever stops before it is complete gets popularity alone.
  CsrMatrix solved{gram.rows, gram.cols, Array<std::int64_t>(n + 1), {}, {}};
  if (!watch.stopped())
    solved = exact ? solve_exact(gram, targets, diagonal, o.num_threads, watch) : solve_candidates(gram, targets, diagonal, o, watch);
  CsrMatrix weights = transpose(solved.view(), o.num_threads);
  if (o.num_neighbors > 0) weights = strongest(weights, static_cast<std::size_t>(o.num_neighbors), o.num_threads);
  Array<float> column_scale;
  if (o.column_exponent > 0) {
    column_scale = Array<float>(n);
    float* c = column_scale.mutable_data();
    for (std::size_t j = 0; j < n; ++j)
      if (!sources.places_of(j).empty())
        c[j] = static_cast<float>(std::pow(static_cast<double>(sources.places_of(j).size()), -static_cast<double>(o.column_exponent)));
  }
  options_ = o;
  take_sequences(sequences, o.keep_history);
  set_query_weights(o.query_decay, o.max_history);
  set_weights(std::move(weights), {}, std::move(column_scale));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return finish("regression", seconds, callback, watch.stopped());
}

void LinearSequenceModel::save_state(StateWriter& writer) const { DirectedItemModel::save_state(writer); put_options(writer, options_); }

std::shared_ptr<LinearSequenceModel> LinearSequenceModel::from_state(const StateReader& reader) {
  return made_of_state<LinearSequenceModel>(reader, [&](auto& m) { m.load_sequences(reader); m.load_weights(reader); });
}

}  // namespace etalage
