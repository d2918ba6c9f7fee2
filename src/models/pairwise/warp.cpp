// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/warp.hpp"

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "models/auto_settings.hpp"
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

}  // namespace

void WarpOptions::validate() const { require_options(*this); }

WarpModel::WarpModel(const WarpOptions& options) : options_(options) { options_.validate(); }

pairwise::Settings WarpModel::settings() const noexcept { return settings_of(options_); }
pairwise::Settings WarpModel::settings_for(const DataShape& shape) const { return settings_of(settled(options_, shape)); }
void WarpModel::settle(const DataShape& shape) { options_ = settled(options_, shape); }

void WarpModel::save_state(StateWriter& writer) const {
  PairwiseModel::save_state(writer);
  put_options(writer, options_);
}

std::shared_ptr<WarpModel> WarpModel::from_state(const StateReader& reader) {
  return made_of_state<WarpModel>(reader, [&](auto& m) { m.load_pairwise(reader); });
}

}  // namespace etalage
