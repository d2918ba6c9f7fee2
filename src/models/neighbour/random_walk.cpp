// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/random_walk.hpp"

#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "models/auto_settings.hpp"
#include "models/neighbour/sparse_product.hpp"
#include "models/neighbour/transitions.hpp"
#include "models/training_data.hpp"

namespace etalage {

void RandomWalkOptions::validate() const {
  require_options(*this);
}

RandomWalkModel::RandomWalkModel(RandomWalkOptions options, bool with_beta) : options_(options), with_beta_(with_beta) {
  options_.validate();
  if (!with_beta && options.beta != 0.0f)
    throw std::invalid_argument("beta is " + std::to_string(options.beta.value()) + ", must be 0 for P3alpha; RP3beta has one");
}

FitReport RandomWalkModel::fit(const Interactions& data, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count(); };
  const CsrMatrix& user_items = data.user_items();
  detail::check_training_rows(user_items);
  for (std::size_t p = 0; p < user_items.values.size(); ++p)
    if (user_items.values[p] < 0)
      throw std::invalid_argument("user_items holds " + std::to_string(user_items.values[p]) + " at entry " + std::to_string(p) +
                                  ", must be >= 0: a walk has no negative steps");
  const RandomWalkOptions o = settled(options_, shape_of(data), with_beta_);
  CsrMatrix to_users = transpose(user_items.view(), o.num_threads);
  std::vector<std::int64_t> users_of(static_cast<std::size_t>(to_users.rows));
  for (std::size_t j = 0; j < users_of.size(); ++j) users_of[j] = to_users.offsets[j + 1] - to_users.offsets[j];
  const Ratio ratio = walk_ratio(users_of, o.beta);
  CsrMatrix to_items = user_items;
  to_transitions(to_users, o.alpha);
  to_transitions(to_items, o.alpha);
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  report.phase_seconds.emplace_back("transitions", since());
  CsrMatrix w = top_product(to_users.view(), to_items.view(), ratio, static_cast<std::size_t>(o.num_neighbors),
                            o.num_threads);
  if (o.normalize) normalize_rows(w);
  report.phase_seconds.emplace_back("walks", since() - report.phase_seconds[0].second);
  report.iterations = 1;
  report.seconds = since();
  if (callback) callback({1, 1, report.seconds, std::numeric_limits<double>::quiet_NaN(), "walks"});
  finish_fit(data, std::move(w), o.keep_history, report);
  options_ = o;
  return report;
}

std::shared_ptr<RandomWalkModel> RandomWalkModel::from_rows(const RandomWalkOptions& options, bool with_beta, const Interactions& data,
                                                            CsrMatrix weights, double seconds) {
  auto model = std::make_shared<RandomWalkModel>(options, with_beta);
  model->finish_rows(data, std::move(weights), options.keep_history, seconds);
  return model;
}

void RandomWalkModel::save_state(StateWriter& writer) const {
  ItemSimilarityModel::save_state(writer);
  writer.put_bool("options/with_beta", with_beta_);
  put_options(writer, options_);
}

std::shared_ptr<RandomWalkModel> RandomWalkModel::from_state(const StateReader& reader) {
  const auto options = get_options<RandomWalkOptions>(reader);
  const bool with_beta = reader.get_bool("options/with_beta");
  if (!with_beta && options.beta != 0.0f) reader.fail("options", "found beta " + std::to_string(options.beta.value()) + ", expected 0 for P3alpha");
  auto model = std::make_shared<RandomWalkModel>(options, with_beta);
  model->load_weights(reader);
  model->load_base(reader);
  return model;
}

}  // namespace etalage
