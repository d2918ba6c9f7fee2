// SPDX-License-Identifier: Apache-2.0
// What the options of BPR and WARP have in common: to the engine's settings, and from a file.
#pragma once

#include <cstdint>
#include <limits>
#include <stdexcept>

#include "etalage/extend/state.hpp"
#include "models/pairwise/pairwise_sgd.hpp"

namespace etalage::pairwise {

template <class Options>
Settings shared_settings(const Options& o) noexcept {
  Settings s;
  s.factors = o.factors;
  s.learning_rate = o.learning_rate;
  s.regularization = o.regularization;
  s.epochs = o.epochs;
  s.optimizer = o.optimizer;
  s.decay = o.decay;
  s.item_bias = o.item_bias;
  s.init_scale = o.init_scale;
  s.fold_in_epochs = o.fold_in_epochs;
  s.compute_objective = o.compute_objective;
  s.keep_history = o.keep_history;
  s.num_threads = o.num_threads;
  s.seed = o.seed;
  return s;
}

/// As PairwiseModel::save_state() wrote them.
template <class Options>
Options load_options(const StateReader& reader) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const auto integer = [&](const char* name) { return static_cast<int>(reader.get_int(name, 0, kMost)); };
  const auto real = [&](const char* name) { return static_cast<float>(reader.get_double(name)); };
  Options o;
  o.factors = integer("sgd/factors");
  o.learning_rate = real("sgd/learning_rate");
  o.regularization = real("sgd/regularization");
  o.epochs = integer("sgd/epochs");
  o.optimizer = static_cast<SgdOptimizer>(reader.get_int("sgd/optimizer", 0, 1));
  o.decay = real("sgd/decay");
  o.item_bias = reader.get_bool("sgd/item_bias");
  o.init_scale = real("sgd/init_scale");
  o.fold_in_epochs = integer("sgd/fold_in_epochs");
  o.compute_objective = reader.get_bool("sgd/compute_objective");
  o.keep_history = reader.get_bool("sgd/keep_history");
  o.num_threads = integer("sgd/num_threads");
  o.seed = static_cast<std::uint64_t>(reader.get_int("sgd/seed"));
  return o;
}

template <class Options>
void check_loaded(const Options& o, const StateReader& reader) {
  try {
    o.validate();
  } catch (const std::invalid_argument& e) {
    reader.fail("sgd", e.what());
  }
}

}  // namespace etalage::pairwise
