// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/item_knn.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "etalage/models/auto_settings.hpp"
#include "models/neighbour/similarity.hpp"
#include "models/neighbour/sparse_product.hpp"
#include "models/training_data.hpp"

namespace etalage {
SimilarityForm form_of(const ItemKnnOptions& o) {
  return {o.similarity, static_cast<double>(o.shrinkage), static_cast<double>(o.asymmetry), static_cast<double>(o.tversky_alpha),
          static_cast<double>(o.tversky_beta), static_cast<double>(o.popularity_penalty), static_cast<double>(o.bm25_k1),
          static_cast<double>(o.bm25_b), static_cast<double>(o.user_damping)};
}

void ItemKnnOptions::validate() const {
  using detail::require;
  using detail::require_finite;
  require(similarity.value() <= Similarity::kLift, "similarity", static_cast<int>(similarity.value()), "a Similarity");
  require(num_neighbors >= 1, "num_neighbors", num_neighbors.value(), ">= 1");
  require_finite(shrinkage >= 0, "shrinkage", shrinkage.value(), "finite and >= 0");
  require_finite(asymmetry >= 0 && asymmetry <= 1, "asymmetry", asymmetry.value(), "in [0, 1]");
  require_finite(tversky_alpha >= 0, "tversky_alpha", tversky_alpha, "finite and >= 0");
  require_finite(tversky_beta >= 0, "tversky_beta", tversky_beta, "finite and >= 0");
  require_finite(popularity_penalty >= 0 && popularity_penalty <= 1, "popularity_penalty", popularity_penalty.value(), "in [0, 1]");
  require_finite(bm25_k1 > 0, "bm25_k1", bm25_k1, "finite and > 0");
  require_finite(bm25_b >= 0 && bm25_b <= 1, "bm25_b", bm25_b, "in [0, 1]");
  require_finite(user_damping >= 0, "user_damping", user_damping.value(), "finite and >= 0");
  require(num_threads >= 0, "num_threads", num_threads, ">= 0 (0 means all CPUs)");
}

ItemKnnModel::ItemKnnModel(ItemKnnOptions options) : options_(options) { options_.validate(); }

FitReport ItemKnnModel::fit(const Interactions& data, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(); };
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  detail::check_training_rows(data.user_items());
  const ItemKnnOptions o = settled(options_, shape_of(data));
  const SimilarityForm form = form_of(o);
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
