// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/bpr.hpp"

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "models/auto_settings.hpp"
#include "models/pairwise/pairwise_options.hpp"

namespace etalage {
namespace {

pairwise::Settings settings_of(const BprOptions& o) noexcept {
  pairwise::Settings s = pairwise::shared_settings(o);
  s.loss = pairwise::Loss::kLogistic;
  s.negatives = o.negatives;
  s.num_candidates = o.num_candidates;
  return s;
}

}  // namespace

void BprOptions::validate() const { require_options(*this); }

BprModel::BprModel(const BprOptions& options) : options_(options) { options_.validate(); }

pairwise::Settings BprModel::settings() const noexcept { return settings_of(options_); }
pairwise::Settings BprModel::settings_for(const DataShape& shape) const { return settings_of(settled(options_, shape)); }
void BprModel::settle(const DataShape& shape) { options_ = settled(options_, shape); }

void BprModel::save_state(StateWriter& writer) const {
  PairwiseModel::save_state(writer);
  put_options(writer, options_);
}

std::shared_ptr<BprModel> BprModel::from_state(const StateReader& reader) {
  return made_of_state<BprModel>(reader, [&](auto& m) { m.load_pairwise(reader); });
}

}  // namespace etalage
