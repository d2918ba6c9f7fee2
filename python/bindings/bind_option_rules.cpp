// SPDX-License-Identifier: Apache-2.0
// What options of calls must be: of those that are no model's, whose class says it.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>

#include "etalage/core/event_log.hpp"
#include "etalage/datasets/synthetic_store.hpp"
#include "etalage/evaluation/evaluator.hpp"
#include "etalage/evaluation/off_policy.hpp"
#include "etalage/evaluation/reward_model.hpp"
#include "etalage/marketing/allocation.hpp"
#include "etalage/marketing/association_rules.hpp"
#include "etalage/marketing/frequent_sets.hpp"
#include "etalage/marketing/linear_uplift.hpp"
#include "etalage/marketing/pacing.hpp"
#include "etalage/marketing/page.hpp"
#include "etalage/marketing/purchase_summaries.hpp"
#include "etalage/serving/engine.hpp"
#include "etalage/serving/rerank.hpp"
#include "etalage/serving/spend_ledger.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

template <class O>
py::dict rules_and_defaults() {
  py::dict out;
  out["rules"] = option_rules<O>();
  out["defaults"] = options_to_dict(O{});
  return out;
}

}  // namespace

void bind_option_rules(py::module_& m) {
  m.def(
      "option_rules",
      [] {
        py::dict d;
        put(d, "interactions", rules_and_defaults<InteractionOptions>(), "make_synthetic_store", rules_and_defaults<SyntheticStoreOptions>(),
            "evaluate", rules_and_defaults<EvaluationOptions>(), "estimate", rules_and_defaults<OffPolicyOptions>(),
            "cross_fitted_rewards", rules_and_defaults<RewardModelOptions>(), "allocate", rules_and_defaults<marketing::AllocationOptions>(),
            "association_rules", rules_and_defaults<RuleOptions>(), "frequent_sets", rules_and_defaults<FrequentSetOptions>(),
            "linear_uplift", rules_and_defaults<LinearUpliftOptions>(), "pacing", rules_and_defaults<marketing::PacingOptions>(),
            "page", rules_and_defaults<marketing::PageOptions>());
        put(d, "purchase_summaries", rules_and_defaults<PurchaseSummaryOptions>(), "engine", rules_and_defaults<EngineOptions>(),
            "explore", rules_and_defaults<Exploration>(), "fatigue", rules_and_defaults<Fatigue>(), "rerank", rules_and_defaults<RerankOptions>(),
            "spend_ledger", rules_and_defaults<SpendLedgerOptions>());
        return d;
      },
      "{call: {\"rules\": what each of its options must be, in words, \"defaults\": theirs}}.");
}

}  // namespace etalage::python
