// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <vector>

#include "etalage/core/event_log.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {

void bind_read_report(py::module_& m) {
  py::class_<ReadReport>(m, "ReadReport", "What reading did: rows read, kept and refused, with the place and the reason.")
      .def_readonly("rows_read", &ReadReport::rows_read)
      .def_readonly("rows_kept", &ReadReport::rows_kept)
      .def_readonly("rows_refused", &ReadReport::rows_refused)
      .def_property_readonly("place", [](const ReadReport& r) { return r.lines ? "line" : "row"; },
                             "'line' (1-based, of a file) or 'row' (0-based, of a frame): what the places in refusals count.")
      .def_property_readonly(
          "refusals",
          [](const ReadReport& r) {
            py::list out;
            for (const auto& x : r.refusals) out.append(py::make_tuple(x.line, py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(x.reason.data(), static_cast<Py_ssize_t>(x.reason.size()), "replace"))));
            return out;
          },
          "The first 1000 refused rows as (place, reason), in order.")
      .def_property_readonly("refused", [](const ReadReport& r) { return take(std::vector<std::int64_t>(r.refused)); },
                             "int64 [rows_refused]: the places of all refused rows, ascending: of a frame its rows, as frame.iloc[...] takes\n"
                             "them, of a file its lines.")
      .def("__repr__", [](const ReadReport& r) {
        std::string s = "ReadReport(rows_read=" + std::to_string(r.rows_read) + ", rows_kept=" + std::to_string(r.rows_kept) +
                        ", rows_refused=" + std::to_string(r.rows_refused) + ")";
        for (std::size_t i = 0; i < r.refusals.size() && i < 5; ++i)
          s += std::string("\n  ") + (r.lines ? "line " : "row ") + std::to_string(r.refusals[i].line) + ": " + r.refusals[i].reason;
        if (r.rows_refused > 5) s += "\n  ...";
        return py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(s.data(), static_cast<Py_ssize_t>(s.size()), "replace"));
      });
}

}  // namespace etalage::python
