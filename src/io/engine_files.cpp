// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/engine_files.hpp"

#include <string>
#include <utility>

#include "etalage/error.hpp"
#include "io/loading.hpp"
#include "io/registry.hpp"

namespace etalage {
namespace {

constexpr const char* kSnapshot = "Snapshot";
constexpr const char* kEngine = "Engine";

std::shared_ptr<const Recommender> make_model(std::string_view kind, const StateReader& reader) {
  const ModelFactory factory = io::find_model(kind);
  return factory == nullptr ? nullptr : factory(reader);
}

std::shared_ptr<const Snapshot> snapshot_in(const StateReader& reader) {
  return Snapshot::from_state(ScopedReader(reader, "snapshot/"), &make_model);
}

}  // namespace

void save(const Snapshot& snapshot, const std::filesystem::path& path) {
  save_state(path, kSnapshot, [&](StateWriter& w) {
    ScopedWriter inner(w, "snapshot/");
    snapshot.save_state(inner);
  });
}

std::shared_ptr<const Snapshot> load_snapshot(const std::filesystem::path& path, LoadOptions options) {
  const StateFile file = StateFile::open(path, options);
  if (file.kind() != kEngine) {
    file.require_kind(kSnapshot);
    return io::make_from(file, &snapshot_in);
  }
  if (!file.reader().get_bool("has_snapshot")) throw FormatError(path.string() + ": found an engine without a snapshot, expected one with");
  try {
    return snapshot_in(file.reader());
  } catch (const std::invalid_argument& e) {
    throw FormatError(path.string() + ": holds what no snapshot can be: " + e.what());
  }
}

void save(const Engine& engine, const std::filesystem::path& path) {
  const std::shared_ptr<const Snapshot> snapshot = engine.snapshot();
  save_state(path, kEngine, [&](StateWriter& w) {
    w.put_bool("has_snapshot", snapshot != nullptr);
    ScopedWriter inner(w, "snapshot/");
    if (snapshot) snapshot->save_state(inner);
    ScopedWriter live(w, "live/");
    engine.events().save_state(live);
    ScopedWriter shown(w, "impressions/");
    engine.impressions().save_state(shown);
  });
}

std::unique_ptr<Engine> load_engine(const std::filesystem::path& path, EngineOptions options, LoadOptions load) {
  const StateFile file = StateFile::open(path, load);
  file.require_kind(kEngine);
  return io::make_from(file, [&](const StateReader& reader) {
    auto engine = std::make_unique<Engine>(std::move(options));
    engine->events().load_state(ScopedReader(reader, "live/"));
    engine->impressions().load_state(ScopedReader(reader, "impressions/"));
    if (reader.get_bool("has_snapshot")) engine->publish(snapshot_in(reader));
    return engine;
  });
}

}  // namespace etalage
