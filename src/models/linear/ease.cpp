// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/ease.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "models/auto_settings.hpp"
#include "kernels/als_kernels.hpp"
#include "models/linear/column_fit.hpp"
#include "models/linear/ease_dual.hpp"
#include "models/linear/ease_memory.hpp"
#include "models/neighbour/sparse_product.hpp"
#include "models/linear/sparse_first_inverse.hpp"
#include "models/training_data.hpp"

namespace etalage {
namespace {

/// (users of item)^-penalty; empty where the penalty is 0. `columns` has a row for each item.
std::vector<float> penalties(const CsrMatrix& columns, float penalty) {
  std::vector<float> out;
  if (penalty == 0.0f) return out;
  for (std::int64_t j = 0; j < columns.rows; ++j)
    out.push_back(std::pow(static_cast<float>(std::max<std::size_t>(1, columns.view().row_size(j))), -penalty));
  return out;
}

void penalize(float* rows, std::size_t count, const std::vector<float>& penalty, int num_threads) {
  const std::size_t n = penalty.size();
  detail::parallel_for(n == 0 ? 0 : count, 16, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r)
      for (std::size_t j = 0; j < n; ++j) rows[r * n + j] *= penalty[j];
  });
}

/// From minus the inverse, upper triangle, to W in place; rows and columns that are zero stay so.
void to_weights(float* a, std::size_t n, const std::vector<float>& penalty, int num_threads) {
  std::vector<float> scale(n, 0.0f);
  for (std::size_t j = 0; j < n; ++j)
    if (a[j * n + j] != 0.0f) scale[j] = -(penalty.empty() ? 1.0f : penalty[j]) / a[j * n + j];
  constexpr std::size_t kTile = 64;
  const std::size_t tiles = (n + kTile - 1) / kTile;
  detail::parallel_for(tiles, 1, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i0 = begin * kTile; i0 < std::min(n, end * kTile); i0 += kTile)
      for (std::size_t j0 = i0; j0 < n; j0 += kTile)
        for (std::size_t i = i0; i < std::min(n, i0 + kTile); ++i)
          for (std::size_t j = std::max(j0, i); j < std::min(n, j0 + kTile); ++j) {
            const float v = a[i * n + j];
            a[j * n + i] = v * scale[i];
            a[i * n + j] = v * scale[j];
            if (i == j) a[i * n + i] = 0.0f;
          }
  });
}

/// The num_kept entries of largest size of each row, rows handed over in any order and from any thread.
class Pruned {
 public:
  Pruned(std::size_t n, std::size_t num_kept) : n_(n), kept_(std::min(num_kept, n)), rows_(n) {}

  /// penalty: of the rows' columns, or empty.
  void take(std::size_t first, std::size_t count, const float* rows, const std::vector<float>& penalty) {
    std::vector<std::uint64_t> keys(n_);
    std::vector<float> scaled(penalty.size());
    for (std::size_t r = 0; r < count; ++r) {
      const float* row = rows + r * n_;
      if (!penalty.empty()) {
        std::transform(row, row + n_, penalty.begin(), scaled.begin(), std::multiplies<>());
        row = scaled.data();
      }
      std::size_t found = 0;
      for (std::size_t j = 0; j < n_; ++j)
        if (row[j] != 0.0f) keys[found++] = kernels::rank_key(std::fabs(row[j]), static_cast<std::uint32_t>(j));
      const auto begin = keys.begin();
      if (found > kept_) std::nth_element(begin, begin + static_cast<std::ptrdiff_t>(kept_), begin + static_cast<std::ptrdiff_t>(found), std::greater<>());
      found = std::min(found, kept_);
      auto& to = rows_[first + r];
      for (std::size_t p = 0; p < found; ++p) {
        const std::uint32_t j = kernels::key_index(keys[p]);
        to.push_back({static_cast<std::int32_t>(j), row[j]});
      }
      std::sort(to.begin(), to.end(), [](const ItemScore& x, const ItemScore& y) { return x.item < y.item; });
    }
  }
  [[nodiscard]] CsrMatrix matrix() const {
    const auto n = static_cast<std::int64_t>(n_);
    CsrMatrix w{n, n, Array<std::int64_t>(n_ + 1), {}, {}};
    std::int64_t* offsets = w.offsets.mutable_data();
    for (std::size_t i = 0; i < n_; ++i) offsets[i + 1] = offsets[i] + static_cast<std::int64_t>(rows_[i].size());
    w.columns = Array<std::int32_t>(static_cast<std::size_t>(offsets[n_]), uninitialized);
    w.values = Array<float>(static_cast<std::size_t>(offsets[n_]), uninitialized);
    std::int32_t* columns = w.columns.mutable_data();
    float* values = w.values.mutable_data();
    for (const auto& row : rows_)
      for (const ItemScore& e : row) {
        *columns++ = e.item;
        *values++ = e.score;
      }
    return w;
  }

 private:
  std::size_t n_, kept_;
  std::vector<std::vector<ItemScore>> rows_;
};

/// From X^T X + l2 I, upper triangle, to W in place, with num_neighbors to the largest entries of its rows in `kept`; false when stopped.
bool solve_gram(float* a, std::size_t n, const EaseOptions& o, const std::vector<float>& penalty, const std::function<bool(std::size_t)>& after,
                CsrMatrix& kept) {
  const bool finished = sparse_first_inverse(a, n, n, o.num_threads, after);
  to_weights(a, n, penalty, o.num_threads);
  if (o.num_neighbors > 0) {
    Pruned pruned(n, static_cast<std::size_t>(o.num_neighbors));
    detail::parallel_for(n, 16, o.num_threads, [&](std::size_t begin, std::size_t end, int) { pruned.take(begin, end - begin, a + begin * n, {}); });
    kept = pruned.matrix();
  }
  return finished;
}

enum class Way : std::uint8_t { kItems, kUsers, kApproximate };

/// How fit() goes about data of this size.
Way way_of(EaseOptions options, double users, double items) {
  const detail::EaseBytes bytes = detail::ease_bytes(options, users, items);
  const auto budget = static_cast<double>(options.memory_budget);
  options.method.settle(detail::ease_method(options, users, items));
  if (options.method == EaseMethod::kApproximate) return Way::kApproximate;
  if (bytes.least() > budget)
    throw std::invalid_argument("memory_budget is " + std::to_string(options.memory_budget) + ", must be at least " +
                                std::to_string(static_cast<std::int64_t>(bytes.least())) + " bytes for the exact method");
  return bytes.over_items > budget || (users < 0.8 * items && bytes.over_users <= budget) ? Way::kUsers : Way::kItems;
}

}  // namespace

void EaseOptions::validate() const {
  require_options(*this);
}

EaseModel::EaseModel(EaseOptions options) : options_(options) { options_.validate(); }

FitReport EaseModel::fit(const Interactions& data, const ProgressCallback& callback) {
  detail::check_training_rows(data.user_items());
  const EaseOptions before = options_;
  options_ = settled(options_, shape_of(data));
  try {
    return fit_settled(data, callback);
  } catch (...) {
    options_ = before;
    throw;
  }
}

FitReport EaseModel::fit_settled(const Interactions& data, const ProgressCallback& callback) {
  const Way way = way_of(options_, static_cast<double>(data.num_users()), static_cast<double>(data.num_items()));
  return way == Way::kApproximate ? fit_approximate(data, callback) : fit_exact(data, callback, way == Way::kUsers);
}

bool EaseModel::over_items(const EaseOptions& options, std::int64_t users, std::int64_t items) {
  options.validate();
  return way_of(options, static_cast<double>(users), static_cast<double>(items)) == Way::kItems;
}

std::shared_ptr<EaseModel> EaseModel::from_gram(const EaseOptions& options, const Interactions& data, std::span<const CsrMatrix> blocks,
                                                int num_threads, double seconds) {
  detail::check_training_rows(data.user_items());
  EaseOptions o = options;
  o.num_threads = num_threads;
  auto model = std::make_shared<EaseModel>(o);
  const std::int64_t items = data.num_items();
  const auto n = static_cast<std::size_t>(items);
  const Way way = way_of(o, static_cast<double>(data.num_users()), static_cast<double>(items));
  if (way == Way::kApproximate)
    throw std::invalid_argument("data has " + std::to_string(items) + " items, must be few enough for the exact method by these options");
  std::int64_t found = 0;
  bool whole = true;
  for (const CsrMatrix& block : blocks) {
    validate(block.view(), "blocks");
    found += block.rows;
    whole = whole && block.cols == items;
  }
  if (!whole || found != (way == Way::kItems ? items : 0))
    throw std::invalid_argument("blocks have " + std::to_string(found) + " rows, must have one of " + std::to_string(items) +
                                " columns for each of the data's items, and none where the model is solved over users");
  model->options_.method.settle(EaseMethod::kExact);
  FitReport report;
  if (way == Way::kUsers) {
    report = model->fit_exact(data, {}, true);
  } else {
    Array<float> gram(n * n, uninitialized);
    float* a = gram.mutable_data();
    std::size_t first = 0;
    for (const CsrMatrix& block : blocks) {
      const CsrView rows = block.view();
      detail::parallel_for(static_cast<std::size_t>(rows.rows), 16, num_threads, [&](std::size_t begin, std::size_t end, int) {
        for (std::size_t r = begin; r < end; ++r) {
          float* row = a + (first + r) * n;
          std::fill_n(row, n, 0.0f);
          const auto columns = rows.row_columns(static_cast<std::int64_t>(r));
          const auto values = rows.row_values(static_cast<std::int64_t>(r));
          for (std::size_t p = 0; p < columns.size(); ++p) row[columns[p]] = values[p];
          row[first + r] += o.l2;
        }
      });
      first += static_cast<std::size_t>(rows.rows);
    }
    std::vector<float> penalty;
    if (o.popularity_penalty > 0) penalty = penalties(transpose(data.user_items().view(), num_threads), o.popularity_penalty);
    CsrMatrix kept;
    solve_gram(a, n, o, penalty, [](std::size_t) { return true; }, kept);
    report.stop_reason = FitReport::StopReason::kClosedForm;
    report.iterations = 1;
    report.seconds = seconds;
    if (o.num_neighbors == 0) model->finish_fit(data, std::move(gram), o.keep_history, report);
    else model->finish_fit(data, std::move(kept), o.keep_history, report);
  }
  model->options_ = options;
  return model;
}

FitReport EaseModel::fit_exact(const Interactions& data, const ProgressCallback& callback, bool over_users) {
  const auto started = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(); };
  const EaseOptions& o = options_;
  const auto n = static_cast<std::size_t>(data.num_items());
  const CsrMatrix& rows = data.user_items();
  const CsrMatrix columns = transpose(rows.view(), o.num_threads);
  const bool dense = o.num_neighbors == 0;
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  const auto total = static_cast<std::size_t>(over_users ? data.num_users() : data.num_items());
  const auto after = [&](std::size_t swept) {
    return !callback || callback({static_cast<int>(swept), static_cast<int>(total), since(), std::numeric_limits<double>::quiet_NaN(), "inverse"}) ||
           swept == total;
  };
  Array<float> w(dense || !over_users ? n * n : 0, uninitialized);
  float* a = w.mutable_data();
  CsrMatrix kept;
  const std::vector<float> penalty = penalties(columns, o.popularity_penalty);
  bool finished = true;
  if (over_users) {
    Pruned pruned(dense ? 0 : n, static_cast<std::size_t>(o.num_neighbors));
    finished = dual_weights(
        rows, columns, o.l2, o.num_threads, after, [&](std::size_t first) { return dense ? a + first * n : nullptr; },
        [&](std::size_t first, std::size_t count, const float* made) {
          if (!dense) pruned.take(first, count, made, penalty);
        });
    if (dense) penalize(a, n, penalty, o.num_threads);
    else kept = pruned.matrix();
    report.phase_seconds.emplace_back("inverse", since());
  } else {
    fill_gram(rows, columns, o.l2, o.num_threads, a);
    report.phase_seconds.emplace_back("gram", since());
    finished = solve_gram(a, n, o, penalty, after, kept);
    report.phase_seconds.emplace_back("inverse", since() - report.phase_seconds[0].second);
  }
  if (!finished) report.stop_reason = FitReport::StopReason::kCancelled;
  report.iterations = 1;
  report.seconds = since();
  if (dense) finish_fit(data, std::move(w), o.keep_history, report);
  else finish_fit(data, std::move(kept), o.keep_history, report);
  return report;
}

FitReport EaseModel::fit_approximate(const Interactions& data, const ProgressCallback& callback) {
  const EaseOptions& o = options_;
  const kernels::AlsTable& kernel = kernels::als();
  struct Work {
    Array<float> right;
  };
  FitReport report;
  CsrMatrix w = fit_columns<Work>(
      data.user_items(), static_cast<std::size_t>(o.num_candidates), o.num_threads, callback, report,
      [&](LocalGram& gram, Work& work, std::span<float> weights, std::int32_t item) {
        // The item's own row and column, the last of the matrix, become the right side and then the padding's identity.
        const std::size_t m = weights.size();
        const std::size_t ld = gram.stride();
        const std::size_t n = (m + kernels::kAlsPad - 1) / kernels::kAlsPad * kernels::kAlsPad;
        float* g = gram.gram();
        if (work.right.size() < n) work.right = Array<float>(n);
        float* b = work.right.mutable_data();
        for (std::size_t i = 0; i < m; ++i) {
          b[i] = g[i * ld + m];
          g[i * ld + i] += o.l2;
        }
        for (std::size_t i = m; i < n; ++i) {
          for (std::size_t r = 0; r < i; ++r) g[r * ld + i] = 0.0f;
          g[i * ld + i] = 1.0f;
          b[i] = 0.0f;
        }
        const std::size_t good = kernel.cholesky(g, ld, n);
        if (good < n)
          throw NumericalError("the candidates of item " + std::to_string(item) + " have no positive definite Gram matrix in float32; a larger l2 helps");
        kernel.solve(g, ld, n, b);
        std::copy_n(b, m, weights.data());
      });
  if (o.popularity_penalty > 0) {
    const std::vector<float> penalty = penalties(transpose(data.user_items().view(), o.num_threads), o.popularity_penalty);
    float* values = w.values.mutable_data();
    for (std::size_t p = 0; p < w.columns.size(); ++p) values[p] *= penalty[static_cast<std::size_t>(w.columns[p])];
  }
  if (o.num_neighbors > 0) w = top_entries(w, static_cast<std::size_t>(o.num_neighbors));
  finish_fit(data, std::move(w), o.keep_history, report);
  return report;
}

void EaseModel::save_state(StateWriter& writer) const { ItemSimilarityModel::save_state(writer); put_options(writer, options_); }

std::shared_ptr<EaseModel> EaseModel::from_state(const StateReader& reader) {
  return made_of_state<EaseModel>(reader, [&](auto& m) { m.load_weights(reader); m.load_base(reader); });
}

}  // namespace etalage
