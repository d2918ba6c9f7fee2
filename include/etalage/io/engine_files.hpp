// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>

#include "etalage/export.hpp"
#include "etalage/io/state_file.hpp"
#include "etalage/serving/engine.hpp"
#include "etalage/serving/snapshot.hpp"

namespace etalage {

/// Models, indexes, catalogue, rules and mix in one file. At any moment the old file or the new one is there, complete.
ETALAGE_EXPORT void save(const Snapshot& snapshot, const std::filesystem::path& path);
/// From a file of a snapshot or of a whole engine. Arrays stay mapped; nothing is rebuilt but the tables of the catalogue.
/// FormatError says what was found and expected.
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<const Snapshot> load_snapshot(const std::filesystem::path& path, LoadOptions options = {});

/// The published snapshot, if there is one, and everything live in one file.
ETALAGE_EXPORT void save(const Engine& engine, const std::filesystem::path& path);
/// An engine as it was saved, its events in memory alone. For one with a journal: Engine(folder, ...) and
/// publish(load_snapshot(path)).
[[nodiscard]] ETALAGE_EXPORT std::unique_ptr<Engine> load_engine(const std::filesystem::path& path, EngineOptions options = {},
                                                                 LoadOptions load = {});

}  // namespace etalage
