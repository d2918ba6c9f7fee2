// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include <memory>

#include "auto_options.hpp"
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
py::dict shared_dict(const Options& o, Shown what) {
  py::dict d;
  d["factors"] = shown(o.factors, what);
  d["learning_rate"] = shortest(o.learning_rate);
  d["regularization"] = shown(o.regularization, what);
  d["epochs"] = shown(o.epochs, what);
  d["optimizer"] = name_of_choice(o.optimizer, kOptimizers);
  d["decay"] = shortest(o.decay);
  d["item_bias"] = shown(o.item_bias, what);
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

py::dict to_dict(const BprOptions& o, Shown what) {
  py::dict d = shared_dict(o, what);
  d["negatives"] = name_of_choice(o.negatives, kNegatives);
  d["num_candidates"] = shown(o.num_candidates, what);
  return d;
}

py::dict to_dict(const WarpOptions& o, Shown what) {
  py::dict d = shared_dict(o, what);
  d["margin"] = shortest(o.margin);
  d["max_trials"] = shown(o.max_trials, what);
  d["num_violators"] = shown(o.num_violators, what);
  return d;
}

template <class Model, class Options>
void bind(py::module_& m, const char* name, Options (*make)(const py::dict&)) {
  py::class_<Model, FactorModel, std::shared_ptr<Model>>(m, name)
      .def(py::init([make](const py::dict& d) { return std::make_shared<Model>(make(d)); }), py::arg("options"))
      .def_property_readonly("options", [](const Model& a) { return to_dict(a.options(), Shown::kGiven); })
      .def_property_readonly("resolved", [](const Model& a) { return to_dict(a.options(), Shown::kInUse); })
      .def_static("settled",
                  [make](const py::dict& options, std::int64_t users, std::int64_t items, std::int64_t pairs, double item_mean) {
                    return to_dict(settled(make(options), shape_from(users, items, pairs, item_mean)), Shown::kInUse);
                  },
                  py::arg("options"), py::arg("users"), py::arg("items"), py::arg("pairs"), py::arg("item_mean"), "What options become on data of this shape.")
      .def_property_readonly("report", [](const Model& a) { return a.report(); })
      .def("copy", [](const Model& a) { return std::make_shared<Model>(a); })
      .def("fit", &fit<Model>, py::arg("data"), py::arg("callback"));
}

}  // namespace

void bind_pairwise(py::module_& m) {
  bind<BprModel, BprOptions>(m, "BprModel", bpr_options);
  bind<WarpModel, WarpOptions>(m, "WarpModel", warp_options);
}

}  // namespace etalage::python
