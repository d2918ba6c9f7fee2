// SPDX-License-Identifier: Apache-2.0
// AlsModel's fit in pieces, for training that is spread over processes. The options are those of an unfitted model.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/models/als.hpp"
#include "models/factor/als_steps.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {
namespace {

using Model = std::shared_ptr<AlsModel>;
using Floats = py::array_t<float, py::array::c_style>;

AlsSide side_of(const std::string& name) {
  if (name == "users") return AlsSide::kUsers;
  if (name == "items") return AlsSide::kItems;
  throw std::invalid_argument("side is '" + name + "', must be 'users' or 'items'");
}

MatrixView<const float> view(const Floats& a) {
  return {a.data(), static_cast<std::size_t>(a.shape(0)), static_cast<std::size_t>(a.shape(1))};
}

std::vector<py::ssize_t> shape_of(std::size_t rows, const AlsModel& m) { return {static_cast<py::ssize_t>(rows), m.options().factors}; }

std::size_t count_of(std::int64_t value, const char* name) {
  if (value < 0 || value > INT32_MAX)
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + ", must be in [0, 2^31 - 1]");
  return static_cast<std::size_t>(value);
}

Floats start(const Model& model, const std::string& side, std::int64_t first, std::int64_t count) {
  const std::size_t rows = count_of(count, "count");
  const auto f = static_cast<std::size_t>(model->options().factors);
  check_cells(rows, f, rows * f * sizeof(float));
  return to_numpy(als_start(model->options(), side_of(side), count_of(first, "first"), rows), shape_of(rows, *model));
}

Floats half_step(const Model& model, const std::string& side, py::handle rows, py::handle fixed, std::int64_t others,
                 py::handle gram, py::handle x) {
  const CsrMatrix observed = csr_from_python(rows, "rows");
  const Floats other = from_numpy<float>(fixed, "fixed", 2);
  const auto g = from_numpy<double>(gram, "gram", 2);
  const Floats before = from_numpy<float>(x, "x", 2);
  Floats after({before.shape(0), before.shape(1)});
  std::copy_n(before.data(), before.size(), after.mutable_data());
  const std::span<float> own(after.mutable_data(), static_cast<std::size_t>(after.size()));
  const std::size_t count = count_of(others, "others");
  const AlsSide which = side_of(side);
  {
    const std::span<const double> whole(g.data(), static_cast<std::size_t>(g.size()));
    const MatrixView<const float> other_rows = view(other);
    const py::gil_scoped_release release;
    als_half_step(model->options(), which, observed.view(), other_rows, count, whole, own);
  }
  return after;
}

py::tuple basis(py::handle gram) {
  const auto g = from_numpy<double>(gram, "gram", 2);
  const AlsBasis found = als_basis({g.data(), static_cast<std::size_t>(g.size())}, static_cast<std::size_t>(g.shape(0)));
  return py::make_tuple(take(found.values, {g.shape(0)}), take(found.vectors, {g.shape(0), g.shape(0)}));
}

Floats turn(py::handle matrix, py::handle rows, int num_threads, bool in_place) {
  const auto m = from_numpy<double>(matrix, "matrix", 2);
  if (in_place) {
    if (!Floats::check_(rows) || py::reinterpret_borrow<Floats>(rows).ndim() != 2 || !py::reinterpret_borrow<Floats>(rows).writeable())
      throw std::invalid_argument("rows is " + describe(rows) + ", must be a writable float32 array of 2 dimensions, row after row, to be turned in place");
    Floats own = py::reinterpret_borrow<Floats>(rows);
    const std::span<float> values(own.mutable_data(), static_cast<std::size_t>(own.size()));
    const py::gil_scoped_release release;
    als_turn({m.data(), static_cast<std::size_t>(m.size())}, static_cast<std::size_t>(m.shape(0)), values, num_threads);
    return own;
  }
  const Floats before = from_numpy<float>(rows, "rows", 2);
  Array<float> after(std::span<const float>(before.data(), static_cast<std::size_t>(before.size())));
  {
    const py::gil_scoped_release release;
    als_turn({m.data(), static_cast<std::size_t>(m.size())}, static_cast<std::size_t>(m.shape(0)), after.mutable_view(), num_threads);
  }
  return to_numpy(after, {before.shape(0), before.shape(1)});
}

py::array_t<double> back(const py::list& vectors) {
  std::vector<std::vector<double>> all;
  std::size_t f = 0;
  for (const py::handle one : vectors) {
    const auto v = from_numpy<double>(one, "vectors", 2);
    f = static_cast<std::size_t>(v.shape(0));
    all.emplace_back(v.data(), v.data() + v.size());
  }
  const auto side = static_cast<py::ssize_t>(f);
  return take(als_back(all, f), {side, side});
}

double block_loss(const Model& model, py::handle rows, py::handle fixed, std::int64_t others, py::handle x, bool observed) {
  const CsrMatrix matrix = csr_from_python(rows, "rows");
  const Floats other = from_numpy<float>(fixed, "fixed", 2);
  const Floats own = from_numpy<float>(x, "x", 2);
  const std::span<const float> values(own.data(), static_cast<std::size_t>(own.size()));
  const MatrixView<const float> other_rows = view(other);
  const std::size_t count = count_of(others, "others");
  const py::gil_scoped_release release;
  return als_block_loss(model->options(), matrix.view(), other_rows, count, values, observed);
}

Model from_factors(const Model& model, py::handle user_factors, py::handle item_factors, const py::object& data,
                   const std::vector<double>& objective, int iterations, double seconds, const std::string& stop_reason) {
  const Floats users = from_numpy<float>(user_factors, "user_factors", 2);
  const Floats items = from_numpy<float>(item_factors, "item_factors", 2);
  const Interactions interactions = interactions_from_python(data);
  FitReport report;
  report.iterations = iterations;
  report.objective = objective;
  report.seconds = seconds;
  if (stop_reason == "converged") report.stop_reason = FitReport::StopReason::kConverged;
  else if (stop_reason == "cancelled") report.stop_reason = FitReport::StopReason::kCancelled;
  else if (stop_reason != "iterations")
    throw std::invalid_argument("stop_reason is '" + stop_reason + "', must be 'iterations', 'converged' or 'cancelled'");
  const AlsModel::Start factors{view(users), view(items)};
  const py::gil_scoped_release release;
  return std::make_shared<AlsModel>(AlsModel::from_factors(model->options(), interactions, factors, std::move(report)));
}

}  // namespace

void bind_als_steps(py::module_& m) {
  m.def("als_block_rows", [](std::int64_t rows) { return als_block_rows(count_of(rows, "rows")); }, py::arg("rows"),
        "Rows of a block of a side with `rows` rows; a fit adds the Gram matrices of these blocks in order.");
  m.def("als_start", &start, py::arg("model"), py::arg("side"), py::arg("first"), py::arg("count"),
        "The random start of rows first .. first + count of side 'users' or 'items': float32 [count x factors].");
  m.def("als_block_gram",
        [](py::handle factors) {
          const Floats rows = from_numpy<float>(factors, "factors", 2);
          const std::vector<double> sum = als_block_gram(view(rows));
          return take(sum, {rows.shape(1), rows.shape(1)});
        },
        py::arg("factors"), "Sum of y y^T over the rows of a block, float32 [rows x factors]: float64 [factors x factors].");
  m.def("als_uses_basis", [](const Model& model, std::size_t users, std::size_t items) { return als_uses_basis(model->options(), users, items); },
        py::arg("model"), py::arg("users"), py::arg("items"),
        "Whether a fit over so many users and items works in the eigenvectors of Gram matrices (als_basis); else its steps are plain.");
  m.def("als_basis", &basis, py::arg("gram"),
        "Eigenvalues [f] and eigenvectors [f x f], by columns, of a Gram matrix: the basis that a half-sweep of \"cg\" works in.");
  m.def("als_turn", &turn, py::arg("matrix"), py::arg("rows"), py::arg("num_threads") = 0,
        py::arg("in_place") = false,
        "rows [n x f] times matrix [f x f], float32: both sides are turned by the eigenvectors of the fixed side's Gram matrix\n"
        "before a half-sweep of \"cg\". in_place: in rows itself, quicker where it begins at a multiple of 64 bytes.");
  m.def("als_back", &back, py::arg("vectors"), "The matrix [f x f] that undoes turns by these matrices, one after the other.");
  m.def("als_half_step", &half_step, py::arg("model"), py::arg("side"), py::arg("rows"), py::arg("fixed"), py::arg("others"),
        py::arg("gram"), py::arg("x"),
        "Half a sweep of a block: its factors after, float32 [n x factors]. rows: CSR [n x m] over the rows of fixed\n"
        "[m x factors]; others: rows of the whole other side; gram: its Gram matrix; x: the block's factors before.");
  m.def("als_block_loss", &block_loss, py::arg("model"), py::arg("rows"), py::arg("fixed"), py::arg("others"), py::arg("x"),
        py::arg("observed"), "A block's ridge and, with `observed`, its part of the objective over observed pairs.");
  m.def("als_from_factors", &from_factors, py::arg("model"), py::arg("user_factors"), py::arg("item_factors"), py::arg("data"),
        py::arg("objective"), py::arg("iterations"), py::arg("seconds"), py::arg("stop_reason"),
        "The fitted AlsModel of factors trained elsewhere.");
}

}  // namespace etalage::python
