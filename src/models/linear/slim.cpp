// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/slim.hpp"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "kernels/dense_kernels.hpp"
#include "models/linear/column_fit.hpp"
#include "models/training_data.hpp"

namespace etalage {
void SlimOptions::validate() const {
  require_options(*this);
}

SlimModel::SlimModel(SlimOptions options) : options_(options) { options_.validate(); }

FitReport SlimModel::fit(const Interactions& data, const ProgressCallback& callback) {
  detail::check_training_rows(data.user_items());
  const SlimOptions& o = options_;
  const kernels::DenseTable& kernel = kernels::dense();
  struct Work {
    std::vector<float> gradient;       // x_i . (x_j - X w) over the candidates i
    std::vector<std::size_t> active;   // candidates whose weight moved in the last full sweep
  };
  FitReport report;
  CsrMatrix w = fit_columns<Work>(
      data.user_items(), static_cast<std::size_t>(o.num_candidates), o.num_threads, callback, report,
      [&](LocalGram& gram, Work& work, std::span<float> weights, std::int32_t) {
        const std::size_t m = weights.size();
        const std::size_t ld = gram.stride();
        float* g = gram.gram();
        work.gradient.resize(m);
        float largest = 0;
        for (std::size_t i = 0; i < m; ++i) {
          work.gradient[i] = g[i * ld + m];
          largest = std::max(largest, std::fabs(work.gradient[i]));
          for (std::size_t k = i + 1; k < m; ++k) g[k * ld + i] = g[i * ld + k];
        }
        const float limit = o.tolerance * largest;
        // One step; returns by how much it moved the item's own gradient.
        const auto step = [&](std::size_t i) {
          const float square = g[i * ld + i];
          const float whole = work.gradient[i] + square * weights[i];
          const float size = std::max(std::fabs(whole) - o.l1, 0.0f);
          float next = size == 0.0f || (o.non_negative && whole < 0) ? 0.0f : std::copysign(size, whole) / (square + o.l2);
          if (!std::isfinite(next)) next = 0.0f;  // an item without users and no ridge
          const float moved = next - weights[i];
          if (moved == 0.0f) return 0.0f;
          weights[i] = next;
          const float minus = -moved;
          kernel.add_rows(g, ld, &i, &minus, 1, m, work.gradient.data());
          return std::fabs(moved) * (square + o.l2);
        };
        // Sweeps over those that moved until they rest, then over all, until all rest.
        std::int32_t sweeps = 0;
        while (sweeps < o.iterations) {
          float moved = 0;
          work.active.clear();
          for (std::size_t i = 0; i < m; ++i) {
            moved = std::max(moved, step(i));
            if (weights[i] != 0.0f) work.active.push_back(i);
          }
          ++sweeps;
          if (moved <= limit) break;
          for (moved = limit + 1; moved > limit && sweeps < o.iterations; ++sweeps) {
            moved = 0;
            for (const std::size_t i : work.active) moved = std::max(moved, step(i));
          }
        }
      });
  if (report.stop_reason == FitReport::StopReason::kClosedForm) report.stop_reason = FitReport::StopReason::kConverged;
  finish_fit(data, std::move(w), o.keep_history, report);
  return report;
}

void SlimModel::save_state(StateWriter& writer) const { ItemSimilarityModel::save_state(writer); put_options(writer, options_); }

std::shared_ptr<SlimModel> SlimModel::from_state(const StateReader& reader) {
  return made_of_state<SlimModel>(reader, [&](auto& m) { m.load_weights(reader); m.load_base(reader); });
}

}  // namespace etalage
