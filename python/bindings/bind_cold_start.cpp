// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "etalage/io/cold_start_files.hpp"
#include "etalage/models/cold_start_items.hpp"
#include "etalage/models/exploration_slot.hpp"
#include "file_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "option_helpers.hpp"
#include "profile_helpers.hpp"
#include "span_helpers.hpp"

namespace etalage::python {
namespace {

template <class Predict>
py::array_t<float> rows_of(std::int64_t n, std::int32_t f, Predict predict) {
  py::array_t<float> out({static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(f)});
  const MatrixView<float> view(out.mutable_data(), static_cast<std::size_t>(n), static_cast<std::size_t>(f));
  {
    const py::gil_scoped_release release;
    predict(view);
  }
  return out;
}

}  // namespace

void bind_cold_start(py::module_& m) {
  py::class_<CatalogAttributes, std::shared_ptr<CatalogAttributes>>(m, "CatalogAttributes", "Products as sparse rows of attributes.")
      .def(py::init([](const std::shared_ptr<Catalog>& catalog, const py::dict& options) { return std::make_shared<CatalogAttributes>(*catalog, options_from_dict<CatalogAttributesOptions>(options)); }),
           py::arg("catalog"), py::arg("options"))
      .def("rows", [](const CatalogAttributes& a, const std::shared_ptr<Catalog>& catalog) { return csr_to_python(a.rows(*catalog)); }, py::arg("catalog"))
      .def_property_readonly("names", &CatalogAttributes::names);

  py::class_<ColdStart, std::shared_ptr<ColdStart>> regression(m, "ColdStart", "Kernel ridge regression from attributes to factors.");
  bind_made_of_options<ColdStart>(regression);
  bind_bytes<ColdStart>(regression, [](auto b, LoadOptions o) { return load_cold_start_matrix_from_memory(b, o); });
  regression
      .def_property_readonly("num_rows", &ColdStart::num_rows)
      .def("fit",
           [](ColdStart& c, const py::object& attributes, const py::object& factors, const py::object& support) {
             const CsrMatrix x = csr_from_python(attributes, "features");
             const auto y = from_numpy<float>(factors, "factors", 2);
             const auto s = from_numpy<float>(support, "support", 1);
             const MatrixView<const float> view = float_rows(y);
             const auto weights = span_of(s);
             const py::gil_scoped_release release;
             c.fit(x.view(), view, weights);
           },
           py::arg("features"), py::arg("factors"), py::arg("support"))
      .def("predict",
           [](const ColdStart& c, const py::object& attributes) {
             const CsrMatrix x = csr_from_python(attributes, "features");
             return rows_of(x.rows, c.factors(), [&](MatrixView<float> out) { c.predict(x.view(), out); });
           },
           py::arg("features"), "float32 [n, factors].")
      .def_static("chosen",
                  [](const py::object& attributes, const py::object& factors, const py::object& support, const py::object& user_factors, const py::object& user_items, const py::dict& options) {
                    const CsrMatrix x = csr_from_python(attributes, "features");
                    const CsrMatrix r = csr_from_python(user_items, "user_items");
                    const auto y = from_numpy<float>(factors, "factors", 2);
                    const auto s = from_numpy<float>(support, "support", 1);
                    const auto u = from_numpy<float>(user_factors, "user_factors", 2);
                    const ColdStartOptions o = options_from_dict<ColdStartOptions>(options);
                    const MatrixView<const float> item_view = float_rows(y);
                    const MatrixView<const float> user_view = float_rows(u);
                    const auto weights = span_of(s);
                    ColdStartOptions best;
                    {
                      const py::gil_scoped_release release;
                      best = ColdStart::chosen(x.view(), item_view, weights, user_view, r.view(), o);
                    }
                    return options_to_dict(best);
                  },
                  py::arg("features"), py::arg("factors"), py::arg("support"), py::arg("user_factors"), py::arg("user_items"), py::arg("options"));

  py::class_<ColdStartItems, std::shared_ptr<ColdStartItems>> items(m, "ColdStartItems", "New products for a fitted factor model.");
  bind_files<ColdStartItems>(items, [](const auto& p, LoadOptions o) { return load_cold_start(p, o); },
                             [](auto b, LoadOptions o) { return load_cold_start_from_memory(b, o); });
  items
      .def(py::init([](const std::shared_ptr<FactorModel>& model, const std::shared_ptr<Catalog>& catalog, const py::dict& attributes, const py::dict& options, bool choose) {
             const CatalogAttributesOptions a = options_from_dict<CatalogAttributesOptions>(attributes);
             const ColdStartOptions o = options_from_dict<ColdStartOptions>(options);
             const py::gil_scoped_release release;
             return std::make_shared<ColdStartItems>(*model, *catalog, a, o, choose);
           }),
           py::arg("model"), py::arg("catalog"), py::arg("attributes"), py::arg("options"), py::arg("choose"))
      .def_property_readonly("options", [](const ColdStartItems& c) { return options_to_dict(c.regression().options()); })
      .def("predict",
           [](const ColdStartItems& c, const std::shared_ptr<Catalog>& catalog) {
             return rows_of(catalog->size(), c.factors(), [&](MatrixView<float> out) { c.predict(*catalog, out); });
           },
           py::arg("catalog"), "float32 [n, factors].")
      .def("extended", [](const ColdStartItems& c, const std::shared_ptr<FactorModel>& model, const std::shared_ptr<Catalog>& catalog) { return c.extended(*model, *catalog); },
           py::arg("model"), py::arg("catalog"), py::call_guard<py::gil_scoped_release>());

  m.def("session_factor",
        [](const FactorModel& model, const py::object& items) {
          const auto session = from_numpy<std::int32_t>(items, "session_items", 1);
          std::vector<float> out(static_cast<std::size_t>(model.factors()));
          Scratch scratch;
          Query query;
          query.session = {session.data(), static_cast<std::size_t>(session.size())};
          model.query_factor(query, out, scratch);
          return take(std::move(out));
        },
        py::arg("model"), py::arg("session_items"), "float32 [factors]: the fold-in of somebody known by these items alone.");

  py::class_<ExplorationSlot, std::shared_ptr<ExplorationSlot>>(m, "ExplorationSlot", "One place in some lists for products that nobody knows yet.")
      .def(py::init([](const py::dict& d) { return std::make_shared<ExplorationSlot>(options_from_dict<ExplorationOptions>(d)); }), py::arg("options"))
      .def("place",
           [](const ExplorationSlot& e, const py::object& items, const py::object& scores, const py::object& candidates, std::uint64_t request) {
             const auto i = from_numpy<std::int32_t>(items, "items", 1);
             const auto s = from_numpy<float>(scores, "scores", 1);
             const auto c = from_numpy<std::int32_t>(candidates, "candidates", 1);
             if (i.size() != s.size()) throw std::invalid_argument("scores has " + std::to_string(s.size()) + " entries, must have one for each of the " + std::to_string(i.size()) + " items");
             std::vector<ItemScore> list;
             for (py::ssize_t k = 0; k < i.size(); ++k) list.push_back({i.data()[k], s.data()[k]});
             const auto place = e.place(list, std::span(c.data(), static_cast<std::size_t>(c.size())), request);
             std::vector<std::int32_t> out_items;
             std::vector<float> out_scores;
             for (const ItemScore& x : list) {
               out_items.push_back(x.item);
               out_scores.push_back(x.score);
             }
             return py::make_tuple(take(std::move(out_items)), take(std::move(out_scores)), place ? py::object(py::int_(*place)) : py::object(py::none()));
           },
           py::arg("items"), py::arg("scores"), py::arg("candidates"), py::arg("request"))
      .def("shown", &ExplorationSlot::shown, py::arg("item"))
      .def("clicked", &ExplorationSlot::clicked, py::arg("item"))
      .def("count", [](const ExplorationSlot& e, std::int32_t item) { return py::make_tuple(e.count(item).shown, e.count(item).clicked); }, py::arg("item"))
      .def("rate", &ExplorationSlot::rate, py::arg("item"));
}

}  // namespace etalage::python
