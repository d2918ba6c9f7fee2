// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/serialization.hpp"

#include <stdexcept>
#include <string>
#include <utility>

#include "etalage/error.hpp"
#include "etalage/models/recommender.hpp"
#include "io/buffer.hpp"
#include "io/format.hpp"
#include "io/loading.hpp"
#include "io/registry.hpp"

namespace etalage {
namespace {

std::shared_ptr<Recommender> make_model(const StateFile& file) {
  const ModelFactory factory = io::find_model(file.kind());
  if (factory == nullptr) {
    std::string known;
    for (const std::string& k : model_kinds()) known += (known.empty() ? "" : ", ") + k;
    throw FormatError("found a file of kind " + file.kind() + ", expected a model (" + known + ")");
  }
  return io::make_from(file, factory);
}

FileInfo info_of(const io::Buffer& buffer, const std::string& label) {
  io::Header h = io::parse_header(buffer.bytes, label);
  FileInfo out;
  out.format_version = h.version;
  out.library_version = io::version_text(h.library_version);
  out.kind = std::move(h.kind);
  out.bytes = h.total_bytes;
  for (io::Section& s : h.sections)
    out.sections.push_back({std::move(s.name), io::type_name(s.type), s.count, s.offset, s.bytes, s.checksum});
  return out;
}

}  // namespace

void save(const Recommender& model, const std::filesystem::path& path) {
  save_state(path, model.kind(), [&](StateWriter& w) { model.save_state(w); });
}

std::shared_ptr<Recommender> load_mutable(const std::filesystem::path& path, LoadOptions options) {
  return make_model(StateFile::open(path, options));
}

std::shared_ptr<const Recommender> load(const std::filesystem::path& path, LoadOptions options) {
  return load_mutable(path, options);
}

std::vector<char> save_to_memory(const Recommender& model) {
  return save_state_to_memory(model.kind(), [&](StateWriter& w) { model.save_state(w); });
}

std::shared_ptr<Recommender> load_from_memory(std::span<const char> bytes, LoadOptions options) {
  return make_model(StateFile::from_memory(bytes, options));
}

FileInfo file_info(const std::filesystem::path& path) { return info_of(io::map_file(path, path.string()), path.string()); }
FileInfo memory_info(std::span<const char> bytes) { return info_of(io::copy_memory(bytes), "bytes in memory"); }

}  // namespace etalage
