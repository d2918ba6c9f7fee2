// SPDX-License-Identifier: Apache-2.0
// The models on Sequences.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "etalage/core/sequences.hpp"
#include "etalage/models/item2vec.hpp"
#include "etalage/models/linear_sequence.hpp"
#include "etalage/models/repeat_purchase.hpp"
#include "etalage/models/sequence_model.hpp"
#include "etalage/models/sequential_rules.hpp"
#include "etalage/models/session_knn.hpp"
#include "etalage/models/transitions.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "sequence_helpers.hpp"

namespace etalage::python {

void bind_sequence_models(py::module_& m) {
  py::class_<SequenceModel, Recommender, std::shared_ptr<SequenceModel>>(m, "SequenceModel",
                                                                         "The compiled part of the models on Sequences.")
      .def_property_readonly("counts", [](const SequenceModel& s) { return to_numpy(s.counts()); })
      .def_property_readonly("num_steps", &SequenceModel::num_steps)
      .def_property_readonly("num_repeats", &SequenceModel::num_repeats)
      .def_property_readonly(
          "sequences",
          [](const SequenceModel& s) -> py::object {
            if (!s.has_history()) return py::none();
            const CsrMatrix& rows = s.history();
            return py::cast(std::make_shared<Sequences>(rows.offsets, rows.columns, s.history_times(), s.num_items(),
                                                        Array<std::int32_t>(), s.user_ids(), s.item_ids()));
          },
          "The kept lists, one a user.");
  bind_sequence_model<LinearSequenceModel>(m, "LinearSequenceModel");
  bind_sequence_model<RepeatPurchaseModel>(m, "RepeatPurchaseModel")
      .def("set_now", &RepeatPurchaseModel::set_now, py::arg("now_ms"))
      .def("again",
           [](const RepeatPurchaseModel& r, std::int32_t item, std::int64_t purchases) {
             check_indices({&item, 1}, r.num_items(), "item_index");
             return r.again(item, static_cast<std::size_t>(std::max<std::int64_t>(purchases, 1)));
           },
           py::arg("item_index"), py::arg("purchases"))
      .def("median_gap_days",
           [](const RepeatPurchaseModel& r, std::int32_t item) {
             check_indices({&item, 1}, r.num_items(), "item_index");
             return r.median_gap_days(item);
           },
           py::arg("item_index"));
  bind_sequence_model<SessionKnnModel>(m, "SessionKnnModel")
      .def("add_sessions", &add_sessions<SessionKnnModel>, py::arg("sequences"))
      .def_property_readonly("num_sessions", &SessionKnnModel::num_sessions);
  bind_sequence_model<Item2VecModel>(m, "Item2VecModel")
      .def_property_readonly(
          "item_vectors",
          [](const Item2VecModel& s) {
            return to_numpy(s.item_vectors(), {static_cast<py::ssize_t>(s.num_items()), static_cast<py::ssize_t>(s.options().factors)});
          },
          "float32 [num_items x factors], rows of unit length, read-only.");
  bind_sequence_model<TransitionsModel>(m, "TransitionsModel")
      .def("add_sessions", &add_sessions<TransitionsModel>, py::arg("sequences"));
  bind_sequence_model<SequentialRulesModel>(m, "SequentialRulesModel");
}

}  // namespace etalage::python
