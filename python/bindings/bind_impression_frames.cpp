// SPDX-License-Identifier: Apache-2.0
// Frames of impressions and events as columns of numbers, and what is counted on them. Python joins the keys of the two.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "data_helpers.hpp"
#include "etalage/core/frame_columns.hpp"
#include "etalage/evaluation/attribution.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {
namespace {

template <class T>
using Column = std::optional<py::array_t<T, py::array::c_style>>;

template <class T>
std::span<const T> view(const Column<T>& column) {
  return column ? std::span<const T>(column->data(), static_cast<std::size_t>(column->size())) : std::span<const T>();
}

FrameColumnRequest::Kind kind_of(const std::string& name) {
  if (name == "keys") return FrameColumnRequest::Kind::kKeys;
  if (name == "times") return FrameColumnRequest::Kind::kTimes;
  if (name == "numbers") return FrameColumnRequest::Kind::kNumbers;
  throw std::invalid_argument("kind is '" + name + "', must be 'keys', 'times' or 'numbers'");
}

}  // namespace

void bind_impression_frames(py::module_& m) {
  m.def(
      "read_frame_columns",
      [](const py::object& frame, const std::vector<std::string>& names, const std::vector<std::string>& kinds,
         const std::optional<std::string>& time_unit) {
        if (names.size() != kinds.size()) throw std::invalid_argument("kinds must have one entry a name");
        std::vector<FrameColumnRequest> requests;
        for (std::size_t i = 0; i < names.size(); ++i) requests.push_back({names[i], kind_of(kinds[i])});
        const EventColumns checked = event_columns("", "", {}, {}, {}, {}, time_unit, "raise", 0);
        std::vector<FrameColumn> found;
        read_frame(frame, names, false, [&](ArrowArrayStream* stream, std::span<const UnreadableCell> unreadable) {
          found = read_frame_columns(stream, requests, checked.time_unit, unreadable);
        });
        py::list out;
        for (std::size_t i = 0; i < found.size(); ++i) {
          switch (requests[i].kind) {
            case FrameColumnRequest::Kind::kKeys:
              out.append(py::make_tuple(to_numpy(found[i].codes), std::const_pointer_cast<IdMap>(found[i].ids)));
              break;
            case FrameColumnRequest::Kind::kTimes: out.append(to_numpy(found[i].times_ms)); break;
            case FrameColumnRequest::Kind::kNumbers: out.append(take(found[i].numbers)); break;
          }
        }
        return out;
      },
      py::arg("frame"), py::arg("names"), py::arg("kinds"), py::arg("time_unit"),
      "Columns of any frame: (codes int32 [n], -1 missing, IdMap) of 'keys', UTC milliseconds int64 [n], the smallest integer\n"
      "missing, of 'times', float64 [n], NaN missing, of 'numbers'.");
  m.def(
      "arrow_stream", [](const std::vector<std::string>& names, const py::list& columns) { return stream_capsule(names, columns); },
      py::arg("names"), py::arg("columns"), "Columns (format, array, validity, length, list offsets) as an Arrow stream of one batch.");
  m.def(
      "attribute_events",
      [](const Column<std::int32_t>& shown_requests, const Column<std::int32_t>& shown_users, const Column<std::int32_t>& shown_items,
         const Column<std::int64_t>& shown_times, const Column<std::int32_t>& requests, const Column<std::int32_t>& users,
         const Column<std::int32_t>& items, const Column<std::int32_t>& types, const Column<std::int64_t>& times,
         const Column<double>& values, const std::vector<std::int64_t>& windows_ms, const std::vector<std::int32_t>& takes_back) {
        if (windows_ms.size() != takes_back.size()) throw std::invalid_argument("takes_back must have one entry a type");
        std::vector<EventTypeRule> rules;
        for (std::size_t i = 0; i < windows_ms.size(); ++i) rules.push_back({windows_ms[i], takes_back[i]});
        Credit found;
        {
          const py::gil_scoped_release release;
          found = attribute_events({view(shown_requests), view(shown_users), view(shown_items), view(shown_times)},
                                   {view(requests), view(users), view(items), view(types), view(times), view(values)}, rules);
        }
        std::vector<std::uint8_t> outcomes;
        for (const CreditOutcome o : found.outcomes) outcomes.push_back(static_cast<std::uint8_t>(o));
        return py::make_tuple(take(found.rows), take(outcomes), take(found.values), take(found.counts));
      },
      py::arg("shown_requests"), py::arg("shown_users"), py::arg("shown_items"), py::arg("shown_times"), py::arg("requests"),
      py::arg("users"), py::arg("items"), py::arg("types"), py::arg("times"), py::arg("values"), py::arg("windows_ms"),
      py::arg("takes_back"), "(rows int64, outcomes uint8, values float64, counts uint8), each [events].");
  py::list names;
  for (std::size_t i = 0; i < kCreditOutcomes; ++i) names.append(py::str(std::string(credit_outcome_name(static_cast<CreditOutcome>(i)))));
  m.attr("CREDIT_OUTCOMES") = py::tuple(names);
  m.def(
      "reaction_rates",
      [](const Column<std::int32_t>& groups, std::int32_t num_groups, const Column<std::uint8_t>& reacted, const Column<std::int32_t>& users,
         double confidence) {
        std::vector<ReactionRate> found;
        {
          const py::gil_scoped_release release;
          found = reaction_rates(view(groups), num_groups, view(reacted), view(users), confidence);
        }
        py::list out;
        for (const ReactionRate& r : found) out.append(py::make_tuple(r.shown, r.reacted, r.shoppers, r.effective, r.low, r.high));
        return out;
      },
      py::arg("groups"), py::arg("num_groups"), py::arg("reacted"), py::arg("users"), py::arg("confidence"),
      "[(shown, reacted, shoppers, effective, low, high)] of each group.");
  m.def(
      "wilson_interval",
      [](double share, double n, double confidence) {
        double low = 0;
        double high = 0;
        wilson_interval(share, n, confidence, low, high);
        return py::make_tuple(low, high);
      },
      py::arg("share"), py::arg("n"), py::arg("confidence"));
}

}  // namespace etalage::python
