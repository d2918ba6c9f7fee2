// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine_handle.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/io/engine_files.hpp"
#include "etalage/serving/engine.hpp"
#include "key_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "profile_helpers.hpp"
#include "without_gil.hpp"

namespace etalage::python {
namespace {

/// A clock that a replay sets; 0 is the system's.
struct Clock {
  std::atomic<std::int64_t> ms{0};
  [[nodiscard]] std::int64_t now() const {
    if (const std::int64_t set = ms.load(std::memory_order_relaxed); set != 0) return set;
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
};

EngineOptions engine_options_from(const py::dict& d) {
  EngineOptions o;
  EngineOptions::each(o, SetFromDict{d});
  o.events.now_ms = [clock = py::cast<std::shared_ptr<Clock>>(d["clock"])] { return clock->now(); };
  if (d.contains("event_types")) {
    o.events.event_types.clear();
    for (const py::handle entry : d["event_types"]) {
      const auto t = py::cast<py::dict>(entry);
      EventType type;
      type.name = py::cast<std::string>(t["name"]);
      set_option(t, "weight", type.weight);
      set_option(t, "trending", type.trending);
      set_option(t, "purchase", type.purchase);
      set_option(t, "returns", type.returns);
      o.events.event_types.push_back(std::move(type));
    }
  }
  return o;
}

/// A shopper's key of the kind that the published models' are: one of the other kind would be a newcomer for ever, who is
/// offered what they have already. (In C++, where requests are built by programs, it is a stranger's.)
Key shopper_from(const Engine& engine, const py::object& user) {
  Key key = key_from(user, "user");
  if (const auto s = engine.snapshot(); s && s->user_ids()) require_kind(*s->user_ids(), key, "user");
  return key;
}

void require_item_kinds(const Engine& engine, const std::vector<Key>& keys, const char* argument) {
  if (keys.empty()) return;
  if (const auto s = engine.snapshot())
    for (const Key& key : keys) require_kind(s->item_ids(), key, argument);
}

py::tuple recommend(const Engine& engine, const py::object& user, std::int64_t k, const std::string& placement, const std::optional<std::string>& filter,
                    const py::object& anchors, const py::object& session, const py::object& given, const py::object& query_vector,
                    const std::string& segment, std::optional<bool> exclude_seen, bool explain, const std::string& place, std::optional<bool> fill, bool log) {
  if (k < 0) throw std::invalid_argument("k is " + std::to_string(k) + ", must be >= 0");
  const std::optional<Key> shopper = user.is_none() ? std::nullopt : std::optional<Key>(shopper_from(engine, user));
  const std::vector<Key> anchor_keys = keys_from(anchors, "anchors");
  const std::vector<Key> session_keys = keys_from(session, "session");
  const std::vector<KeyView> anchor_views = views_of(anchor_keys);
  const std::vector<KeyView> session_views = views_of(session_keys);
  std::vector<Key> given_keys;
  std::vector<std::pair<KeyView, float>> given_views;
  if (!given.is_none()) {
    std::vector<float> scores;
    for (const py::handle entry : given) {
      const auto t = py::cast<py::tuple>(entry);
      given_keys.push_back(key_from(t[0], "given"));
      scores.push_back(py::cast<float>(t[1]));
    }
    for (std::size_t i = 0; i < scores.size(); ++i) given_views.emplace_back(view_of(given_keys[i]), scores[i]);
  }
  require_item_kinds(engine, anchor_keys, "an anchor");
  require_item_kinds(engine, session_keys, "an item of session");
  require_item_kinds(engine, given_keys, "a given item");
  std::vector<float> vector;
  if (!query_vector.is_none()) {
    const auto a = from_numpy<float>(query_vector, "query_vector", 1);
    vector.assign(a.data(), a.data() + a.size());
  }
  Answer answer;
  {
    const py::gil_scoped_release release;
    Request r;
    if (shopper) r.user = view_of(*shopper);
    r.placement = placement_from(placement);
    r.k = static_cast<std::size_t>(k);
    Predicate predicate;
    if (filter) {
      predicate = Predicate::from_json(*filter);
      r.filter = &predicate;
    }
    r.anchors = anchor_views;
    r.session = session_views;
    r.given = given_views;
    r.query_vector = vector;
    r.segment = segment;
    r.exclude_seen = exclude_seen;
    r.place = place;
    r.fill = fill;
    r.explain = explain;
    r.log = log;
    answer = engine.recommend(r);
  }
  const std::size_t n = answer.items.size();
  py::list keys(n);
  py::list sources(n);
  std::vector<float> scores(n);
  const bool integers = n == 0 || std::holds_alternative<std::int64_t>(answer.items[0].item);
  for (std::size_t i = 0; i < n; ++i) {
    keys[i] = key_to(answer.items[i].item);
    sources[i] = answer.items[i].source;
    scores[i] = answer.items[i].score;
  }
  py::object why = py::none();
  if (explain) {
    py::list all;
    for (const Why& w : answer.why) {
      py::dict d;
      py::dict by_source;
      for (const auto& [name, part] : w.sources) by_source[py::str(name)] = part;
      py::list because;
      for (const auto& [item, share] : w.because) because.append(py::make_tuple(key_to(item), share));
      put(d, "sources", by_source, "because", because, "rules", w.rules);
      all.append(d);
    }
    why = all;
  }
  py::dict about;
  put(about, "snapshot", answer.snapshot, "audit_id", answer.audit_id,
      "request_id", log ? py::object(py::int_(answer.request_id)) : py::object(py::none()), "known_user", answer.known_user,
      "eligible", answer.eligible, "from_fallback", answer.from_fallback, "filled", answer.filled);
  const py::object array = py::module_::import("numpy").attr("array")(keys, py::arg("dtype") = integers ? "int64" : "O");
  return py::make_tuple(array, take(std::move(scores)), sources, why, about);
}

std::uint64_t observe(Engine& engine, const py::object& user, const py::object& item, const std::string& event, std::optional<std::int64_t> time_ms,
                      float value, std::optional<std::uint64_t> request) {
  const Key u = key_from(user, "user");
  const Key i = key_from(item, "item");
  const py::gil_scoped_release release;
  const Event what{view_of(u), view_of(i), event, time_ms, value};
  return request ? engine.observe(what, *request) : engine.observe(what);
}

std::uint64_t set_available(Engine& engine, const py::object& item, std::optional<bool> available, const std::string& place) {
  const Key key = key_from(item, "item");
  const py::gil_scoped_release release;
  return engine.set_available(view_of(key), available, place);
}

std::uint64_t set_price(Engine& engine, const py::object& item, std::optional<float> price, const std::string& place) {
  const Key key = key_from(item, "item");
  const py::gil_scoped_release release;
  return engine.set_price(view_of(key), price, place);
}

std::uint64_t set_attribute(Engine& engine, const py::object& item, const std::string& name, std::optional<std::vector<std::string>> values,
                            const std::string& place) {
  const Key key = key_from(item, "item");
  const py::gil_scoped_release release;
  return engine.set_attribute(view_of(key), name, std::move(values), place);
}

py::dict offer(const Engine& engine, const py::object& item, const std::string& place) {
  const Key key = key_from(item, "item");
  EventStore::Offer said;
  {
    const py::gil_scoped_release release;
    said = engine.offer(view_of(key), place);
  }
  py::dict d;
  d["available"] = said.available;
  d["price"] = said.price;
  return d;
}

py::object user_view(const Engine& engine, const py::object& user) {
  const Key key = shopper_from(engine, user);
  bool found = false;
  UserView v;
  std::vector<std::optional<Key>> history_keys, session_keys, seen_keys;
  {
    const py::gil_scoped_release release;
    if (engine.events().read_user(view_of(key), v)) {
      const auto key_of = [&](std::int32_t item) {
        Key k;
        return engine.events().item_key(item, k) ? std::optional<Key>(std::move(k)) : std::nullopt;
      };
      for (const auto& p : v.history) history_keys.push_back(key_of(p.item));
      for (const std::int32_t item : v.session) session_keys.push_back(key_of(item));
      for (const auto& s : v.seen) seen_keys.push_back(key_of(s.item));
      found = true;
    }
  }
  if (!found) return py::none();
  const auto name = [](const std::optional<Key>& k) { return k ? key_to(*k) : py::object(py::none()); };
  const auto& types = engine.events().options().event_types;
  py::list history;
  for (std::size_t i = 0; i < v.history.size(); ++i) {
    const auto& p = v.history[i];
    history.append(py::make_tuple(name(history_keys[i]), p.type < types.size() ? types[p.type].name : std::string("?"), p.time_ms));
  }
  py::list session;
  for (const auto& item : session_keys) session.append(name(item));
  py::dict purchases;
  for (std::size_t i = 0; i < v.seen.size(); ++i)
    if (v.seen[i].purchases > 0) purchases[name(seen_keys[i])] = v.seen[i].purchases;
  py::dict d;
  put(d, "history", history, "session", session, "purchases", purchases);
  return d;
}

py::dict profile(const Engine& engine, const py::object& user) {
  const Key key = shopper_from(engine, user);
  const ShopperState s = without_gil([&] { return engine.profile(view_of(key)); });
  py::dict out = profile_fields(s.profile, s.snapshot->facts(), s.snapshot->profile_options(), s.now_ms);
  out["segment"] = std::string(lifecycle_name(s.lifecycle()));
  if (s.alive) out["alive"] = *s.alive;
  return out;
}

py::tuple buy_again(const Engine& engine, const py::object& user, std::size_t k, double horizon_days) {
  const Key key = shopper_from(engine, user);
  const std::vector<DueAgain> due = without_gil([&] { return engine.buy_again(view_of(key), k, horizon_days); });
  std::vector<BuyAgain> list;
  py::list keys;
  for (const DueAgain& d : due) {
    keys.append(key_to(d.key));
    list.push_back(d.what);
  }
  return py::make_tuple(keys, due_fields(list));
}

py::tuple bought_together(const Engine& engine, const py::object& item, std::size_t k) {
  const Key key = key_from(item, "item");
  std::vector<std::pair<std::int32_t, float>> found(std::min<std::size_t>(k, static_cast<std::size_t>(engine.events().options().co_purchase_limit)));
  std::vector<Key> keys(found.size());
  const std::size_t n = without_gil([&] {
    const std::int32_t index = engine.events().find_item(view_of(key));
    const std::size_t count = index < 0 ? 0 : engine.events().bought_together(index, found);
    for (std::size_t i = 0; i < count; ++i) (void)engine.events().item_key(found[i].first, keys[i]);
    return count;
  });
  py::list names;
  std::vector<double> counts;
  for (std::size_t i = 0; i < n; ++i) {
    names.append(key_to(keys[i]));
    counts.push_back(static_cast<double>(found[i].second));
  }
  return py::make_tuple(names, take(std::move(counts)));
}

std::uint64_t merge_users(Engine& engine, const py::object& from, const py::object& to) {
  const Key a = key_from(from, "from");
  const Key b = key_from(to, "to");
  return without_gil([&] { return engine.merge_users(view_of(a), view_of(b)); });
}

std::uint64_t erase_user(Engine& engine, const py::object& user) {
  const Key key = key_from(user, "user");
  return without_gil([&] { return engine.erase_user(view_of(key)); });
}

double intent(const Engine& engine, const py::object& user) {
  const Key key = shopper_from(engine, user);
  return without_gil([&] { return engine.intent(view_of(key)); });
}

py::object recovery(const Engine& engine) {
  const JournalRecovery* r = engine.events().recovery();
  if (r == nullptr) return py::none();
  py::dict d;
  put(d, "events", r->events, "last_sequence", r->last_sequence, "cut_bytes", r->cut_bytes, "cut_events", r->cut_events,
      "cut_reason", r->cut_reason, "lost_events", r->lost_events, "copies", r->copies);
  return d;
}

py::dict metrics(const Engine& engine) {
  const EngineMetrics m = without_gil([&] { return engine.metrics(); });
  py::dict stages;
  for (const auto& s : m.stages) {
    py::dict d;
    put(d, "count", s.seconds.count, "seconds", static_cast<double>(s.seconds.sum_ns) * 1e-9, "p50", s.seconds.quantile(0.5),
        "p99", s.seconds.quantile(0.99));
    stages[py::str(s.name)] = d;
  }
  py::dict sources;
  for (const auto& s : m.sources) {
    py::dict d;
    put(d, "candidates", s.candidates, "shown", s.shown, "failures", s.failures);
    sources[py::str(s.name)] = d;
  }
  py::dict d;
  put(d, "stages", stages, "sources", sources, "requests", m.requests, "unknown_users", m.unknown_users, "empty_answers", m.empty_answers,
      "short_answers", m.short_answers, "fallback_candidates", m.fallback_candidates, "filled", m.filled, "denied", m.denied,
      "filtered", m.filtered, "folded_in", m.folded_in, "folded_from_cache", m.folded_from_cache, "factor_hit_rate", m.factor_hit_rate(),
      "profiles_made", m.profiles_made, "profiles_from_cache", m.profiles_from_cache, "profile_hit_rate", m.profile_hit_rate());
  py::dict filters;
  put(filters, "entries", m.filters.entries, "bytes", m.filters.bytes, "hits", m.filters.hits, "misses", m.filters.misses,
      "patches", m.filters.patches, "hit_rate", m.filter_hit_rate());
  put(d, "filters", filters, "coverage", m.coverage, "snapshot", m.snapshot, "publications", m.publications, "rollbacks", m.rollbacks,
      "snapshot_age_seconds", m.snapshot_age_seconds, "events", m.events, "duplicate_events", m.duplicate_events, "late_events", m.late_events,
      "events_not_durable", m.events_not_durable, "journal_failure", m.journal_failure);
  return d;
}

}  // namespace

void bind_engine(py::module_& m) {
  using Release = py::call_guard<py::gil_scoped_release>;
  py::class_<Clock, std::shared_ptr<Clock>>(m, "Clock", "What time it is for an engine: the system's, or one that a replay sets.")
      .def(py::init<>())
      .def("now", &Clock::now)
      .def("set", [](Clock& c, std::int64_t ms) { c.ms.store(ms, std::memory_order_relaxed); }, py::arg("ms"));

  py::class_<EngineHandle>(m, "Engine", "The compiled part of etalage.serving.Engine.")
      .def(py::init([](const std::optional<std::filesystem::path>& path, const py::dict& options) {
             EngineOptions o = engine_options_from(options);
             const py::gil_scoped_release release;
             return std::make_unique<EngineHandle>(path ? std::make_unique<Engine>(*path, std::move(o)) : std::make_unique<Engine>(std::move(o)));
           }),
           py::arg("path").none(true), py::arg("options"))
      .def("close", &EngineHandle::close)
      .def_property_readonly("closed", &EngineHandle::closed)
      .def("observe", &observe, py::arg("user"), py::arg("item"), py::arg("event"), py::arg("time_ms").none(true), py::arg("value"),
           py::arg("request").none(true))
      .def("set_available", &set_available, py::arg("item"), py::arg("available").none(true), py::arg("place"))
      .def("set_price", &set_price, py::arg("item"), py::arg("price").none(true), py::arg("place"))
      .def("set_attribute", &set_attribute, py::arg("item"), py::arg("name"), py::arg("values").none(true), py::arg("place"))
      .def("offer", &offer, py::arg("item"), py::arg("place"))
      .def("availability_bytes", [](const Engine& e) { return e.events().availability_bytes(); })
      .def("observe_log", [](Engine& engine, const EventLog& log, const std::string& event) { return engine.observe_log(log, event); }, py::arg("log"), py::arg("event"), Release())
      .def("recommend", &recommend, py::arg("user"), py::arg("k"), py::arg("placement"), py::arg("filter").none(true), py::arg("anchors"),
           py::arg("session"), py::arg("given"), py::arg("query_vector"), py::arg("segment"), py::arg("exclude_seen").none(true), py::arg("explain"), py::arg("place"),
           py::arg("fill").none(true), py::arg("log"))
      .def("merge_users", &merge_users, py::arg("from_user"), py::arg("to_user"))
      .def("erase_user", &erase_user, py::arg("user"))
      .def("user", &user_view, py::arg("user"))
      .def("profile", &profile, py::arg("user"))
      .def("bought_together", &bought_together, py::arg("item"), py::arg("k"))
      .def("buy_again", &buy_again, py::arg("user"), py::arg("k"), py::arg("horizon_days"))
      .def("intent", &intent, py::arg("user"))
      .def("publish", [](Engine& e, std::shared_ptr<Snapshot> s) { return e.publish(std::move(s)); }, py::arg("snapshot"), Release())
      .def("rollback", [](Engine& e) { return e.rollback(); }, Release())
      .def("forget_previous", [](Engine& e) { e.forget_previous(); }, Release())
      .def_property_readonly("snapshot", [](const Engine& e) { return std::const_pointer_cast<Snapshot>(without_gil([&] { return e.snapshot(); })); })
      .def("durable_through", [](const Engine& e) { return e.durable_through(); })
      .def("last_sequence", [](const Engine& e) { return e.events().last_sequence(); })
      .def("sync", [](Engine& e) { e.events().sync(); }, Release())
      .def("compact", [](Engine& e) { e.events().compact(); }, Release())
      .def("recovery", &recovery)
      .def("failure", [](const Engine& e) { return e.events().failure(); }, Release())
      .def("metrics", &metrics)
      .def("prometheus", [](const Engine& e) { return e.metrics().prometheus(); }, Release())
      .def("save", [](const Engine& e, const std::filesystem::path& path) { save(e, path); }, py::arg("path"), Release())
      .def_static("load",
                  [](const std::filesystem::path& path, const py::dict& options) {
                    EngineOptions o = engine_options_from(options);
                    const py::gil_scoped_release release;
                    return std::make_unique<EngineHandle>(load_engine(path, std::move(o)));
                  },
                  py::arg("path"), py::arg("options"));
}

}  // namespace etalage::python
