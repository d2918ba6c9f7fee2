// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "auto_options.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/models/graph_filter.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_helpers.hpp"

namespace etalage::python {
namespace {

constexpr std::initializer_list<std::pair<const char*, FilterBasis>> kBases = {{"power", FilterBasis::kPower},
                                                                              {"chebyshev", FilterBasis::kChebyshev}};

GraphFilterOptions graph_filter_options_from(const py::dict& d) {
  GraphFilterOptions o;
  set_option(d, "history_exponent", o.history_exponent);
  set_option(d, "user_exponent", o.user_exponent);
  set_option(d, "item_exponent", o.item_exponent);
  set_numbers(d, "coefficients", o.coefficients);
  set_choice(d, "basis", o.basis, kBases);
  if (d.contains("low_pass_factors") && py::object(d["low_pass_factors"]).is_none()) {
    o.low_pass_factors = -1;
  } else {
    set_option(d, "low_pass_factors", o.low_pass_factors);
  }
  set_option(d, "low_pass_weight", o.low_pass_weight);
  set_option(d, "sharpen_factors", o.sharpen_factors);
  set_option(d, "sharpen_weight", o.sharpen_weight);
  set_option(d, "equal_scale", o.equal_scale);
  set_option(d, "low_pass_power", o.low_pass_power);
  set_option(d, "low_pass_user_exponent", o.low_pass_user_exponent);
  set_option(d, "low_pass_item_exponent", o.low_pass_item_exponent);
  set_option(d, "low_pass_history_exponent", o.low_pass_history_exponent);
  set_option(d, "low_pass_target_exponent", o.low_pass_target_exponent);
  set_numbers(d, "low_pass_coefficients", o.low_pass_coefficients);
  set_option(d, "power_iterations", o.power_iterations);
  set_option(d, "num_threads", o.num_threads);
  set_option(d, "seed", o.seed);
  o.validate();
  return o;
}

py::dict to_dict(const GraphFilterOptions& o, Shown what = Shown::kGiven) {
  py::dict d;
  d["history_exponent"] = shown(o.history_exponent, what);
  d["user_exponent"] = shown(o.user_exponent, what);
  d["item_exponent"] = shown(o.item_exponent, what);
  d["coefficients"] = numbers(o.coefficients);
  d["basis"] = name_of_choice(o.basis, kBases);
  d["low_pass_factors"] = o.low_pass_factors < 0 ? py::object(py::none()) : py::object(py::int_(o.low_pass_factors));
  d["low_pass_weight"] = shortest(o.low_pass_weight);
  d["sharpen_factors"] = o.sharpen_factors;
  d["sharpen_weight"] = shown(o.sharpen_weight, what);
  d["equal_scale"] = o.equal_scale;
  d["low_pass_power"] = shortest(o.low_pass_power);
  d["low_pass_user_exponent"] = shortest(o.low_pass_user_exponent);
  d["low_pass_item_exponent"] = shortest(o.low_pass_item_exponent);
  d["low_pass_history_exponent"] = shortest(o.low_pass_history_exponent);
  d["low_pass_target_exponent"] = shortest(o.low_pass_target_exponent);
  d["low_pass_coefficients"] = numbers(o.low_pass_coefficients);
  d["power_iterations"] = o.power_iterations;
  d["num_threads"] = o.num_threads;
  d["seed"] = o.seed;
  return d;
}

}  // namespace

void bind_graph_filter(py::module_& m) {
  py::class_<GraphFilterModel, Recommender, std::shared_ptr<GraphFilterModel>>(m, "GraphFilterModel")
      .def(py::init([](const py::dict& options) { return std::make_shared<GraphFilterModel>(graph_filter_options_from(options)); }),
           py::arg("options"))
      .def_property_readonly("options", [](const GraphFilterModel& g) { return to_dict(g.options()); })
      .def_property_readonly("resolved", [](const GraphFilterModel& g) { return to_dict(g.options(), Shown::kInUse); })
      .def_static("settled",
                  [](const py::dict& options, std::int64_t users, std::int64_t items, std::int64_t pairs, double item_mean) {
                    return to_dict(settled(graph_filter_options_from(options), shape_from(users, items, pairs, item_mean)), Shown::kInUse);
                  },
                  py::arg("options"), py::arg("users"), py::arg("items"), py::arg("pairs"), py::arg("item_mean"), "What options become on data of this shape.")
      .def_property_readonly("report", [](const GraphFilterModel& g) { return g.report(); })
      .def_property_readonly("low_pass_in_use", &GraphFilterModel::low_pass_in_use)
      .def_property_readonly("sharpen_in_use", &GraphFilterModel::sharpen_in_use)
      .def("copy", [](const GraphFilterModel& g) { return std::make_shared<GraphFilterModel>(g); })
      .def(
          "fit",
          [](GraphFilterModel& g, const py::object& data, const py::object& callback) {
            const Interactions interactions = interactions_from_python(data);
            const ProgressCallback progress = progress_callback(callback);
            const py::gil_scoped_release release;
            g.fit(interactions, progress);
          },
          py::arg("data"), py::arg("callback"))
      .def_property_readonly(
          "singular_vectors",
          [](const GraphFilterModel& g) {
            return to_numpy(g.singular_vectors(), {static_cast<py::ssize_t>(g.num_items()), static_cast<py::ssize_t>(g.factors())});
          },
          "float32 [num_items x factors], read-only.")
      .def_property_readonly(
          "singular_values",
          [](const GraphFilterModel& g) { return to_numpy(g.singular_values(), {static_cast<py::ssize_t>(g.factors())}); },
          "float32 [factors], descending, read-only.")
      .def_static("gf_cf", [](float weight, std::int32_t factors) { return to_dict(GraphFilterOptions::gf_cf(weight, factors)); },
                  py::arg("weight"), py::arg("factors"))
      .def_static("link_prop",
                  [](float history, float user, float item) { return to_dict(GraphFilterOptions::link_prop(history, user, item)); },
                  py::arg("history_exponent"), py::arg("user_exponent"), py::arg("item_exponent"))
      .def_static("cheby_cf",
                  [](int order, float flatness, float beta, float weight, std::int32_t factors) {
                    return to_dict(GraphFilterOptions::cheby_cf(order, flatness, beta, weight, factors));
                  },
                  py::arg("order"), py::arg("flatness"), py::arg("beta"), py::arg("weight"), py::arg("factors"))
      .def_static("bspm",
                  [](float weight, std::int32_t factors, float time, int steps, bool early_merge) {
                    return to_dict(GraphFilterOptions::bspm(weight, factors, time, steps, early_merge));
                  },
                  py::arg("weight"), py::arg("factors"), py::arg("time"), py::arg("steps"), py::arg("early_merge"))
      .def_static("sgfcf",
                  [](float epsilon, std::int32_t factors, float power, float weight) {
                    return to_dict(GraphFilterOptions::sgfcf(epsilon, factors, power, weight));
                  },
                  py::arg("epsilon"), py::arg("factors"), py::arg("power"), py::arg("weight"));
}

}  // namespace etalage::python
