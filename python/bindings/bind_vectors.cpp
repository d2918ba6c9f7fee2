// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include <memory>
#include <utility>

#include "etalage/models/vectors.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

std::shared_ptr<VectorsModel> partial_fit(const std::shared_ptr<VectorsModel>& model, py::handle indices, py::handle rows, const std::shared_ptr<IdMap>& ids, bool users) {
  const Array<std::int32_t> index = wrap(from_numpy<std::int32_t>(indices, users ? "user_index" : "item_index", 1));
  const auto vectors = from_numpy<float>(rows, users ? "user_vectors" : "item_vectors", 2);
  const MatrixView<const float> view = float_rows(vectors);
  return changed(model, small_change(index.size(), static_cast<std::size_t>(vectors.size())), [&](VectorsModel& m) {
    if (users) m.partial_fit_users(index, view, ids);
    else m.partial_fit_items(index, view, ids);
  });
}

}  // namespace

void bind_vectors(py::module_& m) {
  py::class_<VectorsModel, FactorModel, std::shared_ptr<VectorsModel>>(m, "VectorsModel")
      .def(py::init([](const py::object& user_vectors, const py::object& item_vectors, const py::dict& options) {
             const auto users = from_numpy<float>(user_vectors, "user_vectors", 2);
             const auto items = from_numpy<float>(item_vectors, "item_vectors", 2);
             const auto o = options_from_dict<VectorsOptions>(options);
             const MatrixView<const float> user_view = float_rows(users);
             const MatrixView<const float> item_view = float_rows(items);
             const py::gil_scoped_release release;
             return std::make_shared<VectorsModel>(user_view, item_view, o);
           }),
           py::arg("user_vectors"), py::arg("item_vectors"), py::arg("options"))
      .def_static("check_options", [](const py::dict& options) { (void)options_from_dict<VectorsOptions>(options); }, py::arg("options"))
      .def_static("rules", &option_rules<VectorsOptions>, "What each option must be, in words.")
      .def_property_readonly("options", [](const VectorsModel& v) { return options_to_dict(v.options()); })
      .def("copy", [](const VectorsModel& v) { return std::make_shared<VectorsModel>(v); })
      .def("partial_fit_users",
           [](const std::shared_ptr<VectorsModel>& v, const py::object& index, const py::object& rows, const std::shared_ptr<IdMap>& ids) {
             return partial_fit(v, index, rows, ids, true);
           },
           py::arg("user_index"), py::arg("user_vectors"), py::arg("user_ids").none(true))
      .def("partial_fit_items",
           [](const std::shared_ptr<VectorsModel>& v, const py::object& index, const py::object& rows, const std::shared_ptr<IdMap>& ids) {
             return partial_fit(v, index, rows, ids, false);
           },
           py::arg("item_index"), py::arg("item_vectors"), py::arg("item_ids").none(true));
}

}  // namespace etalage::python
