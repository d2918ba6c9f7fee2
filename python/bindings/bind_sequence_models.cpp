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
#include "option_fields.hpp"
#include "sequence_helpers.hpp"

namespace etalage::python {
namespace {

constexpr std::initializer_list<std::pair<const char*, GapWeight>> kGapWeights = {{"div", GapWeight::kDiv},
                                                                                 {"quadratic", GapWeight::kQuadratic},
                                                                                 {"linear", GapWeight::kLinear},
                                                                                 {"log", GapWeight::kLog},
                                                                                 {"same", GapWeight::kSame}};

constexpr std::initializer_list<std::pair<const char*, PlaceWeight>> kPlaceWeights = {
    {"div", PlaceWeight::kDiv}, {"quadratic", PlaceWeight::kQuadratic}, {"linear", PlaceWeight::kLinear},
    {"log", PlaceWeight::kLog}, {"same", PlaceWeight::kSame},           {"exponential", PlaceWeight::kExponential}};

constexpr std::initializer_list<std::pair<const char*, LinearSequenceMethod>> kLinearSequenceMethods = {
    {"auto", LinearSequenceMethod::kAuto},
    {"exact", LinearSequenceMethod::kExact},
    {"candidates", LinearSequenceMethod::kCandidates}};

constexpr auto linear_fields = [](auto& o, const auto& visit) {
  visit("l2", o.l2);
  visit("ridge_exponent", o.ridge_exponent);
  visit("forward", o.forward);
  visit("backward", o.backward);
  visit("decay", o.decay);
  visit("window", o.window);
  visit("column_exponent", o.column_exponent);
  visit("query_decay", o.query_decay);
  visit("max_history", o.max_history);
  visit("method", o.method, kLinearSequenceMethods);
  visit("memory_budget", o.memory_budget);
  visit("num_candidates", o.num_candidates);
  visit("num_neighbors", o.num_neighbors);
  visit("exclude_last", o.exclude_last);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

constexpr auto repeat_fields = [](auto& o, const auto& visit) {
  visit("min_gap_days", o.min_gap_days);
  visit("item_shrinkage", o.item_shrinkage);
  visit("user_shrinkage", o.user_shrinkage);
  visit("now_ms", o.now_ms);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

constexpr auto session_knn_fields = [](auto& o, const auto& visit) {
  visit("num_neighbors", o.num_neighbors);
  visit("recent_sessions", o.recent_sessions);
  visit("weighting", o.weighting, kPlaceWeights);
  visit("place_decay", o.place_decay);
  visit("score_weighting", o.score_weighting, kGapWeights);
  visit("idf_weight", o.idf_weight);
  visit("item_decay", o.item_decay);
  visit("backward", o.backward);
  visit("length_exponent", o.length_exponent);
  visit("session_decay_days", o.session_decay_days);
  visit("max_history", o.max_history);
  visit("exclude_last", o.exclude_last);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

constexpr auto transitions_fields = [](auto& o, const auto& visit) {
  visit("forward", o.forward);
  visit("backward", o.backward);
  visit("decay", o.decay);
  visit("window", o.window);
  visit("row_exponent", o.row_exponent);
  visit("column_exponent", o.column_exponent);
  visit("query_decay", o.query_decay);
  visit("max_history", o.max_history);
  visit("exclude_last", o.exclude_last);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

constexpr auto rules_fields = [](auto& o, const auto& visit) {
  visit("weighting", o.weighting, kGapWeights);
  visit("max_gap", o.max_gap);
  visit("min_support", o.min_support);
  visit("num_neighbors", o.num_neighbors);
  visit("query_decay", o.query_decay);
  visit("max_history", o.max_history);
  visit("exclude_last", o.exclude_last);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
};

constexpr auto item2vec_fields = [](auto& o, const auto& visit) {
  visit("factors", o.factors);
  visit("window", o.window);
  visit("num_negatives", o.num_negatives);
  visit("epochs", o.epochs);
  visit("learning_rate", o.learning_rate);
  visit("subsample", o.subsample);
  visit("negative_exponent", o.negative_exponent);
  visit("query_decay", o.query_decay);
  visit("max_history", o.max_history);
  visit("compute_objective", o.compute_objective);
  visit("exclude_last", o.exclude_last);
  visit("keep_history", o.keep_history);
  visit("num_threads", o.num_threads);
  visit("seed", o.seed);
};

}  // namespace

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
  bind_sequence_model<LinearSequenceModel>(m, "LinearSequenceModel", linear_fields);
  bind_sequence_model<RepeatPurchaseModel>(m, "RepeatPurchaseModel", repeat_fields)
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
  bind_sequence_model<SessionKnnModel>(m, "SessionKnnModel", session_knn_fields)
      .def("add_sessions", &add_sessions<SessionKnnModel>, py::arg("sequences"))
      .def_property_readonly("num_sessions", &SessionKnnModel::num_sessions);
  bind_sequence_model<Item2VecModel>(m, "Item2VecModel", item2vec_fields)
      .def_property_readonly(
          "item_vectors",
          [](const Item2VecModel& s) {
            return to_numpy(s.item_vectors(), {static_cast<py::ssize_t>(s.num_items()), static_cast<py::ssize_t>(s.options().factors)});
          },
          "float32 [num_items x factors], rows of unit length, read-only.");
  bind_sequence_model<TransitionsModel>(m, "TransitionsModel", transitions_fields)
      .def("add_sessions", &add_sessions<TransitionsModel>, py::arg("sequences"));
  bind_sequence_model<SequentialRulesModel>(m, "SequentialRulesModel", rules_fields);
}

}  // namespace etalage::python
