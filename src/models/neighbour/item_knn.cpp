// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/item_knn.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "models/auto_settings.hpp"
#include "models/neighbour/similarity.hpp"
#include "models/neighbour/sparse_product.hpp"
#include "models/training_data.hpp"

namespace etalage {

void ItemKnnOptions::validate() const {
  require_options(*this);
}

ItemKnnModel::ItemKnnModel(ItemKnnOptions options) : options_(options) { options_.validate(); }

FitReport ItemKnnModel::fit(const Interactions& data, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(); };
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  detail::check_training_rows(data.user_items());
  const ItemKnnOptions o = settled(options_, shape_of(data));
  const SimilarityForm form = form_of(o, o.user_damping);
  const WeightedFeatures weighted = weigh(data.user_items(), transpose(data.user_items().view(), o.num_threads), form);
  const CsrMatrix items = transpose(weighted.weights.view(), o.num_threads);
  report.phase_seconds.emplace_back("weights", since());
  CsrMatrix w = top_product(items.view(), weighted.damped.view(), ratio_of(weighted, form),
                            static_cast<std::size_t>(o.num_neighbors), o.num_threads);
  if (o.normalize) normalize_rows(w);
  report.phase_seconds.emplace_back("similarities", since() - report.phase_seconds[0].second);
  report.iterations = 1;
  report.seconds = since();
  if (callback) callback({1, 1, report.seconds, std::numeric_limits<double>::quiet_NaN(), "similarities"});
  finish_fit(data, std::move(w), o.keep_history, report);
  options_ = o;
  return report;
}

std::shared_ptr<ItemKnnModel> ItemKnnModel::from_rows(const ItemKnnOptions& options, const Interactions& data, CsrMatrix weights,
                                                      double seconds) {
  auto model = std::make_shared<ItemKnnModel>(options);
  model->finish_rows(data, std::move(weights), options.keep_history, seconds);
  return model;
}

void ItemKnnModel::save_state(StateWriter& writer) const {
  ItemSimilarityModel::save_state(writer);
  put_options(writer, options_);
}

std::shared_ptr<ItemKnnModel> ItemKnnModel::from_state(const StateReader& reader) {
  return made_of_state<ItemKnnModel>(reader, [&](auto& m) { m.load_weights(reader); m.load_base(reader); });
}

}  // namespace etalage
