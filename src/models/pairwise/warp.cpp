// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/warp.hpp"

#include <limits>
#include <stdexcept>

#include "etalage/models/auto_settings.hpp"
#include "models/option_state.hpp"
#include "models/pairwise/pairwise_options.hpp"

namespace etalage {
namespace {

pairwise::Settings settings_of(const WarpOptions& o) noexcept {
  pairwise::Settings s = pairwise::shared_settings(o);
  s.loss = pairwise::Loss::kRankedHinge;
  s.margin = o.margin;
  s.max_trials = o.max_trials;
  s.num_violators = o.num_violators;
  return s;
}

constexpr auto each_auto = [](auto& o, const auto& visit) {
  visit("factors", o.factors);
  visit("regularization", o.regularization);
  visit("epochs", o.epochs);
  visit("item_bias", o.item_bias);
  visit("max_trials", o.max_trials);
  visit("num_violators", o.num_violators);
};

}  // namespace

void WarpOptions::validate() const { settings_of(*this).validate(); }

WarpModel::WarpModel(const WarpOptions& options) : options_(options) { options_.validate(); }

pairwise::Settings WarpModel::settings() const noexcept { return settings_of(options_); }
pairwise::Settings WarpModel::settings_for(const DataShape& shape) const { return settings_of(settled(options_, shape)); }
void WarpModel::settle(const DataShape& shape) { options_ = settled(options_, shape); }

void WarpModel::save_state(StateWriter& writer) const {
  PairwiseModel::save_state(writer);
  writer.put_double("warp/margin", static_cast<double>(options_.margin));
  writer.put_int("warp/max_trials", options_.max_trials);
  writer.put_int("warp/num_violators", options_.num_violators);
  put_auto_names(writer, options_, each_auto);
}

std::shared_ptr<WarpModel> WarpModel::from_state(const StateReader& reader) {
  auto o = pairwise::load_options<WarpOptions>(reader);
  o.margin = static_cast<float>(reader.get_double("warp/margin"));
  o.max_trials = static_cast<int>(reader.get_int("warp/max_trials", 1, std::numeric_limits<std::int32_t>::max()));
  // Older files know no other number.
  o.num_violators = reader.has("warp/num_violators") ? static_cast<int>(reader.get_int("warp/num_violators", 1, std::numeric_limits<std::int32_t>::max())) : 1;
  get_auto_names(reader, o, each_auto);
  pairwise::check_loaded(o, reader);
  auto model = std::make_shared<WarpModel>(o);
  model->load_pairwise(reader);
  return model;
}

}  // namespace etalage
