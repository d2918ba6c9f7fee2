// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/cold_start_files.hpp"
#include "etalage/io/engine_files.hpp"
#include "etalage/io/lifetime_files.hpp"
#include "etalage/io/profile_files.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/io/tree_files.hpp"
#include "io/sample_models.hpp"
#include "io/tiny_model.hpp"
#include "marketing/lifetime_sample.hpp"
#include "models/cold_start_sample.hpp"
#include "profile/intent_sample.hpp"
#include "profile/profile_data.hpp"
#include "retrieval/index_data.hpp"
#include "serving/engine_sample.hpp"
#include "support/tests_dir.hpp"

namespace etalage::testing {

/// A kind of file as a loop over all kinds sees it. use() reads the bytes with Verify::kFull, asks everything of what it
/// got and changes it; saved() is what the loaded object is saved as. Both throw what loading throws.
struct FileKind {
  std::string name;
  std::function<std::vector<char>()> make;
  std::function<std::vector<double>(std::span<const char>)> use;
  std::function<std::vector<char>(std::span<const char>)> saved;
  friend void PrintTo(const FileKind& kind, std::ostream* out) { *out << kind.name; }
};

inline void use_model(Recommender& m, std::vector<double>& out) {
  const std::vector<double> first = answers(m);
  out.insert(out.end(), first.begin(), first.end());
  const auto tolerant = [&](const auto& call) {
    try {
      call();
    } catch (const UnsupportedError&) {
    } catch (const std::invalid_argument&) {  // what the forged options or values do not allow
    } catch (const std::out_of_range&) {
    } catch (const NumericalError&) {
    }
  };
  Scratch scratch;
  std::vector<ItemScore> list(7);
  const std::vector<std::int32_t> history{0, m.num_items() - 1};
  const std::vector<std::int64_t> offsets{0, 2};
  const std::vector<float> values{1, 2};
  tolerant([&] {
    Query q;
    q.history = history;
    q.session = std::span(history).first(1);
    q.recalculate_user = true;
    out.push_back(static_cast<double>(m.recommend(q, list, scratch)));
  });
  tolerant([&] { out.push_back(static_cast<double>(m.similar_users(0, list, scratch))); });
  tolerant([&] {
    Query q;
    q.user = 0;
    out.push_back(m.explain(q, 0, 3).total);
  });
  const std::vector<std::int32_t> user{0};
  const CsrView row{1, m.num_items(), offsets, history, values};
  tolerant([&] {
    if (auto* als = dynamic_cast<AlsModel*>(&m)) als->partial_fit_users(user, row);
    if (auto* popular = dynamic_cast<PopularityModel*>(&m)) popular->partial_fit_users(user, row);
    const auto visits = [&] {
      return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(history), {}, m.num_items());
    };
    if (auto* sessions = dynamic_cast<SessionKnnModel*>(&m)) sessions->add_sessions(visits());
    if (auto* transitions = dynamic_cast<TransitionsModel*>(&m)) transitions->add_sessions(visits());
    Query q;
    q.user = 0;
    out.push_back(static_cast<double>(m.recommend(q, list, scratch)));
  });
}

inline void use_index(ItemIndex& index, std::vector<double>& out) {
  const auto dim = static_cast<std::size_t>(index.dim());
  Scratch scratch;
  std::vector<Neighbor> found(6);
  std::vector<float> query(dim);
  const auto ask = [&](unsigned seed) {
    for (std::size_t f = 0; f < dim; ++f) query[f] = static_cast<float>((seed * 31 + f * 17) % 13) - 6.0f;
    const std::size_t n = index.search(query, found, nullptr, scratch);
    for (std::size_t j = 0; j < n; ++j) out.insert(out.end(), {static_cast<double>(found[j].id), found[j].score});
  };
  for (unsigned seed = 0; seed < 4; ++seed) ask(seed);
  std::vector<std::int64_t> ids;
  for (const std::int64_t id : index.ids()) ids.push_back(id);
  ids.resize(std::min<std::size_t>(ids.size(), 3));
  const std::vector<float> rows(ids.size() * dim, 0.5f);
  index.update(MatrixView<const float>(rows.data(), ids.size(), dim), ids);
  ask(5);
  std::int64_t fresh = 900001;
  while (index.contains(fresh)) ++fresh;
  index.add(MatrixView<const float>(query.data(), 1, dim), std::span(&fresh, 1));
  ask(6);
  (void)index.remove(std::span(ids).first(std::min<std::size_t>(ids.size(), 1)));
  ask(7);
  index.compact();
  ask(8);
}

inline ItemIndexOptions sample_index_options() {
  ItemIndexOptions o;
  o.M = 4;
  o.ef_construction = 20;
  o.nlist = 4;
  o.nprobe = 2;
  o.pq_m = 2;
  o.pq_bits = 4;
  o.deterministic = true;
  o.num_threads = 1;
  return o;
}

inline std::shared_ptr<ItemIndex> sample_index(IndexKind kind) {
  constexpr std::size_t kDim = 6;
  constexpr std::size_t kRows = 90;
  auto index = std::make_shared<ItemIndex>(kDim, IndexMetric::kCosine, kind, sample_index_options());
  std::vector<float> rows;
  std::vector<std::int64_t> ids;
  for (std::size_t r = 0; r < kRows; ++r) {
    ids.push_back(static_cast<std::int64_t>(3 * r));
    for (std::size_t f = 0; f < kDim; ++f) rows.push_back(static_cast<float>((r * 37 + f * 53 + r * f) % 29) / 14.0f - 1);
  }
  index->add(MatrixView<const float>(rows.data(), kRows, kDim), ids);
  (void)index->remove(std::span(ids).subspan(5, 2));
  return index;
}

inline const LoadOptions kOneThread{.verify = Verify::kFull, .num_threads = 1};

/// Engines and snapshots go through a file.
inline const std::filesystem::path& scratch_file() {
  static const TempDir dir;
  static const std::filesystem::path path = dir / "file";
  return path;
}

template <class Object>
std::vector<char> saved_file(const Object& object) {
  save(object, scratch_file());
  return read_bytes(scratch_file());
}

inline std::vector<FileKind> file_kinds() {
  std::vector<FileKind> out;
  for (const SampleModel& sample : sample_models())
    out.push_back({sample.kind, [make = sample.make] { return save_to_memory(*make()); },
                   [](std::span<const char> bytes) {
                     std::vector<double> said;
                     use_model(*load_from_memory(bytes, kOneThread), said);
                     return said;
                   },
                   [](std::span<const char> bytes) { return save_to_memory(*load_from_memory(bytes, kOneThread)); }});
  out.push_back({"VectorsWithIndex",
                 [] {
                   VectorsModel m(sample_vectors(12, 5), sample_vectors(9, 5), 5);
                   auto index = std::make_shared<ItemIndex>(5, IndexMetric::kDot, IndexKind::kHnsw, sample_index_options());
                   const Array<float> rows = sample_vectors(9, 5);
                   std::vector<std::int64_t> ids(9);
                   for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i);
                   index->add(MatrixView<const float>(rows.data(), 9, 5), ids);
                   m.set_index(index);
                   return save_to_memory(m);
                 },
                 [](std::span<const char> bytes) {
                   std::vector<double> said;
                   use_model(*load_from_memory(bytes, kOneThread), said);
                   return said;
                 },
                 [](std::span<const char> bytes) { return save_to_memory(*load_from_memory(bytes, kOneThread)); }});
  for (const auto& [name, kind] : {std::pair{"IndexExact", IndexKind::kExact}, std::pair{"IndexHnsw", IndexKind::kHnsw},
                                   std::pair{"IndexIvf", IndexKind::kIvf}, std::pair{"IndexIvfPq", IndexKind::kIvfPq}})
    out.push_back({name, [kind = kind] { return save_to_memory(*sample_index(kind)); },
                   [](std::span<const char> bytes) {
                     std::vector<double> said;
                     use_index(*load_index_from_memory(bytes, kOneThread), said);
                     return said;
                   },
                   [](std::span<const char> bytes) { return save_to_memory(*load_index_from_memory(bytes, kOneThread)); }});
  out.push_back({"Profiles", [] { return save_to_memory(*sample_profiles()); },
                 [](std::span<const char> bytes) { return profile_answers(*load_profiles_from_memory(bytes, kOneThread)); },
                 [](std::span<const char> bytes) { return save_to_memory(*load_profiles_from_memory(bytes, kOneThread)); }});
  for (const bool trees : {false, true})
    out.push_back({trees ? "PurchaseIntentTrees" : "PurchaseIntent", [trees] { return save_to_memory(*sample_intent(trees)); },
                   [](std::span<const char> bytes) { return intent_answers(*load_purchase_intent_from_memory(bytes, kOneThread)); },
                   [](std::span<const char> bytes) { return save_to_memory(*load_purchase_intent_from_memory(bytes, kOneThread)); }});
  out.push_back({"ColdStartItems", [] { return save_to_memory(*sample_cold_start()); },
                 [](std::span<const char> bytes) { return cold_start_answers(*load_cold_start_from_memory(bytes, kOneThread)); },
                 [](std::span<const char> bytes) { return save_to_memory(*load_cold_start_from_memory(bytes, kOneThread)); }});
  out.push_back({"LifetimeModel", [] { return save_to_memory(sample_lifetime()); },
                 [](std::span<const char> bytes) { return lifetime_answers(*load_lifetime_model_from_memory(bytes, kOneThread)); },
                 [](std::span<const char> bytes) { return save_to_memory(*load_lifetime_model_from_memory(bytes, kOneThread)); }});
  out.push_back({"GammaGamma", [] { return save_to_memory(sample_money()); },
                 [](std::span<const char> bytes) { return money_answers(*load_gamma_gamma_from_memory(bytes, kOneThread)); },
                 [](std::span<const char> bytes) { return save_to_memory(*load_gamma_gamma_from_memory(bytes, kOneThread)); }});
  out.push_back({"BgBb", [] { return save_to_memory(sample_opportunities()); },
                 [](std::span<const char> bytes) { return opportunity_answers(*load_bg_bb_from_memory(bytes, kOneThread)); },
                 [](std::span<const char> bytes) { return save_to_memory(*load_bg_bb_from_memory(bytes, kOneThread)); }});
  out.push_back({"TreeEnsemble",
                 [] { return save_to_memory(load_tree_model(std::filesystem::path(::etalage::testing::tests_dir()) / "golden/trees/lightgbm_classes.txt")); },
                 [](std::span<const char> bytes) {
                   const TreeEnsemble trees = load_tree_model_from_memory(bytes, kOneThread);
                   if (trees.num_features() > 1000) return std::vector<double>{1};
                   const std::vector<double> rows(10 * static_cast<std::size_t>(trees.num_features()), 0.5);
                   std::vector<double> said(10 * trees.num_outputs());
                   trees.predict(MatrixView<const double>(rows.data(), 10, static_cast<std::size_t>(trees.num_features())), said, 1);
                   return said;
                 },
                 [](std::span<const char> bytes) { return save_to_memory(load_tree_model_from_memory(bytes, kOneThread)); }});
  out.push_back({"Snapshot", [] { return saved_file(*sample_snapshot()); },
                 [](std::span<const char> bytes) {
                   write_bytes(scratch_file(), bytes);
                   Engine engine(sample_engine_options());
                   const auto snapshot = load_snapshot(scratch_file(), kOneThread);
                   try {
                     engine.publish(snapshot);
                   } catch (const std::invalid_argument& e) {  // a mix of sources that this engine does not have
                     throw FormatError(e.what());
                   }
                   sample_events(engine);
                   return engine_answers(engine);
                 },
                 [](std::span<const char> bytes) {
                   write_bytes(scratch_file(), bytes);
                   return saved_file(*load_snapshot(scratch_file(), kOneThread));
                 }});
  out.push_back({"Engine", [] { return saved_file(*sample_engine()); },
                 [](std::span<const char> bytes) {
                   write_bytes(scratch_file(), bytes);
                   const auto engine = load_engine(scratch_file(), sample_engine_options(), kOneThread);
                   std::vector<double> said = engine_answers(*engine);
                   sample_events(*engine);
                   const std::vector<double> later = engine_answers(*engine);
                   said.insert(said.end(), later.begin(), later.end());
                   return said;
                 },
                 [](std::span<const char> bytes) {
                   write_bytes(scratch_file(), bytes);
                   return saved_file(*load_engine(scratch_file(), sample_engine_options(), kOneThread));
                 }});
  return out;
}

}  // namespace etalage::testing
