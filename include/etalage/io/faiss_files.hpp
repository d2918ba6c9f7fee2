// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/io/state_file.hpp"

namespace etalage {

class FaissIndex;

/// Lets load_vector_index(), and load() of models that hold one, read a FaissIndex, given LoadOptions::trust_faiss. In etalage::faiss;
/// once a process, before the first such file is opened. The functions below do it by themselves.
/// Threads   safe to call concurrently with everything
ETALAGE_EXPORT void register_faiss_index();

/// The rules of save() and load() for models. FormatError that says so without LoadOptions::trust_faiss.
ETALAGE_EXPORT void save(const FaissIndex& index, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<FaissIndex> load_faiss_index(const std::filesystem::path& path, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const FaissIndex& index);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<FaissIndex> load_faiss_index_from_memory(std::span<const char> bytes, LoadOptions options = {});

}  // namespace etalage
