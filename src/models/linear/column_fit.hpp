// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/progress.hpp"
#include "models/linear/local_gram.hpp"

namespace etalage {

/// W from one small problem an item: solve(gram, work, weights) gets the Gram matrix of the item's candidates (upper
/// triangle) whose last row and column are the item itself, and sets weights [candidates]; zeros are not stored. Work is
/// a thread's own. Fills the report; a callback that returns false leaves the columns of the other items empty.
template <class Work, class Solve>
CsrMatrix fit_columns(const CsrMatrix& user_items, std::size_t num_candidates, int num_threads, const ProgressCallback& callback,
                      FitReport& report, const Solve& solve) {
  const auto started = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(); };
  const CsrMatrix item_users = transpose(user_items.view(), num_threads);
  const CsrMatrix candidates = candidate_items(user_items.view(), item_users.view(), num_candidates, num_threads);
  report.phase_seconds.emplace_back("candidates", since());
  const auto n = static_cast<std::size_t>(candidates.rows);
  std::size_t most = 0;
  for (std::size_t j = 0; j < n; ++j) most = std::max(most, candidates.view().row_size(static_cast<std::int64_t>(j)));

  struct Thread {
    LocalGram gram;
    std::vector<std::int32_t> items;
    std::vector<float> weights;
    Work work;
  };
  // Weights take the candidates' places; what stays 0 is squeezed out at the end.
  Array<float> values(static_cast<std::size_t>(candidates.nnz()));
  float* const weights = values.mutable_data();
  std::vector<std::unique_ptr<Thread>> threads(static_cast<std::size_t>(detail::resolve_threads(num_threads)));
  constexpr std::size_t kGrain = 8;
  const std::size_t step = std::max<std::size_t>(kGrain, (n / 64 + kGrain - 1) / kGrain * kGrain);
  report.stop_reason = FitReport::StopReason::kClosedForm;
  std::size_t done = 0;
  while (done < n) {
    const std::size_t until = std::min(n, done + step);
    detail::parallel_for(until - done, kGrain, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
      auto& t = threads[static_cast<std::size_t>(thread)];
      if (!t) t = std::make_unique<Thread>(Thread{LocalGram(item_users.view(), most + 1), {}, {}, {}});
      for (std::size_t j = done + begin; j < done + end; ++j) {
        const auto list = candidates.view().row_columns(static_cast<std::int64_t>(j));
        if (list.empty()) continue;
        t->items.assign(list.begin(), list.end());
        t->items.push_back(static_cast<std::int32_t>(j));
        t->gram.build(t->items);
        t->weights.assign(list.size(), 0.0f);
        solve(t->gram, t->work, std::span<float>(t->weights), static_cast<std::int32_t>(j));
        std::copy(t->weights.begin(), t->weights.end(), weights + candidates.offsets[j]);
      }
    });
    done = until;
    if (callback && !callback({static_cast<int>(done), static_cast<int>(n), since(), std::numeric_limits<double>::quiet_NaN(), "items"})) {
      if (done < n) report.stop_reason = FitReport::StopReason::kCancelled;
      break;
    }
  }
  report.phase_seconds.emplace_back("weights", since() - report.phase_seconds[0].second);
  // Columns of W, without zeros.
  CsrMatrix columns{candidates.rows, candidates.rows, Array<std::int64_t>(n + 1), {}, {}};
  std::int64_t* offsets = columns.offsets.mutable_data();
  for (std::size_t j = 0; j < n; ++j) {
    offsets[j + 1] = offsets[j];
    for (auto p = candidates.offsets[j]; p < candidates.offsets[j + 1]; ++p) offsets[j + 1] += weights[p] != 0.0f;
  }
  columns.columns = Array<std::int32_t>(static_cast<std::size_t>(offsets[n]), uninitialized);
  columns.values = Array<float>(static_cast<std::size_t>(offsets[n]), uninitialized);
  std::int32_t* to_column = columns.columns.mutable_data();
  float* to_value = columns.values.mutable_data();
  for (std::size_t p = 0; p < candidates.columns.size(); ++p)
    if (weights[p] != 0.0f) {
      *to_column++ = candidates.columns[p];
      *to_value++ = weights[p];
    }
  CsrMatrix w = transpose(columns.view(), num_threads);
  report.iterations = 1;
  report.seconds = since();
  return w;
}

}  // namespace etalage
