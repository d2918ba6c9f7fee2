// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/ease.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "kernels/als_kernels.hpp"
#include "models/column_fit.hpp"
#include "models/option_state.hpp"
#include "models/sparse_product.hpp"
#include "models/spd_inverse.hpp"

namespace etalage {
namespace {

/// visit("name", field) for every option.
constexpr auto each_option = [](auto& o, const auto& visit) {
  visit("l2", o.l2);
  visit("num_neighbors", o.num_neighbors);
  visit("method", o.method);
  visit("memory_budget", o.memory_budget);
  visit("num_candidates", o.num_candidates);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

double exact_bytes(std::int64_t num_items) { return 4.0 * static_cast<double>(num_items) * static_cast<double>(num_items); }

/// Upper triangle of X^T X + l2 I.
void fill_gram(const CsrMatrix& user_items, float l2, int num_threads, float* a) {
  const CsrMatrix item_users = transpose(user_items.view(), num_threads);
  const CsrView users = user_items.view();
  const CsrView items = item_users.view();
  const auto n = static_cast<std::size_t>(items.rows);
  detail::parallel_for(n, 16, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin; i < end; ++i) {
      float* row = a + i * n;
      std::fill_n(row, n, 0.0f);
      const auto of_item = items.row_columns(static_cast<std::int64_t>(i));
      const auto values = items.row_values(static_cast<std::int64_t>(i));
      for (std::size_t p = 0; p < of_item.size(); ++p) {
        const auto columns = users.row_columns(of_item[p]);
        const auto entries = users.row_values(of_item[p]);
        auto q = static_cast<std::size_t>(std::lower_bound(columns.begin(), columns.end(), static_cast<std::int32_t>(i)) - columns.begin());
        for (; q < columns.size(); ++q) row[columns[q]] += values[p] * entries[q];
      }
      row[i] += l2;
    }
  });
}

/// From the matrix swept over its first `done` rows (all: minus the inverse), upper triangle, to W in place.
void to_weights(float* a, std::size_t n, std::size_t done, int num_threads) {
  std::vector<float> scale(n, 1.0f);
  for (std::size_t j = 0; j < done; ++j) scale[j] = -1.0f / a[j * n + j];
  constexpr std::size_t kTile = 64;
  const std::size_t tiles = (n + kTile - 1) / kTile;
  detail::parallel_for(tiles, 1, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i0 = begin * kTile; i0 < std::min(n, end * kTile); i0 += kTile)
      for (std::size_t j0 = i0; j0 < n; j0 += kTile)
        for (std::size_t i = i0; i < std::min(n, i0 + kTile); ++i)
          for (std::size_t j = std::max(j0, i); j < std::min(n, j0 + kTile); ++j) {
            const float v = a[i * n + j];
            a[j * n + i] = j < done ? v * scale[i] : 0.0f;
            a[i * n + j] = i < done ? v * scale[j] : 0.0f;
            if (i == j) a[i * n + i] = 0.0f;
          }
  });
}

/// The num_kept entries of largest size of each row.
CsrMatrix pruned(const float* a, std::size_t n, std::size_t num_kept, int num_threads) {
  const std::size_t kept = std::min(num_kept, n);
  std::vector<std::int64_t> sizes(n);
  Array<std::int32_t> columns(n * kept, uninitialized);
  Array<float> values(n * kept, uninitialized);
  std::int32_t* to_column = columns.mutable_data();
  float* to_value = values.mutable_data();
  detail::parallel_for(n, 16, num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<std::uint64_t> keys(n);
    for (std::size_t i = begin; i < end; ++i) {
      std::size_t count = 0;
      for (std::size_t j = 0; j < n; ++j)
        if (a[i * n + j] != 0.0f) keys[count++] = kernels::rank_key(std::fabs(a[i * n + j]), static_cast<std::uint32_t>(j));
      if (count > kept) {
        std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(kept), keys.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>());
        count = kept;
      }
      std::sort(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(count),
                [](std::uint64_t x, std::uint64_t y) { return kernels::key_index(x) < kernels::key_index(y); });
      for (std::size_t p = 0; p < count; ++p) {
        const std::uint32_t j = kernels::key_index(keys[p]);
        to_column[i * kept + p] = static_cast<std::int32_t>(j);
        to_value[i * kept + p] = a[i * n + j];
      }
      sizes[i] = static_cast<std::int64_t>(count);
    }
  });
  CsrMatrix w{static_cast<std::int64_t>(n), static_cast<std::int64_t>(n), Array<std::int64_t>(n + 1), {}, {}};
  std::int64_t* offsets = w.offsets.mutable_data();
  for (std::size_t i = 0; i < n; ++i) {
    offsets[i + 1] = offsets[i] + sizes[i];
    std::copy_n(to_column + i * kept, sizes[i], to_column + offsets[i]);
    std::copy_n(to_value + i * kept, sizes[i], to_value + offsets[i]);
  }
  w.columns = Array<std::int32_t>(columns.view().first(static_cast<std::size_t>(offsets[n])));
  w.values = Array<float>(values.view().first(static_cast<std::size_t>(offsets[n])));
  return w;
}

}  // namespace

void EaseOptions::validate() const {
  using detail::require;
  detail::require_finite(l2 > 0, "l2", l2, "finite and > 0");
  require(num_neighbors >= 0, "num_neighbors", num_neighbors, ">= 0 (0 keeps all)");
  require(static_cast<int>(method) <= static_cast<int>(EaseMethod::kApproximate), "method", static_cast<int>(method), "an EaseMethod");
  require(memory_budget > 0, "memory_budget", memory_budget, "> 0 bytes");
  require(num_candidates >= 1, "num_candidates", num_candidates, ">= 1");
  require(num_threads >= 0, "num_threads", num_threads, ">= 0 (0 means all CPUs)");
}

EaseModel::EaseModel(EaseOptions options) : options_(options) { options_.validate(); }

FitReport EaseModel::fit(const Interactions& data, const ProgressCallback& callback) {
  const double bytes = exact_bytes(data.num_items());
  const bool fits = bytes <= static_cast<double>(options_.memory_budget);
  if (options_.method == EaseMethod::kExact && !fits)
    throw std::invalid_argument("memory_budget is " + std::to_string(options_.memory_budget) + ", must be at least 4 num_items^2 = " +
                                std::to_string(static_cast<std::int64_t>(bytes)) + " bytes for the exact method");
  return fits && options_.method != EaseMethod::kApproximate ? fit_exact(data, callback) : fit_approximate(data, callback);
}

FitReport EaseModel::fit_exact(const Interactions& data, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(); };
  const EaseOptions& o = options_;
  const auto n = static_cast<std::size_t>(data.num_items());
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  Array<float> w(n * n, uninitialized);
  float* a = w.mutable_data();
  fill_gram(data.user_items(), o.l2, o.num_threads, a);
  report.phase_seconds.emplace_back("gram", since());
  std::size_t done = 0;
  const bool finished = negated_inverse(a, n, n, o.num_threads, [&](std::size_t rows) {
    done = rows;
    return !callback || callback({static_cast<int>(rows), static_cast<int>(n), since(), std::numeric_limits<double>::quiet_NaN(), "inverse"}) ||
           rows == n;
  });
  if (!finished) report.stop_reason = FitReport::StopReason::kCancelled;
  report.phase_seconds.emplace_back("inverse", since() - report.phase_seconds[0].second);
  to_weights(a, n, done, o.num_threads);
  for (std::size_t p = 0; p < n; ++p)
    if (!std::isfinite(a[p * n + (p + 1) % n])) throw NumericalError("a weight of item " + std::to_string(p) + " is not finite; a larger l2 helps");
  report.iterations = 1;
  report.seconds = since();
  if (o.num_neighbors == 0 || n == 0) {
    finish_fit(data, std::move(w), o.keep_history, report);
  } else {
    CsrMatrix sparse = pruned(a, n, static_cast<std::size_t>(o.num_neighbors), o.num_threads);
    w = {};
    report.seconds = since();
    finish_fit(data, std::move(sparse), o.keep_history, report);
  }
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
  if (o.num_neighbors > 0) w = top_entries(w, static_cast<std::size_t>(o.num_neighbors));
  finish_fit(data, std::move(w), o.keep_history, report);
  return report;
}

void EaseModel::save_state(StateWriter& writer) const {
  ItemSimilarityModel::save_state(writer);
  put_options(writer, options_, each_option);
}

std::shared_ptr<EaseModel> EaseModel::from_state(const StateReader& reader) {
  auto model = std::make_shared<EaseModel>(get_options<EaseOptions>(reader, each_option));
  model->load_weights(reader);
  model->load_base(reader);
  return model;
}

}  // namespace etalage
