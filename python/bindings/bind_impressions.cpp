// SPDX-License-Identifier: Apache-2.0
// What an engine has shown, for Python.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "data_helpers.hpp"
#include "engine_handle.hpp"
#include "etalage/serving/engine.hpp"
#include "etalage/serving/impression_credit.hpp"
#include "key_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {
namespace {

Placement placement_of(const std::string& name) {
  const auto placement = placement_from_name(name);
  if (!placement) throw std::invalid_argument("placement is '" + name + "', must be one of home, product_page, basket, category_page, search, email");
  return *placement;
}

Exploration exploration_from(const py::dict& d) {
  return options_from_dict<Exploration>(d);
}

void explore(Engine& engine, const std::string& placement, const std::optional<py::dict>& how) {
  const Placement where = placement_of(placement);
  std::optional<Exploration> e;
  if (how) e = exploration_from(*how);
  const py::gil_scoped_release release;
  engine.explore(where, std::move(e));
}

void fatigue(Engine& engine, const std::string& placement, const std::optional<py::dict>& how) {
  const Placement where = placement_of(placement);
  std::optional<Fatigue> f;
  if (how) f = options_from_dict<Fatigue>(*how);
  const py::gil_scoped_release release;
  engine.fatigue(where, f);
}

py::object keys_array(const std::vector<std::optional<Key>>& keys) {
  py::list all(keys.size());
  bool integers = !keys.empty();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    all[i] = keys[i] ? key_to(*keys[i]) : py::object(py::none());
    integers = integers && keys[i] && std::holds_alternative<std::int64_t>(*keys[i]);
  }
  const py::module_ numpy = py::module_::import("numpy");
  if (integers) return numpy.attr("array")(all, py::arg("dtype") = "int64");
  py::object out = numpy.attr("empty")(keys.size(), py::arg("dtype") = "O");
  for (std::size_t i = 0; i < keys.size(); ++i) out[py::int_(i)] = all[i];
  return out;
}

/// One row a place; see etalage.serving.Impressions.
/// marginal and its error of each row as well where draws > 0.
py::dict impressions(const Engine& engine, int draws, std::uint64_t seed) {
  if (draws < 0) throw std::invalid_argument("marginals is " + std::to_string(draws) + ", must be a number of draws >= 1, or 0 for none");
  std::vector<double> marginal, marginal_error;
  std::vector<std::int64_t> request, time, snapshot;
  std::vector<std::optional<Key>> user, item;
  std::vector<std::string> placement, policy, source, tied;
  std::vector<std::int32_t> position;
  std::vector<float> score;
  std::vector<double> propensity;
  std::vector<std::uint8_t> explored;
  std::vector<std::string> events;
  std::vector<std::vector<std::int32_t>> counts;
  {
    const py::gil_scoped_release release;
    for (const EventType& t : engine.events().options().event_types) events.push_back(t.name);
    counts.resize(events.size());
    engine.impressions().each([&](const Impression& shown) {
      if (draws > 0)
        for (const Impression::Marginal& m : shown.marginals(draws, seed)) {
          marginal.push_back(m.probability);
          marginal_error.push_back(m.error);
        }
      for (std::size_t p = 0; p < shown.places.size(); ++p) {
        const Impression::Place& place = shown.places[p];
        request.push_back(static_cast<std::int64_t>(shown.request));
        time.push_back(shown.time_ms);
        user.push_back(shown.user);
        placement.emplace_back(placement_name(shown.placement));
        snapshot.push_back(static_cast<std::int64_t>(shown.snapshot));
        policy.emplace_back(exploration_name(shown.how.policy));
        position.push_back(static_cast<std::int32_t>(p + 1));
        item.emplace_back(place.item);
        source.push_back(place.source);
        score.push_back(place.score);
        propensity.push_back(place.propensity);
        explored.push_back(place.explored ? 1 : 0);
        std::string by;
        for (auto& c : counts) c.push_back(0);
        for (const Impression::Reaction& r : place.reactions) {
          const char* how = r.by_request ? "request" : "window";
          by = by.empty() || by == how ? how : "both";
        }
        for (const auto& [event, times] : credited(place)) {
          auto at = std::find(events.begin(), events.end(), event);
          if (at == events.end()) {  // a type that the engine had in another life
            at = events.insert(events.end(), event);
            counts.emplace_back(request.size(), 0);
          }
          counts[static_cast<std::size_t>(at - events.begin())].back() = times;
        }
        tied.push_back(std::move(by));
      }
    });
  }
  py::dict d;
  put(d, "request", take(std::move(request)), "time", take(std::move(time)), "user", keys_array(user), "placement", placement,
      "snapshot", take(std::move(snapshot)), "policy", policy, "position", take(std::move(position)), "item", keys_array(item), "source", source,
      "score", take(std::move(score)), "propensity", take(std::move(propensity)), "explored", take(std::move(explored)));
  if (draws > 0) put(d, "marginal", take(std::move(marginal)), "marginal_error", take(std::move(marginal_error)));
  put(d, "attributed", tied);
  py::dict by_event;
  for (std::size_t e = 0; e < events.size(); ++e) by_event[py::str(events[e])] = take(std::move(counts[e]));
  d["events"] = by_event;
  return d;
}

/// WhatIf of a policy, or of a snapshot where one is given.
py::dict what_if(const Engine& engine, const std::optional<py::dict>& policy, std::shared_ptr<Snapshot> snapshot, const std::optional<py::dict>& exploration,
                 const std::optional<std::string>& placement, std::map<std::string, double> worth, bool marginals) {
  WhatIfOptions options;
  if (placement) options.placement = placement_of(*placement);
  if (exploration) options.exploration = exploration_from(*exploration);
  options.worth = std::move(worth);
  options.marginals = marginals;
  const Exploration how = policy ? exploration_from(*policy) : Exploration{};
  WhatIf w;
  {
    const py::gil_scoped_release release;
    w = snapshot ? engine.what_if(std::move(snapshot), options) : engine.what_if(how, options);
  }
  const auto matrix = [&](std::vector<double>&& rows) { return take(std::move(rows)).attr("reshape")(w.rows, w.places); };
  py::dict d;
  put(d, "rewards", matrix(std::move(w.rewards)), "propensities", matrix(std::move(w.propensities)), "target", matrix(std::move(w.targets)), "shopper",
      take(std::move(w.shoppers)), "worth", w.worth, "not_drawn", w.not_drawn, "without_question", w.without_question, "before_training", w.before_training,
      "shopper_changed", w.shopper_changed);
  return d;
}

}  // namespace

void bind_impressions(py::module_& m) {
  using Release = py::call_guard<py::gil_scoped_release>;
  m.def("engine_explore", &explore, py::arg("engine"), py::arg("placement"), py::arg("how").none(true));
  m.def("engine_fatigue", &fatigue, py::arg("engine"), py::arg("placement"), py::arg("how").none(true));
  m.def("engine_impressions", &impressions, py::arg("engine"), py::arg("draws"), py::arg("seed"));
  m.def("engine_what_if", &what_if, py::arg("engine"), py::arg("policy").none(true), py::arg("snapshot").none(true),
        py::arg("exploration").none(true), py::arg("placement").none(true), py::arg("worth"), py::arg("marginals"));
  m.def("engine_replays",
        [](const Engine& engine, std::uint64_t request) {
          const auto shown = engine.impressions().find(request);
          if (!shown) throw std::invalid_argument("request is " + std::to_string(request) + ", must be the request_id of an answer that was logged and is still kept");
          return shown->replays();
        },
        py::arg("engine"), py::arg("request"), Release());
  m.def("engine_impression_bytes", [](const Engine& e) { return e.impressions().bytes(); }, py::arg("engine"), Release());
  m.def("engine_sync_impressions", [](Engine& e) { e.impressions().sync(); }, py::arg("engine"), Release());
  m.def("engine_compact_impressions", [](Engine& e) { e.impressions().compact(); }, py::arg("engine"), Release());
}

}  // namespace etalage::python
