// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "etalage/serving/ranker.hpp"
#include "model_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "option_helpers.hpp"
#include "span_helpers.hpp"

namespace etalage::python {
namespace {

using Ints = py::array_t<std::int32_t, py::array::c_style>;
using Floats = py::array_t<float, py::array::c_style>;

RerankOptions rerank_options(const py::dict& d) {
  const py::dict known = option_rules<RerankOptions>();
  for (const auto& entry : d)
    if (!known.contains(entry.first))
      throw py::type_error(std::string(py::str(entry.first)) + " is not a setting of the re-ranking, must be one of " +
                           std::string(py::str(py::str(", ").attr("join")(known))));
  return options_from_dict<RerankOptions>(d);
}

py::array rerank_rows(const py::object& relevance, std::int64_t k, const py::dict& options, const py::object& vectors, const CatalogIndex* catalog,
                      const py::object& items, const py::object& groups, const py::object& target) {
  if (k < 0) throw std::invalid_argument("k is " + std::to_string(k) + ", must be >= 0");
  const RerankOptions o = rerank_options(options);
  const auto r = from_numpy<float>(relevance, "relevance", 1);
  Floats v(std::vector<py::ssize_t>{0, 0}), t(std::vector<py::ssize_t>{0});
  Ints i(std::vector<py::ssize_t>{0}), g(std::vector<py::ssize_t>{0});
  if (!vectors.is_none()) v = from_numpy<float>(vectors, "vectors", 2);
  if (!items.is_none()) i = from_numpy<std::int32_t>(items, "items", 1);
  if (!groups.is_none()) g = from_numpy<std::int32_t>(groups, "groups", 1);
  if (!target.is_none()) t = from_numpy<float>(target, "target", 1);
  std::vector<std::int32_t> order(static_cast<std::size_t>(std::min<std::int64_t>(k, r.size())));
  {
    const py::gil_scoped_release release;
    std::vector<const float*> rows(static_cast<std::size_t>(v.shape(0)));
    for (std::size_t row = 0; row < rows.size(); ++row) rows[row] = v.data() + row * static_cast<std::size_t>(v.shape(1));
    Scratch scratch;
    rerank(o, {.relevance = span_of(r), .vectors = rows, .dim = static_cast<std::size_t>(v.shape(1)), .items = span_of(i), .catalog = catalog, .groups = span_of(g), .target = span_of(t)},
           order, scratch);
  }
  return take(std::move(order));
}

std::vector<ItemScore> scored(const py::object& items, const py::object& scores, const char* argument) {
  const auto i = from_numpy<std::int32_t>(items, argument, 1);
  const auto s = from_numpy<float>(scores, argument, 1);
  if (i.size() != s.size())
    throw std::invalid_argument(std::string(argument) + " has " + std::to_string(i.size()) + " items and " + std::to_string(s.size()) + " scores, must have as many");
  std::vector<ItemScore> out;
  for (py::ssize_t n = 0; n < i.size(); ++n) out.push_back({i.data()[n], s.data()[n]});
  return out;
}

PlacementMix mix_from(const py::dict& d, const std::string& where) {
  PlacementMix mix;
  for (const auto& entry : d) {
    const auto name = entry.first.cast<std::string>();
    if (name == "sources") {
      for (const py::handle slot : entry.second) {
        const auto t = py::cast<py::tuple>(slot);
        if (t.size() != 3) throw std::invalid_argument(where + ".sources holds " + describe(slot) + ", must hold (name, quota, weight)");
        mix.sources.push_back({t[0].cast<std::string>(), t[1].cast<int>(), t[2].cast<float>()});
      }
    } else if (name == "fallback") {
      mix.fallback = entry.second.cast<std::vector<std::string>>();
    } else if (name == "normalization") {
      py::dict one;
      one["normalization"] = entry.second;
      set_option(one, "normalization", mix.normalization);
    } else {
      throw py::type_error(where + "." + name + " is not a field here, must be one of sources, fallback, normalization");
    }
  }
  return mix;
}

Placement placement_from(const std::string& name) {
  const auto p = placement_from_name(name);
  if (!p) throw std::invalid_argument("placement is '" + name + "', must be one of home, product_page, basket, category_page, search, email");
  return *p;
}

py::dict trace_to_dict(const Trace& t, const Ranker& ranker) {
  py::dict out;
  put(out, "audit_id", t.audit_id, "catalog_version", t.catalog_version, "placement", std::string(placement_name(t.placement)),
      "eligible", t.eligible, "denied", t.denied, "candidates", t.candidates);
  py::dict produced;
  for (std::size_t s = 0; s < t.produced.size(); ++s) produced[py::str(std::string(ranker.sources()[s]->name()))] = t.produced[s];
  out["produced"] = produced;
  const auto effect = [&](const RuleEffect& e) {
    const Rule& rule = ranker.rules().rules()[e.rule];
    py::dict d;
    put(d, "rule", e.rule, "name", rule.name, "item", e.item, "what", e.what);
    return d;
  };
  py::list items;
  for (const TracedItem& i : t.items) {
    py::dict d;
    put(d, "item", i.item, "mixed", i.mixed, "relevance", i.relevance, "boosted", i.boosted);
    py::list parts;
    for (const TracedItem::Part& p : i.parts) {
      py::dict q;
      put(q, "source", p.source, "rank", p.rank, "score", p.score, "part", p.part, "fallback", p.fallback);
      parts.append(q);
    }
    d["sources"] = parts;
    py::list effects;
    for (const std::size_t e : i.effects) effects.append(effect(t.effects[e]));
    d["rules"] = effects;
    items.append(d);
  }
  out["items"] = items;
  py::list effects;
  for (const RuleEffect& e : t.effects) effects.append(effect(e));
  out["effects"] = effects;
  return out;
}

/// The arrays of a request and the context that looks into them.
struct HeldRequest {
  RequestContext context;
  Ints history, session, anchors, seen;
  Floats user_vector, query_vector, target;
  std::vector<Purchase> purchases;
  std::vector<ItemScore> given;
  std::string segment;
  SharedFilter filter;

  HeldRequest(const Ranker& ranker, const py::dict& d) {
    const auto ints = [&](const char* name, Ints& to, std::span<const std::int32_t>& view) {
      if (!d.contains(name) || d[name].is_none()) return;
      to = from_numpy<std::int32_t>(d[name], name, 1);
      view = span_of(to);
    };
    const auto floats = [&](const char* name, Floats& to, std::span<const float>& view) {
      if (!d.contains(name) || d[name].is_none()) return;
      to = from_numpy<float>(d[name], name, 1);
      view = span_of(to);
    };
    ints("history", history, context.history);
    ints("session", session, context.session);
    ints("anchors", anchors, context.anchors);
    ints("seen", seen, context.seen);
    floats("user_vector", user_vector, context.user_vector);
    floats("query_vector", query_vector, context.query_vector);
    floats("target", target, context.target);
    if (d.contains("user") && !d["user"].is_none()) context.user = d["user"].cast<std::int32_t>();
    context.placement = placement_from(d["placement"].cast<std::string>());
    if (d.contains("purchases") && !d["purchases"].is_none()) {
      const auto pair = d["purchases"].cast<py::tuple>();
      const auto items = from_numpy<std::int32_t>(pair[0], "purchases", 1);
      const auto times = from_numpy<std::int64_t>(pair[1], "purchases", 1);
      if (items.size() != times.size()) throw std::invalid_argument("purchases has " + std::to_string(items.size()) + " items and " + std::to_string(times.size()) + " times, must have as many");
      for (py::ssize_t i = 0; i < items.size(); ++i) purchases.push_back({items.data()[i], times.data()[i]});
      context.purchases = purchases;
    }
    if (d.contains("given") && !d["given"].is_none()) {
      const auto pair = d["given"].cast<py::tuple>();
      given = scored(pair[0], pair[1], "given");
      context.given = given;
    }
    segment = d["segment"].cast<std::string>();
    context.segment = segment;
    context.now_ms = d["now_ms"].cast<std::int64_t>();
    context.exclude_seen = d["exclude_seen"].cast<bool>();
    context.audit_id = d["audit_id"].cast<std::uint64_t>();
    if (d.contains("filter") && !d["filter"].is_none()) {
      filter = ranker.catalog().filter(d["filter"].cast<Predicate>());
      context.filter = &filter;
    }
  }
};

}  // namespace

void bind_ranker(py::module_& m) {
  m.def("rerank", &rerank_rows, py::arg("relevance"), py::arg("k"), py::arg("options"), py::arg("vectors"), py::arg("catalog"), py::arg("items"),
        py::arg("groups"), py::arg("target"));

  py::class_<CandidateSource, std::shared_ptr<CandidateSource>>(m, "CandidateSource", "Names products that may suit a request.")
      .def_property_readonly("name", [](const CandidateSource& s) { return std::string(s.name()); });
  py::class_<RecommenderSource, CandidateSource, std::shared_ptr<RecommenderSource>>(m, "RecommenderSource")
      .def(py::init([](const std::string& name, const std::shared_ptr<Recommender>& model, const std::string& ask) {
             py::dict d;
             d["ask"] = ask;
             auto how = RecommenderSource::Ask::kShopper;
             set_choice(d, "ask", how, {{"shopper", RecommenderSource::Ask::kShopper}, {"anyone", RecommenderSource::Ask::kAnyone}, {"similar", RecommenderSource::Ask::kSimilar}});
             return std::make_shared<RecommenderSource>(name, model, how);
           }),
           py::arg("name"), py::arg("model"), py::arg("ask"));
  py::class_<IndexSource, CandidateSource, std::shared_ptr<IndexSource>>(m, "IndexSource")
      .def(py::init([](const std::string& name, const std::shared_ptr<ItemIndex>& index, const std::string& ask, const py::object& vectors, std::size_t recent) {
             py::dict d;
             d["ask"] = ask;
             auto how = IndexSource::Ask::kContent;
             set_choice(d, "ask", how, {{"user_vector", IndexSource::Ask::kUserVector}, {"query_vector", IndexSource::Ask::kQueryVector}, {"content", IndexSource::Ask::kContent}});
             Array<float> v;
             if (!vectors.is_none()) v = kept(from_numpy<float>(vectors, "vectors", 2));
             return std::make_shared<IndexSource>(name, index, how, v, recent);
           }),
           py::arg("name"), py::arg("index"), py::arg("ask"), py::arg("vectors"), py::arg("recent"));
  py::class_<ListSource, CandidateSource, std::shared_ptr<ListSource>>(m, "ListSource")
      .def(py::init([](const std::string& name, const py::dict& by_segment) {
             std::map<std::string, std::vector<ItemScore>, std::less<>> lists;
             for (const auto& entry : by_segment) {
               const auto pair = entry.second.cast<py::tuple>();
               lists[entry.first.cast<std::string>()] = scored(pair[0], pair[1], "list");
             }
             return std::make_shared<ListSource>(name, std::move(lists));
           }),
           py::arg("name"), py::arg("by_segment"))
      .def(py::init([](const std::string& name, const py::object& offsets, const py::object& items, const py::object& scores, std::size_t recent) {
             const auto o = from_numpy<std::int64_t>(offsets, "offsets", 1);
             return std::make_shared<ListSource>(name, std::vector<std::int64_t>(o.data(), o.data() + o.size()), scored(items, scores, "lists"), recent);
           }),
           py::arg("name"), py::arg("offsets"), py::arg("items"), py::arg("scores"), py::arg("recent"));
  py::class_<GivenSource, CandidateSource, std::shared_ptr<GivenSource>>(m, "GivenSource").def(py::init<std::string>(), py::arg("name"));

  py::class_<Ranker, std::shared_ptr<Ranker>>(m, "Ranker", "The compiled part of etalage.serving.Ranker.")
      .def(py::init([](const std::shared_ptr<CatalogIndex>& catalog, const std::vector<std::shared_ptr<CandidateSource>>& sources, const py::dict& mix,
                       const py::dict& placements, const Rules& rules, const py::dict& rerank, const py::object& vectors, const std::string& calibrate_by) {
             RankerParts p;
             p.catalog = catalog;
             p.sources.assign(sources.begin(), sources.end());
             p.mix.standard = mix_from(mix, "mix");
             for (const auto& entry : placements)
               p.mix.placements[placement_from(entry.first.cast<std::string>())] = mix_from(entry.second.cast<py::dict>(), entry.first.cast<std::string>());
             p.rules = rules;
             p.rerank = rerank_options(rerank);
             p.calibrate_by = calibrate_by;
             if (!vectors.is_none()) {
               const auto a = from_numpy<float>(vectors, "vectors", 2);
               p.vectors = kept(a);
               p.dim = static_cast<std::int32_t>(a.shape(1));
             }
             const py::gil_scoped_release release;
             return std::make_shared<Ranker>(std::move(p));
           }),
           py::arg("catalog"), py::arg("sources"), py::arg("mix"), py::arg("placements"), py::arg("rules"), py::arg("rerank"), py::arg("vectors"), py::arg("calibrate_by"))
      .def(
          "rank",
          [](const Ranker& ranker, std::int64_t k, const py::dict& request, bool traced) {
            if (k < 0) throw std::invalid_argument("k is " + std::to_string(k) + ", must be >= 0");
            const HeldRequest held(ranker, request);
            std::vector<RankedItem> out(static_cast<std::size_t>(std::min<std::int64_t>(k, ranker.catalog().size())));
            Trace trace;
            {
              const py::gil_scoped_release release;
              RankScratch scratch;
              out.resize(ranker.rank(held.context, out, scratch, traced ? &trace : nullptr));
            }
            std::vector<std::int32_t> items, sources;
            std::vector<float> scores;
            for (const RankedItem& r : out) {
              items.push_back(r.item);
              scores.push_back(r.score);
              sources.push_back(r.source);
            }
            return py::make_tuple(take(std::move(items)), take(std::move(scores)), take(std::move(sources)), traced ? py::object(trace_to_dict(trace, ranker)) : py::none());
          },
          py::arg("k"), py::arg("request"), py::arg("trace"))
      .def(
          "explain",
          [](const Ranker& ranker, const py::dict& request, std::int32_t source, std::int32_t item, std::int64_t k) {
            const HeldRequest held(ranker, request);
            Explanation e;
            {
              const py::gil_scoped_release release;
              e = ranker.explain(held.context, source, item, static_cast<std::size_t>(std::max<std::int64_t>(k, 0)));
            }
            return to_python(e);
          },
          py::arg("request"), py::arg("source"), py::arg("item"), py::arg("k"));
}

}  // namespace etalage::python
