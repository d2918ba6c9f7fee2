// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "etalage/core/sequences.hpp"
#include "etalage/models/learned_ranker.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

template <class T>
Array<T> facts(const py::object& given, const char* name, int ndim) {
  return given.is_none() ? Array<T>{} : kept(from_numpy<T>(given, name, ndim));
}

py::dict to_dict(const RankingLists& lists, std::size_t features) {
  py::dict d;
  put(d, "offsets", take(lists.offsets), "queries", take(lists.queries), "groups", take(lists.groups), "relevant", take(lists.relevant), "items", take(lists.items),
      "gains", take(lists.gains), "rows", take(lists.rows, {static_cast<py::ssize_t>(lists.items.size()), static_cast<py::ssize_t>(features)}),
      "asked", lists.asked);
  return d;
}

LinearRanker linear_fit(const py::object& rows, const py::object& offsets, const py::object& gains, const py::object& weights, double l2,
                        std::int32_t max_iterations, double tolerance, int num_threads) {
  const auto x = from_numpy<float>(rows, "rows", 2);
  const auto o = from_numpy<std::int64_t>(offsets, "offsets", 1);
  const auto g = from_numpy<float>(gains, "gains", 1);
  const Array<float> w = facts<float>(weights, "weights", 1);
  const MatrixView<const float> view(x.data(), static_cast<std::size_t>(x.shape(0)), static_cast<std::size_t>(x.shape(1)));
  const py::gil_scoped_release release;
  return LinearRanker::fit(view, {o.data(), static_cast<std::size_t>(o.size())}, {g.data(), static_cast<std::size_t>(g.size())}, w.view(),
                           {.l2 = l2, .max_iterations = max_iterations, .tolerance = tolerance, .num_threads = num_threads});
}

py::array_t<double> linear_predict(const LinearRanker& linear, const py::object& rows) {
  const auto x = from_numpy<float>(rows, "rows", 2);
  const auto f = static_cast<std::size_t>(x.shape(1));
  if (f != linear.num_features())
    throw std::invalid_argument("rows has " + std::to_string(f) + " features, must have the " + std::to_string(linear.num_features()) + " of the ranker");
  std::vector<double> out(static_cast<std::size_t>(x.shape(0)));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = linear.score({x.data() + i * f, f});
  return take(out);
}

}  // namespace

void bind_learned_ranker(py::module_& m) {
  m.def(
      "bootstrap_weights",
      [](const py::object& groups, const py::object& taught, std::uint64_t seed, std::uint64_t model) {
        const Array<std::int64_t> g = facts<std::int64_t>(groups, "groups", 1);
        const Array<std::uint8_t> t = facts<std::uint8_t>(taught, "taught", 1);
        return take(bootstrap_weights(g.view(), t.view(), seed, model));
      },
      py::arg("groups"), py::arg("taught"), py::arg("seed"), py::arg("model"), "float32 [lists]: how often each is in a bootstrap resample.");
  py::class_<LinearRanker, std::shared_ptr<LinearRanker>>(m, "LinearRanker")
      .def_static("fit", &linear_fit, py::arg("rows"), py::arg("offsets"), py::arg("gains"), py::arg("weights") = py::none(),
                  py::arg("l2") = 1e-3, py::arg("max_iterations") = 50, py::arg("tolerance") = 1e-8, py::arg("num_threads") = 0)
      .def("predict", &linear_predict, py::arg("rows"), "float64 [n] for float32 [n, features].")
      .def_property_readonly("weights", [](const LinearRanker& r) { return take(std::vector<double>(r.weights().begin(), r.weights().end())); })
      .def_property_readonly("missing_weights",
                             [](const LinearRanker& r) { return take(std::vector<double>(r.missing_weights().begin(), r.missing_weights().end())); })
      .def_property_readonly("means", [](const LinearRanker& r) { return take(std::vector<double>(r.means().begin(), r.means().end())); })
      .def_property_readonly("inverse_deviations",
                             [](const LinearRanker& r) { return take(std::vector<double>(r.inverse_deviations().begin(), r.inverse_deviations().end())); })
      .def_property_readonly("report", [](const LinearRanker& r) {
        py::dict d;
        d["loss"] = r.report().loss;
        d["gradient"] = r.report().gradient;
        d["iterations"] = r.report().iterations;
        d["lists"] = r.report().lists;
        return d;
      });

  py::class_<LearnedRankerModel, Recommender, std::shared_ptr<LearnedRankerModel>>(m, "LearnedRankerModel")
      .def(py::init([](const std::vector<std::pair<std::string, std::shared_ptr<Recommender>>>& given, const Sequences& histories,
                       const py::dict& options, const py::object& prices, const py::object& categories, const py::object& vectors) {
             std::vector<BlendMember> sources;
             for (const auto& [name, model] : given) sources.push_back({name, model});
             const auto o = options_from_dict<LearnedRankerOptions>(options);
             Array<float> p = facts<float>(prices, "prices", 1);
             Array<std::int32_t> c = facts<std::int32_t>(categories, "categories", 1);
             Array<float> v = facts<float>(vectors, "vectors", 2);
             const Sequences kept_histories = histories;
             const py::gil_scoped_release release;
             ItemSignals signals = ItemSignals::of(kept_histories, o.half_life_days, o.neighbors, o.num_threads);
             signals.set_facts(std::move(p), std::move(c), std::move(v));
             return std::make_shared<LearnedRankerModel>(std::move(sources), std::move(signals), kept_histories, o);
           }),
           py::arg("sources"), py::arg("histories"), py::arg("options"), py::arg("prices") = py::none(), py::arg("categories") = py::none(),
           py::arg("vectors") = py::none())
      .def_static("check_options", [](const py::dict& options) { (void)options_from_dict<LearnedRankerOptions>(options); }, py::arg("options"))
      .def_static("rules", &option_rules<LearnedRankerOptions>, "What each option must be, in words.")
      .def_property_readonly("options", [](const LearnedRankerModel& r) { return options_to_dict(r.options()); })
      .def_property_readonly("resolved", [](const LearnedRankerModel& r) { return options_to_dict(r.options(), Shown::kInUse); })
      .def_property("learning", [](const LearnedRankerModel& r) { return r.options().learning; }, &LearnedRankerModel::set_learning)
      .def("set_served_at", &LearnedRankerModel::set_served_at, py::arg("placement"), py::arg("position"))
      .def_property_readonly("served_at", [](const LearnedRankerModel& r) { return py::make_tuple(r.options().placement, r.options().position); },
                             "(placement, position)")
      .def_property_readonly(
          "sources",
          [](const LearnedRankerModel& r) {
            py::list out;
            for (const BlendMember& s : r.sources()) out.append(py::make_tuple(s.name, std::const_pointer_cast<Recommender>(s.model)));
            return out;
          },
          "(name, model) of each.")
      .def_property_readonly("feature_names", &LearnedRankerModel::feature_names)
      .def_property_readonly("linear", [](const LearnedRankerModel& r) -> std::optional<LinearRanker> {
        return r.linear().empty() ? std::nullopt : std::optional<LinearRanker>(r.linear());
      })
      .def_property_readonly("trees", [](const LearnedRankerModel& r) { return r.trees(); })
      .def(
          "set_bag",
          [](LearnedRankerModel& r, const std::vector<std::pair<std::optional<LinearRanker>, std::optional<TreeEnsemble>>>& given) {
            std::vector<RankerScorer> bag;
            for (const auto& [linear, trees] : given) bag.push_back({linear.value_or(LinearRanker{}), trees});
            r.set_bag(std::move(bag));
          },
          py::arg("bag"), "(linear, trees) of each bootstrapped model; none, or 2 to 256 of them.")
      .def_property_readonly(
          "bag",
          [](const LearnedRankerModel& r) {
            std::vector<std::pair<std::optional<LinearRanker>, std::optional<TreeEnsemble>>> out;
            for (const RankerScorer& s : r.bag()) out.emplace_back(s.linear.empty() ? std::nullopt : std::optional(s.linear), s.trees);
            return out;
          },
          "(linear, trees) of each bootstrapped model.")
      .def("copy", [](const LearnedRankerModel& r) { return std::make_shared<LearnedRankerModel>(r); })
      .def(
          "set_scorer",
          [](LearnedRankerModel& r, const std::optional<LinearRanker>& linear, const std::optional<TreeEnsemble>& trees) {
            r.set_scorer(linear.value_or(LinearRanker{}), trees);
          },
          py::arg("linear"), py::arg("trees"))
      .def(
          "lists",
          [](const LearnedRankerModel& r, const py::object& held_out, std::int32_t max_users, bool exclude_seen, std::size_t max_negatives,
             std::uint64_t seed, int num_threads) {
            const CsrMatrix relevant = canonical(csr_from_python(held_out, "valid"), "valid");
            RankingLists out;
            {
              const py::gil_scoped_release release;
              out = r.lists(relevant.view(), max_users, exclude_seen, max_negatives, seed, num_threads);
            }
            return to_dict(out, r.num_features());
          },
          py::arg("valid"), py::arg("max_users"), py::arg("exclude_seen"), py::arg("max_negatives"), py::arg("seed") = 0,
          py::arg("num_threads") = 0)
      .def(
          "lists_next",
          [](const LearnedRankerModel& r, const Sequences& given, bool last_only, std::int32_t max_places, bool exclude_seen,
             std::size_t max_negatives, std::uint64_t seed, int num_threads) {
            const Sequences lists = given;
            RankingLists out;
            {
              const py::gil_scoped_release release;
              out = r.lists_next(lists, last_only, max_places, exclude_seen, max_negatives, seed, num_threads);
            }
            return to_dict(out, r.num_features());
          },
          py::arg("valid"), py::arg("last_only"), py::arg("max_places"), py::arg("exclude_seen"), py::arg("max_negatives"),
          py::arg("seed") = 0, py::arg("num_threads") = 0)
      .def(
          "features",
          [](const LearnedRankerModel& r, std::int32_t user, const py::object& session, const py::object& items, bool exclude_seen,
             std::optional<std::int64_t> now_ms, const py::object& history, const py::object& history_times) {
            const Array<std::int32_t> asked = facts<std::int32_t>(items, "items", 1);
            const Array<std::int32_t> visit = facts<std::int32_t>(session, "session", 1);
            const Array<std::int32_t> past = facts<std::int32_t>(history, "history", 1);
            const Array<std::int64_t> times = facts<std::int64_t>(history_times, "history_times", 1);
            Query q;
            if (user >= 0) q.user = user;
            q.session = visit.view();
            q.exclude_seen = exclude_seen;
            q.now_ms = now_ms;
            q.history_given = !history.is_none();
            q.history = past.view();
            q.history_times = times.view();
            std::vector<float> out(asked.size() * r.num_features());
            {
              const py::gil_scoped_release release;
              Scratch scratch;
              r.features(q, asked.view(), {out.data(), asked.size(), r.num_features()}, scratch);
            }
            return take(out, {static_cast<py::ssize_t>(asked.size()), static_cast<py::ssize_t>(r.num_features())});
          },
          py::arg("user"), py::arg("session"), py::arg("items"), py::arg("exclude_seen") = true, py::arg("now_ms") = py::none(),
          py::arg("history") = py::none(), py::arg("history_times") = py::none(),
          "float32 [items, features] of one query; user -1 is somebody unknown. history None means the kept row.");
}

}  // namespace etalage::python
