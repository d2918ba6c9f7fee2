// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/io/profile_files.hpp"
#include "etalage/profile/profiles.hpp"
#include "etalage/profile/purchase_intent.hpp"
#include "file_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "profile_helpers.hpp"

namespace etalage::python {
namespace {

py::dict examples_to_python(const IntentExamples& e) {
  const auto n = static_cast<py::ssize_t>(e.size());
  py::dict d;
  d["features"] = to_numpy(e.features, {n, static_cast<py::ssize_t>(IntentFeatures::count())});
  d["labels"] = to_numpy(e.labels);
  d["users"] = to_numpy(e.users);
  d["times"] = to_numpy(e.times_ms);
  return d;
}

py::dict summary(const BinaryEvaluation& e) {
  py::dict d;
  put(d, "examples", e.examples, "positives", e.positives, "auc", e.auc, "log_loss", e.log_loss, "brier", e.brier,
      "calibration_error", e.calibration_error);
  py::list bins;
  for (const auto& b : e.bins) bins.append(py::make_tuple(b.low, b.high, b.count, b.predicted, b.observed));
  d["bins"] = bins;
  return d;
}

std::vector<std::string> feature_names() {
  std::vector<std::string> out;
  for (const std::string_view n : IntentFeatures::names()) out.emplace_back(n);
  return out;
}

}  // namespace

void bind_intent(py::module_& m) {
  m.def("intent_feature_names", &feature_names);
  m.def("evaluate_probabilities",
        [](const py::object& probabilities, const py::object& labels, std::size_t bins) {
          const auto p = from_numpy<double>(probabilities, "probabilities", 1);
          const auto y = from_numpy<std::uint8_t>(labels, "labels", 1);
          return summary(evaluate_probabilities(std::span(p.data(), static_cast<std::size_t>(p.size())),
                                                std::span(y.data(), static_cast<std::size_t>(y.size())), bins));
        },
        py::arg("probabilities"), py::arg("labels"), py::arg("bins") = 10);
  py::class_<PurchaseIntent, std::shared_ptr<PurchaseIntent>> intent(m, "PurchaseIntent", "The compiled part of etalage.profile.PurchaseIntent.");
  intent
      .def(py::init([](const py::dict& options, const py::dict& profile) { return std::make_shared<PurchaseIntent>(options_from_dict<PurchaseIntentOptions>(options), profile_options(profile)); }),
           py::arg("options"), py::arg("profile_options"))
      .def_property_readonly("options", [](const PurchaseIntent& p) { return options_to_dict(p.options()); })
      .def_property_readonly("has_trees", &PurchaseIntent::has_trees)
      .def("fit",
           [](PurchaseIntent& p, const EventLog& log, const std::shared_ptr<Catalog>& catalog) {
             const py::gil_scoped_release release;
             p.fit(log, *facts_for(catalog, &log, ItemFacts()));
           },
           py::arg("log"), py::arg("catalog").none(true))
      .def("examples",
           [](const PurchaseIntent& p, const EventLog& log, const std::shared_ptr<Catalog>& catalog, std::optional<std::int64_t> since_ms) {
             IntentExamples e;
             {
               const py::gil_scoped_release release;
               e = p.examples(log, *facts_for(catalog, &log, ItemFacts()), since_ms);
             }
             std::vector<std::size_t> training, calibration;
             p.split(e, training, calibration);
             py::dict d = examples_to_python(e);
             d["training"] = take(std::vector<std::int64_t>(training.begin(), training.end()));
             d["calibration"] = take(std::vector<std::int64_t>(calibration.begin(), calibration.end()));
             return d;
           },
           py::arg("log"), py::arg("catalog").none(true), py::arg("since_ms") = py::none())
      .def("set_trees",
           [](PurchaseIntent& p, const TreeEnsemble& trees, const py::object& features, const py::object& labels) {
             const auto x = from_numpy<float>(features, "features", 2);
             const auto y = from_numpy<std::uint8_t>(labels, "labels", 1);
             p.set_trees(trees, float_rows(x), std::span(y.data(), static_cast<std::size_t>(y.size())));
           },
           py::arg("trees"), py::arg("features"), py::arg("labels"))
      .def("evaluate",
           [](const PurchaseIntent& p, const EventLog& log, const std::shared_ptr<Catalog>& catalog, std::optional<std::int64_t> since_ms, std::size_t bins) {
             IntentEvaluation e;
             {
               const py::gil_scoped_release release;
               e = p.evaluate(log, *facts_for(catalog, &log, ItemFacts()), since_ms, bins);
             }
             py::dict d = examples_to_python(e.examples);
             d["probabilities"] = take(std::move(e.probabilities));
             d["summary"] = summary(e.summary);
             return d;
           },
           py::arg("log"), py::arg("catalog").none(true), py::arg("since_ms") = py::none(), py::arg("bins") = 10)
      .def("predict",
           [](const PurchaseIntent& p, const std::shared_ptr<Profiles>& given, const py::object& users, std::int64_t now_ms) {
             const std::shared_ptr<const Profiles> profiles = given;  // so that nobody changes them meanwhile
             const auto u = from_numpy<std::int32_t>(users, "users", 1);
             std::vector<double> out(static_cast<std::size_t>(u.size()));
             {
               const py::gil_scoped_release release;
               for (std::size_t i = 0; i < out.size(); ++i) out[i] = p.predict(profiles->at(u.data()[i]), now_ms);
             }
             return take(std::move(out));
           },
           py::arg("profiles"), py::arg("users"), py::arg("now_ms"))
      .def("predict_features",
           [](const PurchaseIntent& p, const py::object& features) {
             const auto x = from_numpy<float>(features, "features", 2);
             std::vector<double> out(static_cast<std::size_t>(x.shape(0)));
             {
               const MatrixView<const float> view = float_rows(x);
               const py::gil_scoped_release release;
               p.predict(view, out);
             }
             return take(std::move(out));
           },
           py::arg("features"))
      .def("explain",
           [](const PurchaseIntent& p, const Profiles& profiles, std::int32_t user, std::int64_t now_ms) {
             std::vector<double> out(IntentFeatures::count());
             p.explain(profiles.at(user), now_ms, out);
             return take(std::move(out));
           },
           py::arg("profiles"), py::arg("user"), py::arg("now_ms"))
      .def_property_readonly("report",
                             [](const PurchaseIntent& p) {
                               const auto& r = p.report();
                               py::dict d;
                               put(d, "training_examples", r.training_examples, "training_positives", r.training_positives,
                                   "calibration_examples", r.calibration_examples, "calibration_positives", r.calibration_positives,
                                   "iterations", r.solver.iterations, "objective", r.solver.objective, "gradient", r.solver.gradient,
                                   "converged", r.solver.converged);
                               return d;
                             });
  bind_files<PurchaseIntent>(intent, [](const auto& p, LoadOptions o) { return load_purchase_intent(p, o); },
                             [](auto b, LoadOptions o) { return load_purchase_intent_from_memory(b, o); });
}

}  // namespace etalage::python
