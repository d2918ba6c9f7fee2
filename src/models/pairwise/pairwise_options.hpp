// SPDX-License-Identifier: Apache-2.0
// What the options of BPR and WARP have in common, as the engine's settings.
#pragma once

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

}  // namespace etalage::pairwise
