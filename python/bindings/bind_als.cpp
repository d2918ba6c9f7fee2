// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include <memory>

#include "etalage/core/interactions.hpp"
#include "etalage/models/als.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

std::shared_ptr<AlsModel> partial_fit(const std::shared_ptr<AlsModel>& model, py::handle indices, py::handle rows, const std::shared_ptr<IdMap>& ids, bool users) {
  const char* index_name = users ? "user_index" : "item_index";
  const char* rows_name = users ? "user_items" : "item_users";
  const Array<std::int32_t> index = wrap(from_numpy<std::int32_t>(indices, index_name, 1));
  const CsrMatrix given = csr_from_python(rows, rows_name);
  const CsrMatrix matrix = canonical(given, rows_name);
  return changed(model, small_change(index.size(), matrix.columns.size()), [&](AlsModel& m) {
    if (users) m.partial_fit_users(index, matrix.view(), ids);
    else m.partial_fit_items(index, matrix.view(), ids);
  });
}

}  // namespace

void bind_als(py::module_& m) {
  py::class_<AlsModel, FactorModel, std::shared_ptr<AlsModel>> als(m, "AlsModel");
  bind_made_of_options<AlsModel>(als);
  bind_fitted<AlsModel>(als);
  als.def(
          "fit",
          [](AlsModel& a, const py::object& data, const py::object& callback, const std::shared_ptr<AlsModel>& from) {
            const Interactions interactions = interactions_from_python(data);
            const ProgressCallback progress = progress_callback(callback);
            AlsModel::Start start;
            if (from) {
              const auto rows = [&](const Array<float>& f, std::int32_t n) {
                return MatrixView<const float>(f.data(), static_cast<std::size_t>(n), static_cast<std::size_t>(from->factors()));
              };
              start = {rows(from->user_factors(), from->num_users()), rows(from->item_factors(), from->num_items())};
            }
            const py::gil_scoped_release release;
            a.fit(interactions, progress, start);
          },
          py::arg("data"), py::arg("callback"), py::arg("start").none(true),
          "Fits; from the factors of `start` where given.")
      .def("objective",
           [](const std::shared_ptr<AlsModel>& a, const py::object& data) {
             const Interactions interactions = interactions_from_python(data);
             const py::gil_scoped_release release;
             return a->objective(interactions);
           },
           py::arg("data"))
      .def("partial_fit_users",
           [](const std::shared_ptr<AlsModel>& a, const py::object& index, const py::object& rows, const std::shared_ptr<IdMap>& ids) {
             return partial_fit(a, index, rows, ids, true);
           },
           py::arg("user_index"), py::arg("user_items"), py::arg("user_ids").none(true))
      .def("partial_fit_items",
           [](const std::shared_ptr<AlsModel>& a, const py::object& index, const py::object& rows, const std::shared_ptr<IdMap>& ids) {
             return partial_fit(a, index, rows, ids, false);
           },
           py::arg("item_index"), py::arg("item_users"), py::arg("item_ids").none(true));
}

}  // namespace etalage::python
