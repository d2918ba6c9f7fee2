// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/bpr.hpp"

#include <limits>
#include <stdexcept>

#include "etalage/models/auto_settings.hpp"
#include "models/option_state.hpp"
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

constexpr auto each_auto = [](auto& o, const auto& visit) {
  visit("factors", o.factors);
  visit("regularization", o.regularization);
  visit("epochs", o.epochs);
  visit("item_bias", o.item_bias);
  visit("num_candidates", o.num_candidates);
};

}  // namespace

void BprOptions::validate() const { settings_of(*this).validate(); }

BprModel::BprModel(const BprOptions& options) : options_(options) { options_.validate(); }

pairwise::Settings BprModel::settings() const noexcept { return settings_of(options_); }
pairwise::Settings BprModel::settings_for(const DataShape& shape) const { return settings_of(settled(options_, shape)); }
void BprModel::settle(const DataShape& shape) { options_ = settled(options_, shape); }

void BprModel::save_state(StateWriter& writer) const {
  PairwiseModel::save_state(writer);
  writer.put_int("bpr/negatives", static_cast<std::int64_t>(options_.negatives));
  writer.put_int("bpr/num_candidates", options_.num_candidates);
  put_auto_names(writer, options_, each_auto);
}

std::shared_ptr<BprModel> BprModel::from_state(const StateReader& reader) {
  auto o = pairwise::load_options<BprOptions>(reader);
  o.negatives = static_cast<NegativeSampling>(reader.get_int("bpr/negatives", 0, 2));
  o.num_candidates = static_cast<int>(reader.get_int("bpr/num_candidates", 1, std::numeric_limits<std::int32_t>::max()));
  get_auto_names(reader, o, each_auto);
  pairwise::check_loaded(o, reader);
  auto model = std::make_shared<BprModel>(o);
  model->load_pairwise(reader);
  return model;
}

}  // namespace etalage
