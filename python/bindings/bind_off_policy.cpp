// SPDX-License-Identifier: Apache-2.0
// Off-policy estimates. The Python layer shapes the arrays and numbers actions, embeddings and shoppers.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "etalage/evaluation/off_policy.hpp"
#include "etalage/evaluation/reward_model.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

using Doubles = py::array_t<double, py::array::c_style>;
using Numbers = py::array_t<std::int32_t, py::array::c_style>;

py::handle g_too_few_error;

void make_too_few_error(py::module_& m) {
  py::object type = py::reinterpret_steal<py::object>(PyErr_NewExceptionWithDoc(
      "etalage.evaluation.off_policy.TooFewError", "The log and the target policy share too little for an estimate.", PyExc_ValueError, nullptr));
  if (!type) throw py::error_already_set();
  m.attr("TooFewError") = type;
  g_too_few_error = type.release();
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const TooFewError& e) {
      py::set_error(g_too_few_error, e.what());
    }
  });
}

/// None is an empty array; `names` of arguments are those of the Python function.
Doubles matrix(const py::object& value, const char* name) {
  return value.is_none() ? Doubles(std::vector<py::ssize_t>{0, 0}) : from_numpy<double>(value, name, 2);
}
Numbers numbers(const py::object& value, const char* name) {
  return value.is_none() ? Numbers(0) : from_numpy<std::int32_t>(value, name, 1);
}
MatrixView<const double> view(const Doubles& a) {
  return {a.data(), static_cast<std::size_t>(a.shape(0)), static_cast<std::size_t>(a.shape(1))};
}
std::span<const std::int32_t> view(const Numbers& a) { return {a.data(), static_cast<std::size_t>(a.size())}; }
std::span<const double> values(const Doubles& a) { return {a.data(), static_cast<std::size_t>(a.size())}; }

OffPolicyOptions off_policy_options_from(const py::dict& given) {
  OffPolicyOptions o;
  if (given.contains("form")) {
    if (!py::isinstance<py::str>(given["form"])) throw py::type_error("form is " + describe(given["form"]) + ", must be a string");
    o.form = list_form(given["form"].cast<std::string>());
  }
  OffPolicyOptions::each(o, SetFromDict{given});
  return o;
}

py::dict to_dict(const OffPolicyEstimate& e) {
  py::dict d;
  put(d, "value", e.value, "interval", py::make_tuple(e.interval.low, e.interval.high),
      "bernstein", py::make_tuple(e.bernstein.low, e.bernstein.high), "standard_error", e.standard_error, "ess", e.ess,
      "largest_weight", e.largest_weight, "mean_weight", e.mean_weight, "mean_weight_error", e.mean_weight_error, "parameter", e.parameter,
      "varied", e.varied, "rows", e.rows, "groups", e.groups, "assumes", e.assumes);
  return d;
}

}  // namespace

void bind_off_policy(py::module_& m) {
  make_too_few_error(m);
  m.def("off_policy_estimator", [](const std::string& name) { return std::string(name_of(off_policy_estimator(name))); }, py::arg("name"));
  m.def(
      "off_policy_estimate",
      [](const py::object& rewards, const py::object& propensities, const py::object& targets, const py::object& q_logged,
         const py::object& q_target, const py::object& all_propensities, const py::object& all_targets, const py::object& actions,
         const py::object& action_cells, const py::object& cells, const py::object& groups, const std::vector<std::string>& estimators,
         const py::dict& options) {
        const Doubles r = matrix(rewards, "rewards"), p = matrix(propensities, "propensities"), t = matrix(targets, "target_probabilities");
        const Doubles ql = matrix(q_logged, "reward_model[0]"), qt = matrix(q_target, "reward_model[1]");
        const Doubles ap = matrix(all_propensities, "propensities"), at = matrix(all_targets, "target_probabilities");
        const Numbers a = numbers(actions, "actions"), ac = numbers(action_cells, "action_cells"), c = numbers(cells, "cells"),
                      g = numbers(groups, "groups");
        const OffPolicyLog log{view(r), view(p), view(t), view(ql), view(qt), view(ap), view(at), view(a), view(ac), view(c), view(g)};
        std::vector<OffPolicyEstimator> asked;
        for (const std::string& name : estimators) asked.push_back(off_policy_estimator(name));
        const OffPolicyOptions o = off_policy_options_from(options);
        std::vector<OffPolicyEstimate> found;
        {
          const py::gil_scoped_release release;
          found = estimate_off_policy(log, asked, o);
        }
        py::list out;
        for (const OffPolicyEstimate& e : found) out.append(to_dict(e));
        return out;
      },
      py::arg("rewards"), py::arg("propensities"), py::arg("targets"), py::arg("q_logged").none(true), py::arg("q_target").none(true),
      py::arg("all_propensities").none(true), py::arg("all_targets").none(true), py::arg("actions").none(true),
      py::arg("action_cells").none(true), py::arg("cells").none(true), py::arg("groups").none(true), py::arg("estimators"),
      py::arg("options"));
  m.def(
      "confidence_sequence",
      [](const py::object& rewards, const py::object& propensities, const py::object& targets, double confidence, double low, double high) {
        const Doubles r = from_numpy<double>(rewards, "rewards", 1), p = from_numpy<double>(propensities, "propensities", 1),
                      t = from_numpy<double>(targets, "target_probabilities", 1);
        ConfidenceSequence s;
        {
          const py::gil_scoped_release release;
          s = confidence_sequence(values(r), values(p), values(t), confidence, low, high);
        }
        return py::make_tuple(take(std::move(s.low)), take(std::move(s.high)));
      },
      py::arg("rewards"), py::arg("propensities"), py::arg("targets"), py::arg("confidence"), py::arg("reward_low"), py::arg("reward_high"));
  m.def(
      "cross_fitted_rewards",
      [](const py::object& contexts, const py::object& actions, const py::object& rewards, const py::object& targets, const py::object& groups,
         bool logistic, const py::dict& options) {
        const Doubles x = from_numpy<double>(contexts, "contexts", 2), r = from_numpy<double>(rewards, "rewards", 1),
                      t = from_numpy<double>(targets, "target_probabilities", 2);
        const Numbers a = from_numpy<std::int32_t>(actions, "actions", 1), g = numbers(groups, "groups");
        auto o = options_from_dict<RewardModelOptions>(options);
        o.logistic = logistic;
        RewardPredictions q;
        {
          const py::gil_scoped_release release;
          q = cross_fitted_rewards(view(x), view(a), values(r), view(t), view(g), o);
        }
        return py::make_tuple(take(std::move(q.logged)), take(std::move(q.target)));
      },
      py::arg("contexts"), py::arg("actions"), py::arg("rewards"), py::arg("targets"), py::arg("groups").none(true), py::arg("logistic"),
      py::arg("options"));
}

}  // namespace etalage::python
