// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/transitions.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "models/occurrences.hpp"
#include "models/option_state.hpp"
#include "models/sparse_rows.hpp"

namespace etalage {
namespace {

constexpr auto each_option = [](auto& o, const auto& visit) {
  visit("forward", o.forward);
  visit("backward", o.backward);
  visit("decay", o.decay);
  visit("window", o.window);
  visit("row_exponent", o.row_exponent);
  visit("column_exponent", o.column_exponent);
  visit("query_decay", o.query_decay);
  visit("max_history", o.max_history);
  visit("keep_history", o.keep_history);
};

Array<float> inverse_powers(const std::vector<double>& sums, float exponent) {
  if (exponent == 0.0f) return {};
  Array<float> out(sums.size());
  float* o = out.mutable_data();
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (sums[i] > 0) o[i] = static_cast<float>(std::pow(sums[i], -static_cast<double>(exponent)));
  return out;
}

/// a + b, the shape of the larger.
CsrMatrix sum(const CsrMatrix& a, const CsrMatrix& b, std::size_t n) {
  CsrMatrix out{static_cast<std::int64_t>(n), static_cast<std::int64_t>(n), Array<std::int64_t>(n + 1), {}, {}};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  columns.reserve(a.columns.size() + b.columns.size());
  values.reserve(a.columns.size() + b.columns.size());
  std::int64_t* offsets = out.offsets.mutable_data();
  for (std::size_t r = 0; r < n; ++r) {
    const auto row = static_cast<std::int64_t>(r);
    const bool in_a = row < a.rows;
    const bool in_b = row < b.rows;
    const auto ac = in_a ? a.view().row_columns(row) : std::span<const std::int32_t>{};
    const auto bc = in_b ? b.view().row_columns(row) : std::span<const std::int32_t>{};
    const auto av = in_a ? a.view().row_values(row) : std::span<const float>{};
    const auto bv = in_b ? b.view().row_values(row) : std::span<const float>{};
    std::size_t p = 0;
    std::size_t q = 0;
    while (p < ac.size() || q < bc.size()) {
      const bool take_a = q == bc.size() || (p < ac.size() && ac[p] <= bc[q]);
      const bool take_b = p == ac.size() || (q < bc.size() && bc[q] <= ac[p]);
      columns.push_back(take_a ? ac[p] : bc[q]);
      values.push_back((take_a ? av[p] : 0.0f) + (take_b ? bv[q] : 0.0f));
      p += take_a ? 1 : 0;
      q += take_b ? 1 : 0;
    }
    offsets[r + 1] = static_cast<std::int64_t>(columns.size());
  }
  out.columns = Array<std::int32_t>(columns);
  out.values = Array<float>(values);
  return out;
}

}  // namespace

void TransitionsOptions::validate() const {
  detail::require_finite(forward >= 0, "forward", forward, "finite and >= 0");
  detail::require_finite(backward >= 0, "backward", backward, "finite and >= 0");
  detail::require(forward > 0 || backward > 0, "backward", backward, "> 0 where forward is 0");
  detail::require_finite(decay >= 0, "decay", decay, "finite and >= 0 (0 means no decay)");
  detail::require(window >= 1, "window", window, ">= 1");
  detail::require_at_most("window", window, detail::kMostWindow);
  detail::require_finite(row_exponent >= 0, "row_exponent", row_exponent, "finite and >= 0");
  detail::require_finite(column_exponent >= 0, "column_exponent", column_exponent, "finite and >= 0");
  detail::require_finite(query_decay >= 0, "query_decay", query_decay, "finite and >= 0 (0 means no decay)");
  detail::require(max_history >= 1, "max_history", max_history, ">= 1");
  detail::require(num_threads >= 0, "num_threads", num_threads, ">= 0 (0 means all CPUs)");
}

TransitionsModel::TransitionsModel(TransitionsOptions options) : options_(options) {
  options_.validate();
  set_query_weights(options_.query_decay, options_.max_history);
}

CsrMatrix TransitionsModel::count_pairs(const Sequences& sequences) const {
  const detail::Occurrences occurrences(sequences);
  const std::size_t longest = [&] {
    std::size_t most = 1;
    for (std::int64_t s = 0; s < sequences.size(); ++s) most = std::max(most, sequences.items_of(s).size());
    return most;
  }();
  const std::size_t window = std::min(static_cast<std::size_t>(options_.window), longest);
  std::vector<float> decayed(window + 1);
  for (std::size_t d = 1; d <= window; ++d)
    decayed[d] = options_.decay > 0 ? std::exp(-static_cast<float>(d - 1) / options_.decay) : 1.0f;
  const auto n = static_cast<std::size_t>(sequences.num_items());
  const std::int32_t* items = sequences.items().data();
  return detail::make_rows(n, n, 0, options_.num_threads, [&](std::size_t i, detail::SparseScores& row) {
    for (const std::size_t p : occurrences.of(i)) {
      const std::size_t behind = std::min(window, p - occurrences.list_begin(p));
      const std::size_t ahead = std::min(window, occurrences.list_end(p) - 1 - p);
      if (options_.backward > 0)
        for (std::size_t d = 1; d <= behind; ++d) row.add(items[p - d], options_.backward * decayed[d]);
      if (options_.forward > 0)
        for (std::size_t d = 1; d <= ahead; ++d) row.add(items[p + d], options_.forward * decayed[d]);
    }
  });
}

void TransitionsModel::set_counts(CsrMatrix counts) {
  const auto n = static_cast<std::size_t>(counts.rows);
  std::vector<double> rows(n);
  std::vector<double> columns(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto c = counts.view().row_columns(static_cast<std::int64_t>(i));
    const auto v = counts.view().row_values(static_cast<std::int64_t>(i));
    for (std::size_t p = 0; p < c.size(); ++p) {
      rows[i] += static_cast<double>(v[p]);
      columns[static_cast<std::size_t>(c[p])] += static_cast<double>(v[p]);
    }
  }
  Array<float> row_scale = inverse_powers(rows, options_.row_exponent);
  Array<float> column_scale = inverse_powers(columns, options_.column_exponent);
  set_weights(std::move(counts), std::move(row_scale), std::move(column_scale));
}

FitReport TransitionsModel::fit(const Sequences& sequences, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  CsrMatrix counts = count_pairs(sequences);
  take_sequences(sequences, options_.keep_history);
  set_counts(std::move(counts));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return finish("pairs", seconds, callback);
}

void TransitionsModel::add_sessions(const Sequences& sequences) {
  require_fitted();
  const Sequences more = translated(sequences);
  const auto n = static_cast<std::size_t>(std::max(num_items(), more.num_items()));
  CsrMatrix counts = sum(weights(), count_pairs(more), n);
  add_counts(more);
  set_counts(std::move(counts));
}

void TransitionsModel::save_state(StateWriter& writer) const {
  DirectedItemModel::save_state(writer);
  put_options(writer, options_, each_option);
}

std::shared_ptr<TransitionsModel> TransitionsModel::from_state(const StateReader& reader) {
  auto model = std::make_shared<TransitionsModel>(get_options<TransitionsOptions>(reader, each_option));
  model->load_sequences(reader);
  model->load_weights(reader);
  return model;
}

}  // namespace etalage
