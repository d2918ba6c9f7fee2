// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "etalage/core/sequences.hpp"
#include "etalage/models/blend.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

BlendOptions blend_options_from(py::dict d) {
  if (d.contains("weights") && py::object(d["weights"]).is_none()) {  // equal ones, until they are learned
    d = py::dict(d.attr("copy")());
    d["weights"] = py::list();
  }
  return options_from_dict<BlendOptions>(d);
}

py::dict to_dict(const BlendOptions& o, Shown what = Shown::kGiven) {
  py::dict d = options_to_dict(o, what);
  if (o.weights.empty()) d["weights"] = py::none();
  return d;
}

}  // namespace

void bind_blend(py::module_& m) {
  py::class_<BlendModel, Recommender, std::shared_ptr<BlendModel>>(m, "BlendModel")
      .def(py::init([](const std::vector<std::pair<std::string, std::shared_ptr<Recommender>>>& given, const py::dict& options) {
             std::vector<BlendMember> members;
             for (const auto& [name, model] : given) members.push_back({name, model});
             return std::make_shared<BlendModel>(std::move(members), blend_options_from(options));
           }),
           py::arg("members"), py::arg("options"))
      .def_static("check_options", [](const py::dict& options) { (void)blend_options_from(options); }, py::arg("options"))
      .def_static("rules", &option_rules<BlendOptions>, "What each option must be, in words.")
      .def_property_readonly("options", [](const BlendModel& b) { return to_dict(b.options()); })
      .def_property_readonly(
          "resolved",
          [](const BlendModel& b) {
            py::dict d = to_dict(b.options(), Shown::kInUse);
            d["weights"] = numbers({b.weights().begin(), b.weights().end()});
            return d;
          },
          "Options as they are in use.")
      .def_property_readonly(
          "members",
          [](const BlendModel& b) {
            py::list out;
            for (const BlendMember& member : b.members())
              out.append(py::make_tuple(member.name, std::const_pointer_cast<Recommender>(member.model)));
            return out;
          },
          "(name, model) of each.")
      .def_property_readonly("weights", [](const BlendModel& b) { return numbers({b.weights().begin(), b.weights().end()}); })
      .def("copy", [](const BlendModel& b) { return std::make_shared<BlendModel>(b); })
      .def(
          "learn_weights",
          [](BlendModel& b, const py::object& histories, const py::object& held_out, int k, int max_users, int num_threads,
             bool exclude_seen, const std::vector<float>& importance) {
            const CsrMatrix relevant = canonical(csr_from_python(held_out, "valid"), "valid");
            if (py::isinstance<Sequences>(histories)) {
              const Sequences lists = histories.cast<Sequences>();
              const py::gil_scoped_release release;
              return b.learn_weights(lists, relevant.view(), k, max_users, num_threads, exclude_seen, importance);
            }
            const CsrMatrix rows = canonical(csr_from_python(histories, "train"), "train");
            const py::gil_scoped_release release;
            return b.learn_weights(rows.view(), relevant.view(), k, max_users, num_threads, exclude_seen, importance);
          },
          py::arg("train"), py::arg("valid"), py::arg("k"), py::arg("max_users"), py::arg("num_threads"), py::arg("exclude_seen"),
          py::arg("importance") = std::vector<float>(), "train: Sequences or a CSR matrix. Returns the NDCG@k reached.")
      .def(
          "learn_weights_next",
          [](BlendModel& b, const Sequences& given, bool last_only, int k, int max_places, int num_threads, bool exclude_seen) {
            const Sequences lists = given;
            const py::gil_scoped_release release;
            return b.learn_weights_next(lists, last_only, k, max_places, num_threads, exclude_seen);
          },
          py::arg("valid"), py::arg("last_only"), py::arg("k"), py::arg("max_places"), py::arg("num_threads"), py::arg("exclude_seen"),
          "Returns the NDCG@k reached.");
}

}  // namespace etalage::python
