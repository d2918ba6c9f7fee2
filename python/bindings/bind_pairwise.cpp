// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include <memory>

#include "etalage/core/interactions.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/warp.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_helpers.hpp"

namespace etalage::python {
namespace {

constexpr std::initializer_list<std::pair<const char*, SgdOptimizer>> kOptimizers = {{"adagrad", SgdOptimizer::kAdaGrad},
                                                                                    {"sgd", SgdOptimizer::kSgd}};
constexpr std::initializer_list<std::pair<const char*, NegativeSampling>> kNegatives = {
    {"uniform", NegativeSampling::kUniform},
    {"popularity", NegativeSampling::kPopularity},
    {"dynamic", NegativeSampling::kDynamic}};

template <class Options>
void read_shared(const py::dict& d, Options& o) {
  set_option(d, "factors", o.factors);
  set_option(d, "learning_rate", o.learning_rate);
  set_option(d, "regularization", o.regularization);
  set_option(d, "epochs", o.epochs);
  set_choice(d, "optimizer", o.optimizer, kOptimizers);
  set_option(d, "decay", o.decay);
  set_option(d, "item_bias", o.item_bias);
  set_option(d, "init_scale", o.init_scale);
  set_option(d, "fold_in_epochs", o.fold_in_epochs);
  set_option(d, "compute_objective", o.compute_objective);
  set_option(d, "keep_history", o.keep_history);
  set_option(d, "num_threads", o.num_threads);
  set_option(d, "seed", o.seed);
}

template <class Options>
py::dict shared_dict(const Options& o) {
  py::dict d;
  d["factors"] = o.factors;
  d["learning_rate"] = shortest(o.learning_rate);
  d["regularization"] = shortest(o.regularization);
  d["epochs"] = o.epochs;
  d["optimizer"] = name_of_choice(o.optimizer, kOptimizers);
  d["decay"] = shortest(o.decay);
  d["item_bias"] = o.item_bias;
  d["init_scale"] = shortest(o.init_scale);
  d["fold_in_epochs"] = o.fold_in_epochs;
  d["compute_objective"] = o.compute_objective;
  d["keep_history"] = o.keep_history;
  d["num_threads"] = o.num_threads;
  d["seed"] = o.seed;
  return d;
}

BprOptions bpr_options(const py::dict& d) {
  BprOptions o;
  read_shared(d, o);
  set_choice(d, "negatives", o.negatives, kNegatives);
  set_option(d, "num_candidates", o.num_candidates);
  o.validate();
  return o;
}

WarpOptions warp_options(const py::dict& d) {
  WarpOptions o;
  read_shared(d, o);
  set_option(d, "margin", o.margin);
  set_option(d, "max_trials", o.max_trials);
  set_option(d, "num_violators", o.num_violators);
  o.validate();
  return o;
}

template <class Model>
void fit(Model& model, const py::object& data, const py::object& callback) {
  const Interactions interactions = interactions_from_python(data);
  const ProgressCallback progress = progress_callback(callback);
  const py::gil_scoped_release release;
  model.fit(interactions, progress);
}

template <class Model>
void bind(py::module_& m, const char* name, Model (*make)(const py::dict&), py::dict (*options)(const Model&)) {
  py::class_<Model, FactorModel, std::shared_ptr<Model>>(m, name)
      .def(py::init([make](const py::dict& d) { return std::make_shared<Model>(make(d)); }), py::arg("options"))
      .def_property_readonly("options", [options](const Model& a) { return options(a); })
      .def_property_readonly("report", [](const Model& a) { return a.report(); })
      .def("copy", [](const Model& a) { return std::make_shared<Model>(a); })
      .def("fit", &fit<Model>, py::arg("data"), py::arg("callback"));
}

}  // namespace

void bind_pairwise(py::module_& m) {
  bind<BprModel>(
      m, "BprModel", [](const py::dict& d) { return BprModel(bpr_options(d)); },
      [](const BprModel& a) {
        py::dict d = shared_dict(a.options());
        d["negatives"] = name_of_choice(a.options().negatives, kNegatives);
        d["num_candidates"] = a.options().num_candidates;
        return d;
      });
  bind<WarpModel>(
      m, "WarpModel", [](const py::dict& d) { return WarpModel(warp_options(d)); },
      [](const WarpModel& a) {
        py::dict d = shared_dict(a.options());
        d["margin"] = shortest(a.options().margin);
        d["max_trials"] = a.options().max_trials;
        d["num_violators"] = a.options().num_violators;
        return d;
      });
}

}  // namespace etalage::python
