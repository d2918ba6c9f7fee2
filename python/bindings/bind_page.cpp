// SPDX-License-Identifier: Apache-2.0
// Pages composed together.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "etalage/marketing/page.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "span_helpers.hpp"

namespace etalage::python {

void bind_page(py::module_& m) {
  m.def(
      "compose_page",
      [](const py::object& offsets, const py::object& items, const py::object& scores, const py::object& slots, const py::object& weights, bool cascade,
         double temperature, std::int32_t max_showings, const py::object& limit_offsets, const py::object& limit_of, const std::vector<std::string>& limit_names,
         const py::object& at_least, const py::object& at_most, const py::object& row_position, const py::object& pin_cells, const py::object& pin_slots,
         const py::dict& options) {
        const auto o = from_numpy<std::int64_t>(offsets, "offsets", 1);
        const auto i = from_numpy<std::int64_t>(items, "items", 1);
        const auto s = from_numpy<double>(scores, "scores", 1);
        const auto width = from_numpy<std::int32_t>(slots, "slots", 1);
        const auto w = from_numpy<double>(weights, "weights", 1);
        const auto lo = from_numpy<std::int64_t>(limit_offsets, "limit_offsets", 1);
        const auto lf = from_numpy<std::int32_t>(limit_of, "limit_of", 1);
        const auto least = from_numpy<std::int64_t>(at_least, "at_least", 1);
        const auto most = from_numpy<std::int64_t>(at_most, "at_most", 1);
        const auto at = from_numpy<std::int32_t>(row_position, "row_position", 1);
        const auto pc = from_numpy<std::int64_t>(pin_cells, "pin_cells", 1);
        const auto ps = from_numpy<std::int32_t>(pin_slots, "pin_slots", 1);
        if (static_cast<std::size_t>(least.size()) != limit_names.size() || most.size() != least.size() || pc.size() != ps.size())
          throw std::invalid_argument("at_least, at_most and limit_names, and pin_cells and pin_slots, must be of one length");
        std::vector<marketing::PageLimit> limits;
        for (std::size_t g = 0; g < limit_names.size(); ++g) limits.push_back({limit_names[g], least.data()[g], most.data()[g]});
        std::vector<marketing::PagePin> pins;
        for (py::ssize_t p = 0; p < pc.size(); ++p) pins.push_back({static_cast<std::size_t>(pc.data()[p]), ps.data()[p]});
        marketing::PageProblem p;
        p.offsets = span_of(o);
        p.items = span_of(i);
        p.scores = span_of(s);
        p.slots = span_of(width);
        p.weights = span_of(w);
        p.click_model = cascade ? marketing::ClickModel::cascade : marketing::ClickModel::position;
        p.temperature = temperature;
        p.max_showings = max_showings;
        p.limit_offsets = span_of(lo);
        p.limit_of = span_of(lf);
        p.limits = limits;
        p.row_position = span_of(at);
        p.pins = pins;
        const auto how = options_from_dict<marketing::PageOptions>(options);
        marketing::PageLayout page;
        {
          const py::gil_scoped_release release;
          page = marketing::compose_page(p, how);
        }
        py::dict out;
        put(out, "rows", take(std::move(page.rows)), "cells", take(std::move(page.cells)), "value", page.value, "bound", page.bound,
            "gap", page.gap, "limit_prices", take(std::move(page.limit_prices)), "given", take(std::move(page.given)));
        return out;
      },
      py::arg("offsets"), py::arg("items"), py::arg("scores"), py::arg("slots"), py::arg("weights"), py::arg("cascade"), py::arg("temperature"),
      py::arg("max_showings"), py::arg("limit_offsets"), py::arg("limit_of"), py::arg("limit_names"), py::arg("at_least"), py::arg("at_most"),
      py::arg("row_position"), py::arg("pin_cells"), py::arg("pin_slots"), py::arg("options"));
  m.def(
      "page_period",
      [](const std::string& shopper, const std::string& salt, std::int64_t now, std::int64_t period) { return marketing::page_period(shopper, salt, now, period); },
      py::arg("shopper"), py::arg("salt"), py::arg("now"), py::arg("period"));
}

}  // namespace etalage::python
