// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include <memory>

#include "auto_options.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/models/als.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_helpers.hpp"

namespace etalage::python {
namespace {

constexpr std::initializer_list<std::pair<const char*, AlsSolver>> kSolvers = {
    {"cg", AlsSolver::kConjugateGradient}, {"cholesky", AlsSolver::kCholesky}, {"subspace", AlsSolver::kSubspace}};

AlsOptions als_options_from(const py::dict& d) {
  AlsOptions o;
  set_option(d, "factors", o.factors);
  set_option(d, "regularization", o.regularization);
  set_option(d, "alpha", o.alpha);
  set_option(d, "unobserved_weight", o.unobserved_weight);
  set_option(d, "nu", o.nu);
  set_option(d, "iterations", o.iterations);
  set_choice(d, "solver", o.solver, kSolvers);
  set_option(d, "cg_steps", o.cg_steps);
  set_option(d, "block_size", o.block_size);
  set_option(d, "init_scale", o.init_scale);
  set_option(d, "compute_objective", o.compute_objective);
  set_option(d, "tolerance", o.tolerance);
  set_option(d, "keep_history", o.keep_history);
  set_option(d, "num_threads", o.num_threads);
  set_option(d, "seed", o.seed);
  o.validate();
  return o;
}

py::dict to_dict(const AlsOptions& o, Shown what) {
  py::dict d;
  d["factors"] = shown(o.factors, what);
  d["regularization"] = shown(o.regularization, what);
  d["alpha"] = shown(o.alpha, what);
  d["unobserved_weight"] = shown(o.unobserved_weight, what);
  d["nu"] = shown(o.nu, what);
  d["iterations"] = shown(o.iterations, what);
  d["solver"] = name_of_choice(o.solver, kSolvers);
  d["cg_steps"] = o.cg_steps;
  d["block_size"] = o.block_size;
  d["init_scale"] = shortest(o.init_scale);
  d["compute_objective"] = o.compute_objective;
  d["tolerance"] = o.tolerance;
  d["keep_history"] = o.keep_history;
  d["num_threads"] = o.num_threads;
  d["seed"] = o.seed;
  return d;
}

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
  py::class_<AlsModel, FactorModel, std::shared_ptr<AlsModel>>(m, "AlsModel")
      .def(py::init([](const py::dict& options) { return std::make_shared<AlsModel>(als_options_from(options)); }), py::arg("options"))
      .def_property_readonly("options", [](const AlsModel& a) { return to_dict(a.options(), Shown::kGiven); })
      .def_property_readonly("resolved", [](const AlsModel& a) { return to_dict(a.options(), Shown::kInUse); })
      .def_static("settled",
                  [](const py::dict& options, std::int64_t users, std::int64_t items, std::int64_t pairs, double item_mean) {
                    return to_dict(settled(als_options_from(options), shape_from(users, items, pairs, item_mean)), Shown::kInUse);
                  },
                  py::arg("options"), py::arg("users"), py::arg("items"), py::arg("pairs"), py::arg("item_mean"), "What options become on data of this shape.")
      .def_property_readonly("report", [](const AlsModel& a) { return a.report(); })
      .def("copy", [](const AlsModel& a) { return std::make_shared<AlsModel>(a); })
      .def(
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
