// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "etalage/core/event_log.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/models/popularity.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

/// half_life_days is None in Python where nothing decays.
PopularityOptions popularity_options_from(const py::dict& d) {
  py::dict given = d.attr("copy")();
  if (given.contains("half_life_days") && py::object(given["half_life_days"]).is_none()) given["half_life_days"] = 0;
  return options_from_dict<PopularityOptions>(given);
}

std::shared_ptr<PopularityModel> partial_fit(const std::shared_ptr<PopularityModel>& model, py::handle indices, py::handle rows, bool users) {
  const char* rows_name = users ? "user_items" : "item_users";
  const Array<std::int32_t> index = wrap(from_numpy<std::int32_t>(indices, users ? "user_index" : "item_index", 1));
  const CsrMatrix given = csr_from_python(rows, rows_name);
  const CsrMatrix matrix = canonical(given, rows_name);
  return changed(model, small_change(index.size(), matrix.columns.size()), [&](PopularityModel& m) {
    if (users) m.partial_fit_users(index, matrix.view());
    else m.partial_fit_items(index, matrix.view());
  });
}

}  // namespace

void bind_popularity(py::module_& m) {
  m.attr("MOST_POSITIONS") = ItemRates::kMostPositions;
  m.def("looked_at",
        [](const py::object& items, const py::object& positions, const py::object& reactions, std::int32_t num_items) {
          const Array<std::int32_t> of = wrap(from_numpy<std::int32_t>(items, "items", 1));
          const Array<std::int32_t> at = wrap(from_numpy<std::int32_t>(positions, "positions", 1));
          const Array<float> taken = wrap(from_numpy<float>(reactions, "reactions", 1));
          const py::gil_scoped_release release;
          return ItemRates::of(of, at, taken, num_items).looked;
        },
        py::arg("items"), py::arg("positions"), py::arg("reactions"), py::arg("num_items"),
        "How often each position is looked at against the first with impressions, by ItemRates.");
  py::class_<PopularityModel, Recommender, std::shared_ptr<PopularityModel>>(m, "PopularityModel")
      .def(py::init([](const py::dict& options) { return std::make_shared<PopularityModel>(popularity_options_from(options)); }),
           py::arg("options"))
      .def_static("rules", &option_rules<PopularityOptions>, "What each option must be, in words.")
      .def_property_readonly("options",
                             [](const PopularityModel& p) {
                               py::dict d = options_to_dict(p.options());
                               if (p.options().half_life_days == 0) d["half_life_days"] = py::none();
                               return d;
                             })
      .def_property_readonly("report", [](const PopularityModel& p) { return p.report(); })
      .def_property_readonly("scores", [](const PopularityModel& p) { return to_numpy(p.scores()); })
      .def("copy", [](const PopularityModel& p) { return std::make_shared<PopularityModel>(p); })
      .def("fit",
           [](PopularityModel& p, const py::object& data, const std::optional<std::map<std::string, double>>& event_weights) {
             if (py::isinstance<EventLog>(data)) {
               const EventLog log = data.cast<EventLog>();
               InteractionOptions weights;
               if (event_weights) weights.event_weights = *event_weights;
               const py::gil_scoped_release release;
               p.fit(log, weights);
             } else if (py::isinstance<Sequences>(data)) {
               const Sequences sequences = data.cast<Sequences>();
               const py::gil_scoped_release release;
               p.fit(sequences);
             } else {
               const Interactions interactions = interactions_from_python(data);
               const py::gil_scoped_release release;
               p.fit(interactions);
             }
           },
           py::arg("data"), py::arg("event_weights").none(true))
      .def("fit_rates",
           [](PopularityModel& p, const py::object& data, const py::object& items, const py::object& positions, const py::object& reactions) {
             const Interactions interactions = interactions_from_python(data);
             const Array<std::int32_t> of = wrap(from_numpy<std::int32_t>(items, "items", 1));
             const Array<std::int32_t> at = wrap(from_numpy<std::int32_t>(positions, "positions", 1));
             const Array<float> taken = wrap(from_numpy<float>(reactions, "reactions", 1));
             const py::gil_scoped_release release;
             p.fit(interactions, ItemRates::of(of, at, taken, static_cast<std::int32_t>(interactions.user_items().cols)));
           },
           py::arg("data"), py::arg("items"), py::arg("positions"), py::arg("reactions"))
      .def_property_readonly("num_segments", &PopularityModel::num_segments)
      .def("set_segments",
           [](const std::shared_ptr<PopularityModel>& p, const py::object& segments, double prior) {
             const Array<std::int32_t> of = wrap(from_numpy<std::int32_t>(segments, "user_segments", 1));
             return changed(p, false, [&](PopularityModel& m) { m.set_segments(of, prior); });
           },
           py::arg("user_segments"), py::arg("prior"))
      .def("partial_fit_users",
           [](const std::shared_ptr<PopularityModel>& p, const py::object& index, const py::object& rows) { return partial_fit(p, index, rows, true); },
           py::arg("user_index"), py::arg("user_items"))
      .def("partial_fit_items",
           [](const std::shared_ptr<PopularityModel>& p, const py::object& index, const py::object& rows) { return partial_fit(p, index, rows, false); },
           py::arg("item_index"), py::arg("item_users"));
}

}  // namespace etalage::python
