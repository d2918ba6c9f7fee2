// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/sequential_rules.hpp"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "models/sequence/gap_weight.hpp"
#include "models/neighbour/occurrences.hpp"
#include "models/sparse_rows.hpp"

namespace etalage {
void SequentialRulesOptions::validate() const {
  require_options(*this);
}

SequentialRulesModel::SequentialRulesModel(SequentialRulesOptions options) : options_(options) {
  options_.validate();
  set_query_weights(options_.query_decay, options_.max_history);
}

FitReport SequentialRulesModel::fit(const Sequences& sequences, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  const detail::Occurrences occurrences(sequences);
  std::vector<float> weight;
  for (std::size_t d = 1; d <= static_cast<std::size_t>(options_.max_gap) && d <= sequences.items().size(); ++d)
    weight.push_back(detail::gap_weight(options_.weighting, d));
  const auto n = static_cast<std::size_t>(sequences.num_items());
  const std::int32_t* items = sequences.items().data();
  CsrMatrix rules = detail::make_rows(
      n, n, static_cast<std::size_t>(options_.num_neighbors), options_.num_threads, [&](std::size_t i, detail::SparseScores& row) {
        const auto places = occurrences.of(i);
        for (const std::size_t p : places) {
          const std::size_t ahead = std::min(weight.size(), occurrences.list_end(p) - 1 - p);
          for (std::size_t d = 1; d <= ahead; ++d) row.add(items[p + d], weight[d - 1]);
        }
        row.sort_touched();
        for (const std::int32_t j : row.touched())
          row.set(j, row[j] >= options_.min_support ? row[j] / static_cast<float>(places.size()) : 0.0f);
      });
  take_sequences(sequences, options_.keep_history);
  set_weights(std::move(rules));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return finish("rules", seconds, callback);
}

void SequentialRulesModel::save_state(StateWriter& writer) const { DirectedItemModel::save_state(writer); put_options(writer, options_); }

std::shared_ptr<SequentialRulesModel> SequentialRulesModel::from_state(const StateReader& reader) {
  return made_of_state<SequentialRulesModel>(reader, [&](auto& m) { m.load_sequences(reader); m.load_weights(reader); });
}

}  // namespace etalage
