// SPDX-License-Identifier: Apache-2.0
// A snapshot as fields of a file.
#include <limits>
#include <utility>

#include "etalage/error.hpp"
#include "etalage/marketing/lifetime.hpp"
#include "etalage/marketing/offer_prices.hpp"
#include "etalage/models/learned_ranker.hpp"
#include "etalage/serving/snapshot.hpp"

namespace etalage {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();

void put_texts(StateWriter& w, const std::string& name, const std::vector<std::string>& texts) {
  std::vector<std::int64_t> offsets{0};
  std::vector<char> bytes;
  for (const std::string& t : texts) {
    bytes.insert(bytes.end(), t.begin(), t.end());
    offsets.push_back(static_cast<std::int64_t>(bytes.size()));
  }
  w.put_array(name + "/offsets", Array<std::int64_t>(offsets));
  w.put_array(name + "/bytes", Array<char>(bytes));
}

std::vector<std::string> get_texts(const StateReader& r, const std::string& name) {
  const auto offsets = r.get_array<std::int64_t>(name + "/offsets");
  const auto bytes = r.get_array<char>(name + "/bytes");
  if (offsets.empty() || offsets[0] != 0 || offsets.back() != static_cast<std::int64_t>(bytes.size())) r.fail(name, "found offsets that do not span the bytes");
  std::vector<std::string> out;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    // Each against the end too: a fall later on would otherwise be met only after a wild read.
    if (offsets[i + 1] < offsets[i] || offsets[i + 1] > static_cast<std::int64_t>(bytes.size())) r.fail(name, "found offsets that fall");
    out.emplace_back(bytes.data() + offsets[i], static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
  }
  return out;
}

void put_lists(StateWriter& w, const std::string& name, const std::vector<std::vector<std::string>>& lists) {
  std::vector<std::int64_t> ends{0};
  std::vector<std::string> flat;
  for (const auto& list : lists) {
    flat.insert(flat.end(), list.begin(), list.end());
    ends.push_back(static_cast<std::int64_t>(flat.size()));
  }
  w.put_array(name + "/lists", Array<std::int64_t>(ends));
  put_texts(w, name, flat);
}

std::vector<std::vector<std::string>> get_lists(const StateReader& r, const std::string& name) {
  const auto ends = r.get_array<std::int64_t>(name + "/lists");
  std::vector<std::string> flat = get_texts(r, name);
  if (ends.empty() || ends[0] != 0 || ends.back() != static_cast<std::int64_t>(flat.size())) r.fail(name, "found lists that do not span their texts");
  std::vector<std::vector<std::string>> out;
  for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
    if (ends[i + 1] < ends[i] || ends[i + 1] > static_cast<std::int64_t>(flat.size())) r.fail(name, "found lists that fall");
    out.emplace_back(flat.begin() + ends[i], flat.begin() + ends[i + 1]);
  }
  return out;
}

void put_catalog(StateWriter& w, const Catalog& catalog) {
  const Catalog::Columns& c = catalog.columns();
  w.put_id_map("item_ids", *c.item_ids);
  put_texts(w, "names", c.names);
  put_lists(w, "categories", c.categories);
  put_texts(w, "brands", c.brands);
  w.put_array("prices", c.prices);
  w.put_array("stock", c.stock);
  put_lists(w, "tags", c.tags);
  put_texts(w, "texts", c.texts);
  w.put_int("dim", c.dim);
  w.put_array("vectors", c.vectors);
}

std::shared_ptr<const Catalog> get_catalog(const StateReader& r) {
  Catalog::Columns c;
  c.item_ids = std::make_shared<const IdMap>(r.get_id_map("item_ids"));
  c.names = get_texts(r, "names");
  c.categories = get_lists(r, "categories");
  c.brands = get_texts(r, "brands");
  c.prices = r.get_array<float>("prices");
  c.stock = r.get_array<float>("stock");
  c.tags = get_lists(r, "tags");
  c.texts = get_texts(r, "texts");
  c.dim = static_cast<std::int32_t>(r.get_int("dim", 0, kMost));
  c.vectors = r.get_array<float>("vectors");
  return std::make_shared<const Catalog>(std::move(c));
}

void put_mix(StateWriter& w, const std::string& prefix, const PlacementMix& mix) {
  std::vector<std::string> names;
  std::vector<double> numbers;
  for (const SourceSlot& slot : mix.sources) {
    names.push_back(slot.source);
    numbers.push_back(slot.quota);
    numbers.push_back(slot.weight);
  }
  w.put_strings(prefix + "/sources", names);
  w.put_doubles(prefix + "/numbers", numbers);
  w.put_strings(prefix + "/fallback", mix.fallback);
  w.put_int(prefix + "/normalization", static_cast<int>(mix.normalization));
}

PlacementMix get_mix(const StateReader& r, const std::string& prefix) {
  PlacementMix mix;
  const auto names = r.get_strings(prefix + "/sources");
  const auto numbers = r.get_doubles(prefix + "/numbers");
  if (numbers.size() != 2 * names.size()) r.fail(prefix + "/numbers", "found " + std::to_string(numbers.size()) + " numbers, expected two a source");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!(numbers[2 * i] >= 1 && numbers[2 * i] <= static_cast<double>(kMost))) r.fail(prefix + "/numbers", "found a quota that is none");
    if (!(numbers[2 * i + 1] >= 0 && numbers[2 * i + 1] <= static_cast<double>(std::numeric_limits<float>::max())))
      r.fail(prefix + "/numbers", "found a weight that is no finite number >= 0");
    mix.sources.push_back({names[i], static_cast<int>(numbers[2 * i]), static_cast<float>(numbers[2 * i + 1])});
  }
  mix.fallback = r.get_strings(prefix + "/fallback");
  mix.normalization = static_cast<Normalization>(r.get_int(prefix + "/normalization", 0, 2));
  return mix;
}

void put_model(StateWriter& w, const std::string& prefix, const Recommender& model) {
  w.require_model(model.kind());
  w.put_string(prefix + "kind", model.kind());
  ScopedWriter inner(w, prefix + "state/");
  model.save_state(inner);
}

std::shared_ptr<const Recommender> get_model(const StateReader& r, const std::string& prefix, const Snapshot::ModelMaker& make) {
  const std::string kind = r.get_string(prefix + "kind");
  auto model = make(kind, ScopedReader(r, prefix + "state/"));
  if (!model) r.fail(prefix + "kind", "found a model of kind " + kind + ", expected one that this library knows");
  return model;
}

}  // namespace

void Snapshot::save_state(StateWriter& w) const {
  if (!parts_.sources.empty())
    throw UnsupportedError("a snapshot with the source '" + std::string(parts_.sources[0]->name()) +
                           "' of the host's own cannot be saved; save one without and add it after loading");
  w.put_string("label", parts_.label);
  w.put_int("trained_ms", parts_.trained_ms);
  w.put_int("models", static_cast<std::int64_t>(parts_.models.size()));
  for (std::size_t i = 0; i < parts_.models.size(); ++i) {
    const std::string prefix = "model" + std::to_string(i) + "/";
    w.put_string(prefix + "source", parts_.models[i].source);
    w.put_int(prefix + "ask", static_cast<int>(parts_.models[i].ask));
    put_model(w, prefix, *parts_.models[i].model);
  }
  std::vector<std::string> segments;
  for (const auto& [segment, model] : parts_.segment_popularity) {
    put_model(w, "segment" + std::to_string(segments.size()) + "/", *model);
    segments.push_back(segment);
  }
  w.put_strings("segments", segments);
  ScopedWriter catalog(w, "catalog/");
  put_catalog(catalog, *parts_.catalog);
  w.put_bool("has_content_index", parts_.content_index != nullptr);
  ScopedWriter content(w, "content_index/");
  if (parts_.content_index) parts_.content_index->save_state(content);
  w.put_bool("has_profiles", parts_.profiles != nullptr);
  if (parts_.profiles) {
    ScopedWriter inner(w, "profiles/");
    parts_.profiles->save_state(inner);
  }
  w.put_bool("has_intent", parts_.intent != nullptr);
  if (parts_.intent) {
    ScopedWriter inner(w, "intent/");
    parts_.intent->save_state(inner);
  }
  w.put_bool("has_ranker", parts_.ranker != nullptr);
  if (parts_.ranker) put_model(w, "ranker/", *parts_.ranker);
  w.put_bool("has_cold_start", parts_.cold_start != nullptr);
  if (parts_.cold_start) {
    ScopedWriter inner(w, "cold_start/");
    parts_.cold_start->save_state(inner);
    w.put_array("new_factors", parts_.new_factors);
  }
  std::vector<std::string> newcomers;
  std::vector<float> newcomer_factors;
  for (const auto& [segment, row] : parts_.segment_factors) {
    newcomers.push_back(segment);
    newcomer_factors.insert(newcomer_factors.end(), row.begin(), row.end());
  }
  w.put_strings("segment_factors/names", newcomers);
  w.put_array("segment_factors/rows", Array<float>(newcomer_factors));
  w.put_double("segment_strength", parts_.segment_strength);
  w.put_array("arrivals", Array<std::int32_t>(arrivals_));
  put_mix(w, "mix/standard", parts_.mix.standard);
  std::vector<std::string> placements;
  for (const auto& [placement, mix] : parts_.mix.placements) {
    placements.emplace_back(placement_name(placement));
    put_mix(w, "mix/" + placements.back(), mix);
  }
  w.put_strings("placements", placements);
  w.put_string("rules", parts_.rules.to_json());
  w.put_int("rerank/method", static_cast<int>(parts_.rerank.method));
  w.put_int("rerank/likeness", static_cast<int>(parts_.rerank.likeness));
  w.put_double("rerank/diversity", parts_.rerank.diversity);
  w.put_int("rerank/window", parts_.rerank.window);
  w.put_double("rerank/smoothing", parts_.rerank.smoothing);
  w.put_string("calibrate_by", parts_.calibrate_by);
  // Where there are any.
  std::vector<std::string> plans;
  for (const auto& [name, prices] : parts_.offer_prices) {
    const std::string prefix = "offer_prices" + std::to_string(plans.size()) + "/";
    w.put_doubles(prefix + "budget", prices->budget());
    w.put_doubles(prefix + "offer", prices->offer());
    plans.push_back(name);
  }
  if (!plans.empty()) w.put_strings("offer_prices", plans);
  if (parts_.lifetime) {
    ScopedWriter inner(w, "lifetime/");
    parts_.lifetime->save_state(inner);
    w.put_double("lifetime_unit_days", parts_.lifetime_unit_days);
  }
}

namespace {

void get_marketing(const StateReader& r, SnapshotParts& p) {
  if (r.has("offer_prices")) {
    const auto plans = r.get_strings("offer_prices");
    for (std::size_t i = 0; i < plans.size(); ++i) {
      const std::string prefix = "offer_prices" + std::to_string(i) + "/";
      try {
        p.offer_prices[plans[i]] = std::make_shared<const marketing::OfferPrices>(r.get_doubles(prefix + "budget"), r.get_doubles(prefix + "offer"));
      } catch (const std::invalid_argument& error) {
        r.fail(prefix + "budget", std::string("found prices that are none: ") + error.what());
      }
    }
  }
  if (!r.has("lifetime_unit_days")) return;
  p.lifetime = std::make_shared<const LifetimeModel>(LifetimeModel::from_state(ScopedReader(r, "lifetime/")));
  if (!p.lifetime->fitted()) r.fail("lifetime", "found a model that is not fitted, expected a fitted one");
  p.lifetime_unit_days = r.get_double("lifetime_unit_days");
  if (!(p.lifetime_unit_days > 0 && p.lifetime_unit_days <= std::numeric_limits<double>::max())) r.fail("lifetime_unit_days", "found a length that is no finite number > 0");
}

}  // namespace

std::shared_ptr<const Snapshot> Snapshot::from_state(const StateReader& r, const ModelMaker& make_model) {
  SnapshotParts p;
  p.label = r.get_string("label");
  p.trained_ms = r.get_int("trained_ms");
  const auto models = r.get_int("models", 0, 32);
  for (std::int64_t i = 0; i < models; ++i) {
    const std::string prefix = "model" + std::to_string(i) + "/";
    SnapshotModel m;
    m.source = r.get_string(prefix + "source");
    m.ask = static_cast<RecommenderSource::Ask>(r.get_int(prefix + "ask", 0, 2));
    m.model = get_model(r, prefix, make_model);
    p.models.push_back(std::move(m));
  }
  const auto segments = r.get_strings("segments");
  for (std::size_t i = 0; i < segments.size(); ++i)
    p.segment_popularity[segments[i]] = get_model(r, "segment" + std::to_string(i) + "/", make_model);
  p.catalog = get_catalog(ScopedReader(r, "catalog/"));
  if (r.get_bool("has_content_index")) p.content_index = ItemIndex::from_state(ScopedReader(r, "content_index/"));
  if (r.get_bool("has_profiles")) p.profiles = Profiles::from_state(ScopedReader(r, "profiles/"));
  if (r.get_bool("has_intent")) p.intent = PurchaseIntent::from_state(ScopedReader(r, "intent/"));
  if (r.get_bool("has_ranker")) {
    p.ranker = std::dynamic_pointer_cast<const LearnedRankerModel>(get_model(r, "ranker/", make_model));
    if (!p.ranker) r.fail("ranker/kind", "found a model of another kind, expected LearnedRanker");
  }
  if (r.get_bool("has_cold_start")) {
    p.cold_start = ColdStartItems::from_state(ScopedReader(r, "cold_start/"));
    p.new_factors = r.get_array<float>("new_factors");
  }
  const auto newcomers = r.get_strings("segment_factors/names");
  const auto newcomer_factors = r.get_array<float>("segment_factors/rows");
  if (newcomers.empty() ? !newcomer_factors.empty() : newcomer_factors.size() % newcomers.size() != 0)
    r.fail("segment_factors/rows", "found " + std::to_string(newcomer_factors.size()) + " numbers, expected as many for each segment");
  for (std::size_t i = 0; i < newcomers.size(); ++i) {
    const std::size_t width = newcomer_factors.size() / newcomers.size();
    const std::span<const float> row = newcomer_factors.view().subspan(i * width, width);
    p.segment_factors[newcomers[i]].assign(row.begin(), row.end());
  }
  p.segment_strength = static_cast<float>(r.get_double("segment_strength"));
  for (const std::int32_t row : r.get_array<std::int32_t>("arrivals")) {
    if (row < 0 || row >= p.catalog->size()) r.fail("arrivals", "found row " + std::to_string(row) + ", expected one of the catalogue");
    p.new_arrivals.push_back(key_of(key_at(*p.catalog->item_ids(), row)));
  }
  p.mix.standard = get_mix(r, "mix/standard");
  for (const std::string& name : r.get_strings("placements")) {
    const auto placement = placement_from_name(name);
    if (!placement) r.fail("placements", "found '" + name + "', expected a placement");
    p.mix.placements[*placement] = get_mix(r, "mix/" + name);
  }
  p.rules = Rules::from_json(r.get_string("rules"));
  p.rerank.method = static_cast<RerankMethod>(r.get_int("rerank/method", 0, 3));
  p.rerank.likeness = static_cast<Likeness>(r.get_int("rerank/likeness", 0, 1));
  p.rerank.diversity = static_cast<float>(r.get_double("rerank/diversity"));
  p.rerank.window = static_cast<int>(r.get_int("rerank/window", 1, kMost));
  p.rerank.smoothing = static_cast<float>(r.get_double("rerank/smoothing"));
  p.calibrate_by = r.get_string("calibrate_by");
  get_marketing(r, p);
  return std::make_shared<const Snapshot>(std::move(p));
}

}  // namespace etalage
