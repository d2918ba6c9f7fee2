// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/models/graph_filter.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

/// low_pass_factors is None where the data's size says.
GraphFilterOptions graph_filter_options_from(const py::dict& given) {
  const py::dict d = given.attr("copy")();
  if (d.contains("low_pass_factors") && py::object(d["low_pass_factors"]).is_none()) d["low_pass_factors"] = -1;
  return options_from_dict<GraphFilterOptions>(d);
}

py::dict to_dict(const GraphFilterOptions& o, Shown what = Shown::kGiven) {
  py::dict d = options_to_dict(o, what);
  if (o.low_pass_factors < 0) d["low_pass_factors"] = py::none();
  return d;
}

}  // namespace

void bind_graph_filter(py::module_& m) {
  py::class_<GraphFilterModel, Recommender, std::shared_ptr<GraphFilterModel>> filter(m, "GraphFilterModel");
  bind_fitted<GraphFilterModel>(filter);
  bind_fit<GraphFilterModel>(filter);
  filter
      .def(py::init([](const py::dict& options) { return std::make_shared<GraphFilterModel>(graph_filter_options_from(options)); }),
           py::arg("options"))
      .def_static("rules", &option_rules<GraphFilterOptions>, "What each option must be, in words.")
      .def_property_readonly("options", [](const GraphFilterModel& g) { return to_dict(g.options()); })
      .def_property_readonly("resolved", [](const GraphFilterModel& g) {
        GraphFilterOptions o = g.options();
        if (o.low_pass_factors < 0) o.low_pass_factors = GraphFilterOptions::default_factors(g.num_users(), g.num_items());
        return to_dict(o, Shown::kInUse);
      })
      .def_static("settled",
                  [](const py::dict& options, std::int64_t users, std::int64_t items, std::int64_t pairs, double item_mean) {
                    return to_dict(settled(graph_filter_options_from(options), shape_from(users, items, pairs, item_mean)), Shown::kInUse);
                  },
                  py::arg("options"), py::arg("users"), py::arg("items"), py::arg("pairs"), py::arg("item_mean"), "What options become on data of this shape.")
      .def_property_readonly("low_pass_in_use", &GraphFilterModel::low_pass_in_use)
      .def_property_readonly("sharpen_in_use", &GraphFilterModel::sharpen_in_use)
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
