// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/faiss_files.hpp"

#include <string>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/faiss_index.hpp"
#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kKind = "FaissIndex";

std::shared_ptr<VectorIndex> make(const StateReader& reader) { return FaissIndex::from_trusted_state(reader); }

std::shared_ptr<FaissIndex> make_index(const StateFile& file, const std::string& label, const LoadOptions& options) {
  file.require_kind(kKind);
  if (!options.trust_faiss)
    throw FormatError(label + ": found an index of kind 'FaissIndex', whose bytes are read by FAISS, which believes what it reads: open it with "
                              "trust_faiss, and only where its writer is trusted");
  return io::make_from(file, &FaissIndex::from_trusted_state);
}

}  // namespace

void register_faiss_index() { register_index(kKind, &make, IndexBytes::kFaiss); }

void save(const FaissIndex& index, const std::filesystem::path& path) { io::save_object(index, kKind, path); }

std::shared_ptr<FaissIndex> load_faiss_index(const std::filesystem::path& path, LoadOptions options) {
  return make_index(StateFile::open(path, options), path.string(), options);
}

std::vector<char> save_to_memory(const FaissIndex& index) { return io::object_bytes(index, kKind); }

std::shared_ptr<FaissIndex> load_faiss_index_from_memory(std::span<const char> bytes, LoadOptions options) {
  return make_index(StateFile::from_memory(bytes, options), "bytes in memory", options);
}

}  // namespace etalage
