// SPDX-License-Identifier: Apache-2.0
// Splits, metrics, evaluation. The Python layer turns frames, scipy matrices and foreign models into these arguments.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "etalage/core/event_log.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/evaluation/evaluator.hpp"
#include "etalage/evaluation/fit_check.hpp"
#include "etalage/evaluation/split.hpp"
#include "numpy_helpers.hpp"
#include "without_gil.hpp"

namespace etalage::python {
namespace {

template <class Data>
py::tuple parts(Split<Data>&& s) {
  return py::make_tuple(std::make_shared<Data>(std::move(s.train)), std::make_shared<Data>(std::move(s.valid)),
                        std::make_shared<Data>(std::move(s.test)));
}

ResamplingOptions resampling(int samples, double confidence, std::uint64_t seed, int num_threads) {
  ResamplingOptions o;
  o.samples = samples;
  o.confidence = confidence;
  o.seed = seed;
  o.num_threads = num_threads;
  return o;
}

EvaluationOptions options(std::vector<int> k, std::vector<std::string> metrics, bool exclude_seen, bool recalculate_user, int num_threads,
                          bool check_fit = true) {
  EvaluationOptions o;
  o.check_fit = check_fit;
  o.k = std::move(k);
  o.metrics = std::move(metrics);
  o.exclude_seen = exclude_seen;
  o.recalculate_user = recalculate_user;
  o.num_threads = num_threads;
  return o;
}

py::dict test_to_dict(const PairedTest& t) {
  py::dict d;
  d["difference"] = t.difference;
  d["interval"] = py::make_tuple(t.interval.low, t.interval.high);
  d["p_value"] = t.p_value;
  return d;
}

void bind_splits(py::module_& m) {
  m.def("leave_last_out",
        [](const EventLog& log, bool valid, bool keep_repeats, const std::vector<std::string>& target_events) {
          LeaveLastOutOptions o;
          o.valid = valid;
          o.keep_repeats = keep_repeats;
          o.target_events = target_events;
          return parts(without_gil([&] { return leave_last_out(log, o); }));
        },
        py::arg("log"), py::arg("valid"), py::arg("keep_repeats"), py::arg("target_events"));
  m.def("temporal_split",
        [](const EventLog& log, std::int64_t at_ms, std::optional<std::int64_t> valid_at_ms) {
          return parts(without_gil([&] { return temporal(log, at_ms, valid_at_ms); }));
        },
        py::arg("log"), py::arg("at_ms"), py::arg("valid_at_ms").none(true));
  m.def("random_holdout",
        [](const EventLog& log, double share, std::uint64_t seed, double valid_share) {
          return parts(without_gil([&] { return random_holdout(log, share, seed, valid_share); }));
        },
        py::arg("data"), py::arg("share"), py::arg("seed"), py::arg("valid_share"));
  m.def("random_holdout",
        [](const Interactions& data, double share, std::uint64_t seed, double valid_share) {
          return parts(without_gil([&] { return random_holdout(data, share, seed, valid_share); }));
        },
        py::arg("data"), py::arg("share"), py::arg("seed"), py::arg("valid_share"));
  m.def("tail_holdout",
        [](const EventLog& log, double share, double valid_share) {
          return parts(without_gil([&] { return tail_holdout(log, share, valid_share); }));
        },
        py::arg("log"), py::arg("share"), py::arg("valid_share"));
}

}  // namespace

void bind_evaluation(py::module_& m) {
  bind_splits(m);

  py::class_<Evaluation, std::shared_ptr<Evaluation>>(m, "Evaluation", "The compiled part of an evaluation's result.")
      .def_property_readonly("names", [](const Evaluation& e) { return e.names(); })
      .def_property_readonly("users", [](const Evaluation& e) { return e.users(); })
      .def_property_readonly("hidden", &Evaluation::hidden)
      .def_property_readonly("seconds", &Evaluation::seconds)
      .def_property_readonly("user_index", [](const Evaluation& e) { return to_numpy(e.user_index()); })
      .def_property_readonly("has_history", [](const Evaluation& e) { return to_numpy(e.has_history()); })
      .def(py::pickle(
          [](const Evaluation& e) {
            Evaluation::Parts parts = e.parts();
            py::list per_user;
            for (const Array<double>& values : parts.per_user) per_user.append(to_numpy(values));
            return py::make_tuple(parts.names, parts.values, per_user, to_numpy(parts.user_index), to_numpy(parts.has_history),
                                  parts.tied, parts.hidden, parts.seconds);
          },
          [](const py::tuple& state) {
            if (state.size() != 8) throw std::invalid_argument("an Evaluation's state has " + std::to_string(state.size()) + " parts, must have 8");
            const auto copied = [](const auto& array) { return Array(std::span(array.data(), static_cast<std::size_t>(array.size()))); };
            Evaluation::Parts parts;
            parts.names = state[0].cast<std::vector<std::string>>();
            parts.values = state[1].cast<std::vector<double>>();
            for (const py::handle values : state[2]) parts.per_user.push_back(copied(values.cast<py::array_t<double, py::array::c_style>>()));
            parts.user_index = copied(state[3].cast<py::array_t<std::int32_t, py::array::c_style>>());
            parts.has_history = copied(state[4].cast<py::array_t<std::uint8_t, py::array::c_style>>());
            parts.tied = state[5].cast<std::vector<std::pair<int, double>>>();
            parts.hidden = state[6].cast<std::int64_t>();
            parts.seconds = state[7].cast<double>();
            return std::make_shared<Evaluation>(std::move(parts));
          }))
      .def("value", [](const Evaluation& e, const std::string& name) { return e.value(name); }, py::arg("name"))
      .def("per_user", [](const Evaluation& e, const std::string& name) { return to_numpy(e.per_user(name)); }, py::arg("name"))
      .def("tied", [](const Evaluation& e, int k) { return e.tied(k); }, py::arg("k"))
      .def("interval",
           [](const Evaluation& e, const std::string& name, int samples, double confidence, std::uint64_t seed, int num_threads) {
             const Interval i = without_gil([&] { return e.interval(name, resampling(samples, confidence, seed, num_threads)); });
             return py::make_tuple(i.low, i.high);
           },
           py::arg("name"), py::arg("samples"), py::arg("confidence"), py::arg("seed"), py::arg("num_threads"))
      .def("compare",
           [](const Evaluation& e, const Evaluation& other, const std::string& name, int samples, double confidence,
              std::uint64_t seed, int num_threads) {
             return test_to_dict(
                 without_gil([&] { return e.compare(other, name, resampling(samples, confidence, seed, num_threads)); }));
           },
           py::arg("other"), py::arg("name"), py::arg("samples"), py::arg("confidence"), py::arg("seed"), py::arg("num_threads"));

  const auto evaluated = [](const auto& call) { return std::make_shared<Evaluation>(without_gil(call)); };
  m.def("evaluate",
        [evaluated](const std::shared_ptr<Recommender>& model, const Interactions& train, const Interactions& test, const std::vector<int>& k,
                    const std::vector<std::string>& metrics, bool exclude_seen, bool recalculate_user, int num_threads, bool check) {
          const EvaluationOptions o = options(k, metrics, exclude_seen, recalculate_user, num_threads, check);
          return evaluated([&] { return evaluate(*model, train, test, o); });
        },
        py::arg("model"), py::arg("train"), py::arg("test"), py::arg("k"), py::arg("metrics"), py::arg("exclude_seen"),
        py::arg("recalculate_user"), py::arg("num_threads"), py::arg("check_fit") = true);
  m.def("evaluate",
        [evaluated](const std::shared_ptr<Recommender>& model, const Sequences& train, const Interactions& test, const std::vector<int>& k,
                    const std::vector<std::string>& metrics, bool exclude_seen, bool recalculate_user, int num_threads, bool check) {
          const EvaluationOptions o = options(k, metrics, exclude_seen, recalculate_user, num_threads, check);
          return evaluated([&] { return evaluate(*model, train, test.user_items().view(), o); });
        },
        py::arg("model"), py::arg("train"), py::arg("test"), py::arg("k"), py::arg("metrics"), py::arg("exclude_seen"),
        py::arg("recalculate_user"), py::arg("num_threads"), py::arg("check_fit") = true);
  const auto checked = [](const auto& make) {
    FitCheck check;
    {
      const py::gil_scoped_release release;
      check = make();
    }
    return py::make_tuple(check.known, check.is_train, check.leaked);
  };
  m.def("check_fit",
        [checked](const std::shared_ptr<Recommender>& model, const Interactions& train, const Interactions& test) {
          return checked([&] { return check_fit(*model, train.user_items().view(), test.user_items().view()); });
        },
        py::arg("model"), py::arg("train"), py::arg("test"));
  m.def("check_fit",
        [checked](const std::shared_ptr<Recommender>& model, const Sequences& train, const Interactions& test) {
          return checked([&] { return check_fit(*model, train, test.user_items().view()); });
        },
        py::arg("model"), py::arg("train"), py::arg("test"),
        "(known, is_train, leaked): whether the model says what it was fitted on, whether that is train, and how many pairs that\n"
        "test asks for it held.");
  py::class_<RankingEvaluator>(m, "RankingEvaluator", "Measures lists that come block by block.")
      .def(py::init([](const Interactions& test, const py::object& users, const Interactions* train, const std::vector<int>& k,
                       const std::vector<std::string>& metrics, int num_threads) {
             const Array<std::int32_t> rows = users.is_none() ? Array<std::int32_t>() : wrap(from_numpy<std::int32_t>(users, "users", 1));
             const EvaluationOptions o = options(k, metrics, true, false, num_threads);
             return without_gil([&] {
               const CsrView seen = train != nullptr ? train->user_items().view() : CsrView{};
               return RankingEvaluator(test.user_items().view(), rows, train != nullptr ? &seen : nullptr, o);
             });
           }),
           py::arg("test"), py::arg("users").none(true), py::arg("train").none(true), py::arg("k"), py::arg("metrics"),
           py::arg("num_threads"))
      .def("add",
           [](RankingEvaluator& e, const py::object& rows, const py::object& items, const py::object& scores) {
             const auto places = from_numpy<std::int32_t>(rows, "rows", 1);
             const auto lists = from_numpy<std::int32_t>(items, "items", 2);
             MatrixView<const float> scored;
             py::array_t<float, py::array::c_style> values;
             if (!scores.is_none()) {
               values = from_numpy<float>(scores, "scores", 2);
               scored = {values.data(), static_cast<std::size_t>(values.shape(0)), static_cast<std::size_t>(values.shape(1))};
             }
             const MatrixView<const std::int32_t> view(lists.data(), static_cast<std::size_t>(lists.shape(0)),
                                                       static_cast<std::size_t>(lists.shape(1)));
             without_gil([&] { e.add({places.data(), static_cast<std::size_t>(places.size())}, view, scored); });
           },
           py::arg("rows"), py::arg("items"), py::arg("scores").none(true))
      .def("finish", [evaluated](RankingEvaluator& e) { return evaluated([&] { return e.finish(); }); });
  m.def("evaluate_next",
        [evaluated](const std::shared_ptr<Recommender>& model, const Sequences& sequences, const std::string& positions, const std::vector<int>& k,
                    const std::vector<std::string>& metrics, bool exclude_seen, bool known_users, int num_threads,
                    std::optional<bool> exclude_last) {
          NextItemOptions o;
          o.exclude_last = exclude_last;
          if (positions != "last" && positions != "all")
            throw std::invalid_argument("positions is '" + positions + "', must be 'last' or 'all'");
          o.positions = positions == "all" ? Positions::kAll : Positions::kLast;
          o.k = k;
          o.metrics = metrics;
          o.exclude_seen = exclude_seen;
          o.known_users = known_users;
          o.num_threads = num_threads;
          return evaluated([&] { return evaluate_next(*model, sequences, o); });
        },
        py::arg("model"), py::arg("sequences"), py::arg("positions"), py::arg("k"), py::arg("metrics"), py::arg("exclude_seen"),
        py::arg("known_users"), py::arg("num_threads"), py::arg("exclude_last") = py::none());
  m.def("metric_at_k",
        [](const std::string& metric, const py::object& relevant, const py::object& ranked, int k, const py::object& scores) {
          const auto lists = from_numpy<std::int32_t>(ranked, "ranked", 1);
          const auto given = from_numpy<std::int32_t>(relevant, "relevant", 1);
          std::vector<std::int32_t> sorted(given.data(), given.data() + given.size());
          std::sort(sorted.begin(), sorted.end());
          sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
          std::span<const float> scored;
          py::array_t<float, py::array::c_style> values;
          if (!scores.is_none()) {
            values = from_numpy<float>(scores, "scores", 1);
            scored = {values.data(), static_cast<std::size_t>(values.size())};
          }
          return metric_at_k(metric_of(metric), sorted, {lists.data(), static_cast<std::size_t>(lists.size())}, k, scored);
        },
        py::arg("metric"), py::arg("relevant"), py::arg("ranked"), py::arg("k"), py::arg("scores").none(true) = py::none());
}

}  // namespace etalage::python
