// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>

#include <vector>

#include "etalage/io/uplift_files.hpp"
#include "etalage/marketing/audience.hpp"
#include "etalage/marketing/linear_uplift.hpp"
#include "file_helpers.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {
namespace {

MatrixView<const double> matrix_view(const py::array_t<double, py::array::c_style>& a) {
  return {a.data(), static_cast<std::size_t>(a.shape(0)), static_cast<std::size_t>(a.shape(1))};
}

}  // namespace

void bind_uplift(py::module_& m) {
  py::class_<LinearUplift> uplift(m, "LinearUplift");
  uplift
      .def(py::init<>())
      .def("fit",
           [](LinearUplift& u, const py::object& features, const py::object& arms, const py::object& outcome, double l2) {
             const auto x = from_numpy<double>(features, "features", 2);
             const auto a = from_numpy<std::int32_t>(arms, "treatment", 1);
             const auto y = from_numpy<double>(outcome, "outcome", 1);
             LinearUpliftOptions o;
             o.l2 = l2;
             const py::gil_scoped_release release;
             u.fit(matrix_view(x), {a.data(), static_cast<std::size_t>(a.size())}, {y.data(), static_cast<std::size_t>(y.size())}, o);
           },
           py::arg("features"), py::arg("arms"), py::arg("outcome"), py::arg("l2"))
      .def("predict",
           [](const LinearUplift& u, const py::object& features) {
             const auto x = from_numpy<double>(features, "features", 2);
             const auto rows = matrix_view(x);
             std::vector<double> out(rows.rows() * u.num_treatments());
             {
               const py::gil_scoped_release release;
               for (std::size_t i = 0; i < rows.rows(); ++i)
                 u.predict(rows.row(i), std::span<double>(out).subspan(i * u.num_treatments(), u.num_treatments()));
             }
             return take(std::move(out), {static_cast<py::ssize_t>(rows.rows()), static_cast<py::ssize_t>(u.num_treatments())});
           },
           py::arg("features"))
      .def_property_readonly("num_features", &LinearUplift::num_features)
      .def_property_readonly("num_treatments", &LinearUplift::num_treatments)
      .def_property_readonly("coefficients",
                             [](const LinearUplift& u) {
                               return take(std::vector<double>(u.coefficients().begin(), u.coefficients().end()),
                                           {static_cast<py::ssize_t>(u.num_treatments()), static_cast<py::ssize_t>(u.num_features() + 1)});
                             });
  bind_files<LinearUplift>(uplift, [](const auto& p, LoadOptions o) { return load_linear_uplift(p, o); },
                           [](auto b, LoadOptions o) { return load_linear_uplift_from_memory(b, o); });
  m.def(
      "audience_products",
      [](const py::object& rows, const py::object& vector, int num_threads) {
        const auto r = from_numpy<float>(rows, "rows", 2);
        const auto v = from_numpy<float>(vector, "vector", 1);
        if (r.shape(1) != v.shape(0)) throw std::invalid_argument("vector has " + std::to_string(v.shape(0)) + " entries, must have one for each of " + std::to_string(r.shape(1)) + " factors");
        std::vector<float> out(static_cast<std::size_t>(r.shape(0)));
        double longest = 0;
        {
          const py::gil_scoped_release release;
          longest = marketing::audience_products({r.data(), static_cast<std::size_t>(r.size())}, {v.data(), static_cast<std::size_t>(v.size())}, out, num_threads);
        }
        return py::make_tuple(take(std::move(out), {r.shape(0)}), longest);
      },
      py::arg("rows"), py::arg("vector"), py::arg("num_threads") = 0);
}

}  // namespace etalage::python
