// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/transitions.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "models/neighbour/occurrences.hpp"
#include "models/sparse_rows.hpp"

namespace etalage {
namespace {

Array<float> inverse_powers(const std::vector<double>& sums, float exponent) {
  if (exponent == 0.0f) return {};
  Array<float> out(sums.size());
  float* o = out.mutable_data();
  for (std::size_t i = 0; i < sums.size(); ++i)
    if (sums[i] > 0) o[i] = static_cast<float>(std::pow(sums[i], -static_cast<double>(exponent)));
  return out;
}

void rescale(Array<float>& scale, const std::vector<double>& sums, const std::vector<std::int32_t>& items, float exponent) {
  if (exponent == 0.0f) return;
  scale.resize(sums.size());
  float* out = scale.mutable_data();
  for (const std::int32_t i : items) {
    const double sum = sums[static_cast<std::size_t>(i)];
    out[i] = sum > 0 ? static_cast<float>(std::pow(sum, -static_cast<double>(exponent))) : 0.0f;
  }
}

}  // namespace

/// Of W, from which the scales are made.
struct TransitionsModel::Sums {
  std::vector<double> rows;
  std::vector<double> columns;
};

void TransitionsOptions::validate() const {
  require_options(*this);
  detail::require(forward > 0 || backward > 0, "backward", backward, "> 0 where forward is 0");
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

void TransitionsModel::sum_up() {
  const auto n = static_cast<std::size_t>(num_items());
  const auto sums = std::make_shared<Sums>();
  sums->rows.assign(n, 0.0);
  sums->columns.assign(n, 0.0);
  for (std::int32_t i = 0; i < num_items(); ++i) {
    const auto c = row_columns(i);
    const auto v = row_values(i);
    for (std::size_t p = 0; p < c.size(); ++p) {
      sums->rows[static_cast<std::size_t>(i)] += static_cast<double>(v[p]);
      sums->columns[static_cast<std::size_t>(c[p])] += static_cast<double>(v[p]);
    }
  }
  sums_ = sums;
}

FitReport TransitionsModel::fit(const Sequences& sequences, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  CsrMatrix counts = count_pairs(sequences);
  take_sequences(sequences, options_.keep_history);
  set_weights(std::move(counts));
  sum_up();
  Array<float> row_scale = inverse_powers(sums_->rows, options_.row_exponent);
  Array<float> column_scale = inverse_powers(sums_->columns, options_.column_exponent);
  set_weights(weights(), std::move(row_scale), std::move(column_scale));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return finish("pairs", seconds, callback);
}

void TransitionsModel::add_sessions(const Sequences& sequences) {
  require_fitted();
  const Sequences more = translated(sequences);
  std::vector<std::int32_t> items(more.items().begin(), more.items().end());
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
  // Counted among these items alone: what is not in the lists costs nothing.
  Array<std::int32_t> places(more.items().size(), uninitialized);
  std::transform(more.items().begin(), more.items().end(), places.mutable_data(), [&](std::int32_t i) {
    return static_cast<std::int32_t>(std::lower_bound(items.begin(), items.end(), i) - items.begin());
  });
  CsrMatrix counts = count_pairs(Sequences(more.offsets(), std::move(places), {}, static_cast<std::int32_t>(items.size()), more.user_index()));
  for (std::int32_t& c : counts.columns.mutable_view()) c = items[static_cast<std::size_t>(c)];
  if (!sums_) sum_up();
  const auto n = static_cast<std::size_t>(std::max(num_items(), more.num_items()));
  auto sums = sums_.use_count() == 1 ? std::const_pointer_cast<Sums>(sums_) : std::make_shared<Sums>(*sums_);
  sums->rows.resize(n, 0.0);
  sums->columns.resize(n, 0.0);
  std::vector<std::int32_t> columns;
  for (std::size_t r = 0; r < items.size(); ++r) {
    const auto c = counts.view().row_columns(static_cast<std::int64_t>(r));
    const auto v = counts.view().row_values(static_cast<std::int64_t>(r));
    for (std::size_t p = 0; p < c.size(); ++p) {
      sums->rows[static_cast<std::size_t>(items[r])] += static_cast<double>(v[p]);
      sums->columns[static_cast<std::size_t>(c[p])] += static_cast<double>(v[p]);
      columns.push_back(c[p]);
    }
  }
  add_to_weights(items, counts, static_cast<std::int32_t>(n));
  add_counts(more);
  rescale(row_scale_to_change(), sums->rows, items, options_.row_exponent);
  rescale(column_scale_to_change(), sums->columns, columns, options_.column_exponent);
  sums_ = std::move(sums);
}

void TransitionsModel::save_state(StateWriter& writer) const { DirectedItemModel::save_state(writer); put_options(writer, options_); }

std::shared_ptr<TransitionsModel> TransitionsModel::from_state(const StateReader& reader) {
  return made_of_state<TransitionsModel>(reader, [&](auto& m) { m.load_sequences(reader); m.load_weights(reader); });
}

}  // namespace etalage
