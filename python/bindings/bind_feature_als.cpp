// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include <memory>

#include "etalage/core/interactions.hpp"
#include "etalage/models/feature_als.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

CsrMatrix features_from(py::handle given, const char* argument) {
  return given.is_none() ? CsrMatrix{} : kept_csr(given, argument);
}

py::array rows_of(const FeatureAlsModel& model, py::handle given, bool users) {
  const char* argument = users ? "user_features" : "item_features";
  const CsrMatrix features = csr_from_python(given, argument);
  Array<float> rows;
  {
    const py::gil_scoped_release release;
    rows = users ? model.user_rows(features.view()) : model.item_rows(features.view());
  }
  return to_numpy(rows, {static_cast<py::ssize_t>(features.rows), static_cast<py::ssize_t>(model.factors())});
}

std::shared_ptr<FeatureAlsModel> add(const std::shared_ptr<FeatureAlsModel>& model, py::handle given, const std::shared_ptr<IdMap>& ids, bool users) {
  const CsrMatrix features = csr_from_python(given, users ? "user_features" : "item_features");
  return changed(model, false, [&](FeatureAlsModel& m) {
    if (users) m.add_users(features.view(), ids);
    else m.add_items(features.view(), ids);
  });
}

}  // namespace

void bind_feature_als(py::module_& m) {
  py::class_<FeatureAlsModel, FactorModel, std::shared_ptr<FeatureAlsModel>> als(m, "FeatureAlsModel");
  bind_made_of_options<FeatureAlsModel>(als);
  bind_fitted<FeatureAlsModel>(als);
  als.def(
          "fit",
          [](FeatureAlsModel& a, const py::object& data, const py::object& users, const py::object& items,
             const py::object& callback) {
            const Interactions interactions = interactions_from_python(data);
            const CsrMatrix user_features = features_from(users, "user_features");
            const CsrMatrix item_features = features_from(items, "item_features");
            const ProgressCallback progress = progress_callback(callback);
            const py::gil_scoped_release release;
            a.fit(interactions, user_features, item_features, progress);
          },
          py::arg("data"), py::arg("user_features").none(true), py::arg("item_features").none(true), py::arg("callback").none(true))
      .def("objective",
           [](const FeatureAlsModel& a, const py::object& data) {
             const Interactions interactions = interactions_from_python(data);
             const py::gil_scoped_release release;
             return a.objective(interactions);
           },
           py::arg("data"))
      .def_property_readonly("user_feature_factors",
                             [](const FeatureAlsModel& a) {
                               return to_numpy(a.user_feature_factors(), {static_cast<py::ssize_t>(a.num_user_features()),
                                                                          static_cast<py::ssize_t>(a.factors())});
                             })
      .def_property_readonly("item_feature_factors",
                             [](const FeatureAlsModel& a) {
                               return to_numpy(a.item_feature_factors(), {static_cast<py::ssize_t>(a.num_item_features()),
                                                                          static_cast<py::ssize_t>(a.factors())});
                             })
      .def("user_rows", [](const FeatureAlsModel& a, const py::object& f) { return rows_of(a, f, true); }, py::arg("user_features"))
      .def("item_rows", [](const FeatureAlsModel& a, const py::object& f) { return rows_of(a, f, false); }, py::arg("item_features"))
      .def("add_users", [](const std::shared_ptr<FeatureAlsModel>& a, const py::object& f, const std::shared_ptr<IdMap>& ids) { return add(a, f, ids, true); },
           py::arg("user_features"), py::arg("user_ids").none(true))
      .def("add_items", [](const std::shared_ptr<FeatureAlsModel>& a, const py::object& f, const std::shared_ptr<IdMap>& ids) { return add(a, f, ids, false); },
           py::arg("item_features"), py::arg("item_ids").none(true));
}

}  // namespace etalage::python
