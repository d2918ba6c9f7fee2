// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "etalage/io/engine_files.hpp"
#include "etalage/marketing/lifetime.hpp"
#include "etalage/marketing/offer_prices.hpp"
#include "etalage/models/learned_ranker.hpp"
#include "etalage/serving/snapshot.hpp"
#include "key_helpers.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "option_helpers.hpp"

namespace etalage::python {
namespace {

PlacementMix mix_from(const py::dict& d) {
  PlacementMix out;
  for (const auto& [name, slot] : py::cast<py::dict>(d["sources"])) {
    const auto pair = py::cast<std::pair<int, float>>(slot);
    out.sources.push_back({py::cast<std::string>(name), pair.first, pair.second});
  }
  out.fallback = py::cast<std::vector<std::string>>(d["fallback"]);
  set_option(d, "normalization", out.normalization);
  return out;
}

std::shared_ptr<Snapshot> snapshot_from(const py::list& models, std::shared_ptr<Catalog> catalog, const py::dict& options,
                                        std::shared_ptr<ItemIndex> content_index,
                                        const std::map<std::string, std::shared_ptr<Recommender>>& segments, const py::object& new_arrivals,
                                        const py::dict& mix, const std::string& rules, const py::dict& rerank) {
  SnapshotParts p;
  for (const py::handle entry : models) {
    const auto t = py::cast<py::tuple>(entry);
    SnapshotModel m;
    m.source = py::cast<std::string>(t[0]);
    m.model = py::cast<std::shared_ptr<Recommender>>(t[1]);
    py::dict ask;
    ask["ask"] = t[2];
    set_choice(ask, "ask", m.ask,
               {{"shopper", RecommenderSource::Ask::kShopper}, {"anyone", RecommenderSource::Ask::kAnyone}, {"similar", RecommenderSource::Ask::kSimilar}});
    p.models.push_back(std::move(m));
  }
  p.catalog = std::move(catalog);
  p.content_index = std::move(content_index);
  for (const auto& [name, model] : segments) p.segment_popularity[name] = model;
  p.new_arrivals = keys_from(new_arrivals, "new_arrivals");
  if (options.contains("label")) p.label = py::cast<std::string>(options["label"]);
  set_option(options, "trained_ms", p.trained_ms);
  const auto part = [&](const char* name, auto& to) {
    if (options.contains(name)) to = py::cast<std::remove_reference_t<decltype(to)>>(options[name]);
  };
  std::shared_ptr<Profiles> profiles;
  std::shared_ptr<PurchaseIntent> intent;
  std::shared_ptr<ColdStartItems> cold_start;
  part("profiles", profiles);
  part("intent", intent);
  part("cold_start", cold_start);
  std::shared_ptr<LearnedRankerModel> ranker;
  part("ranker", ranker);
  p.ranker = std::move(ranker);
  p.profiles = std::move(profiles);
  p.intent = std::move(intent);
  p.cold_start = std::move(cold_start);
  if (options.contains("segment_factors"))
    for (const auto& [name, row] : py::cast<py::dict>(options["segment_factors"])) {
      const auto values = from_numpy<float>(py::reinterpret_borrow<py::object>(row), "segment_factors", 1);
      p.segment_factors[py::cast<std::string>(name)].assign(values.data(), values.data() + values.size());
    }
  set_option(options, "segment_strength", p.segment_strength);
  if (options.contains("offer_prices"))
    for (const auto& [plan, prices] : py::cast<py::dict>(options["offer_prices"]))
      p.offer_prices[py::cast<std::string>(plan)] = py::cast<std::shared_ptr<marketing::OfferPrices>>(prices);
  std::shared_ptr<LifetimeModel> lifetime;
  part("lifetime", lifetime);
  p.lifetime = std::move(lifetime);
  set_option(options, "lifetime_unit_days", p.lifetime_unit_days);
  for (const auto& [name, placement] : mix) {
    const auto text = py::cast<std::string>(name);
    if (text == "standard") p.mix.standard = mix_from(py::cast<py::dict>(placement));
    else p.mix.placements[placement_from(text)] = mix_from(py::cast<py::dict>(placement));
  }
  if (!rules.empty()) p.rules = Rules::from_json(rules);
  RerankOptions::each(p.rerank, SetFromDict{rerank});
  if (rerank.contains("by")) p.calibrate_by = py::cast<std::string>(rerank["by"]);
  const py::gil_scoped_release release;
  return std::make_shared<Snapshot>(std::move(p));
}

}  // namespace

void bind_snapshot(py::module_& m) {
  using Release = py::call_guard<py::gil_scoped_release>;
  py::class_<Snapshot, std::shared_ptr<Snapshot>>(m, "Snapshot", "The compiled part of etalage.serving.Snapshot.")
      .def(py::init(&snapshot_from), py::arg("models"), py::arg("catalog").none(true), py::arg("options"),
           py::arg("content_index").none(true), py::arg("segments"), py::arg("new_arrivals"), py::arg("mix"), py::arg("rules"), py::arg("rerank"))
      .def_property_readonly("label", [](const Snapshot& s) { return s.parts().label; })
      .def_property_readonly("trained_ms", [](const Snapshot& s) { return s.parts().trained_ms; })
      .def_property_readonly("num_products", [](const Snapshot& s) { return s.catalog()->size(); })
      .def_property_readonly("sources",
                             [](const Snapshot& s) {
                               std::vector<std::string> out;
                               for (const SnapshotModel& model : s.parts().models) out.push_back(model.source);
                               return out;
                             })
      .def_property_readonly("offer_prices",
                             [](const Snapshot& s) {
                               py::dict out;
                               for (const auto& [plan, prices] : s.parts().offer_prices) {
                                 const auto numbers = [](std::span<const double> v) { return take(std::vector<double>(v.begin(), v.end())); };
                                 out[py::str(plan)] = py::make_tuple(numbers(prices->budget()), numbers(prices->offer()));
                               }
                               return out;
                             })
      .def("save", [](const Snapshot& s, const std::filesystem::path& path) { save(s, path); }, py::arg("path"), Release())
      .def_static("load", [](const std::filesystem::path& path) { return std::const_pointer_cast<Snapshot>(load_snapshot(path)); }, py::arg("path"),
                  Release());
}

}  // namespace etalage::python
