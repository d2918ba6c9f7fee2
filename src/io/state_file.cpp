// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/state_file.hpp"

#include <unordered_map>
#include <utility>

#include "etalage/error.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/extend/vector_index.hpp"
#include "io/atomic_file.hpp"
#include "io/buffer.hpp"
#include "io/checksum.hpp"
#include "io/format.hpp"
#include "io/registry.hpp"
#include "io/state_writer.hpp"
#include "io/structure.hpp"

namespace etalage {
namespace {

using namespace io;

class BufferReader final : public StateReader {
 public:
  BufferReader(Buffer buffer, std::string label, LoadOptions options)
      : buffer_(std::move(buffer)), label_(std::move(label)), verify_(options.verify == Verify::kFull), num_threads_(options.num_threads),
        trust_faiss_(options.trust_faiss) {
    header_ = parse_header(buffer_.bytes, label_);
    std::vector<std::span<const std::byte>> ranges;
    for (const Section& s : header_.sections) ranges.push_back(buffer_.bytes.subspan(s.offset, s.bytes));
    // The structure is parsed, so it is checked whatever was asked for.
    const std::size_t checked = verify_ ? ranges.size() : 1;
    const auto sums = checksums(std::span(ranges).first(checked), options.num_threads);
    for (std::size_t i = 0; i < checked; ++i)
      if (sums[i] != header_.sections[i].checksum)
        throw FormatError(label_ + ": damaged: the checksum of " + (i == 0 ? "the structure" : "section '" + header_.sections[i].name + "'") +
                          " does not match its contents");
    values_ = read_structure(ranges[0], label_);
    for (std::size_t i = 1; i < header_.sections.size(); ++i) {
      const std::string& name = header_.sections[i].name;
      if (values_.contains(name)) throw FormatError(label_ + ": damaged: found the name '" + name + "' twice");
      arrays_.emplace(name, i);
    }
  }

  bool has(const std::string& name) const override { return values_.contains(name) || arrays_.contains(name); }
  std::int64_t get_int(const std::string& name) const override { return get<std::int64_t>(name, "an integer"); }
  double get_double(const std::string& name) const override { return get<double>(name, "a number"); }
  std::string get_string(const std::string& name) const override { return get<std::string>(name, "a string"); }
  std::vector<double> get_doubles(const std::string& name) const override {
    return get<std::vector<double>>(name, "a list of numbers");
  }
  std::vector<std::string> get_strings(const std::string& name) const override {
    return get<std::vector<std::string>>(name, "a list of strings");
  }
  Bytes get_bytes(const std::string& name) const override {
    const auto found = arrays_.find(name);
    if (found == arrays_.end()) fail(name, values_.contains(name) ? "found a value, expected an array" : "not found, expected an array");
    read_.insert(name);
    const Section& s = header_.sections[found->second];
    Bytes out;
    out.type = static_cast<DType>(s.type);
    out.count = s.count;
    if (s.count == 0) return out;
    out.data = buffer_.bytes.data() + s.offset;
    out.owner = buffer_.owner;
    return out;
  }
  bool verify() const noexcept override { return verify_; }
  int num_threads() const noexcept override { return num_threads_; }
  std::shared_ptr<Storable> make_model(std::string_view kind, const StateReader& state) const override {
    const ModelFactory factory = find_model(kind);
    if (factory == nullptr) throw FormatError(label_ + ": found a model of kind '" + std::string(kind) + "' inside, which is not known: see register_model");
    std::shared_ptr<Recommender> model = factory(state);
    if (!model) throw FormatError(label_ + ": the factory of the model kind '" + std::string(kind) + "' made none");
    return model;
  }
  std::shared_ptr<VectorIndex> make_index(std::string_view kind, const StateReader& state) const override {
    const IndexFactory factory = find_index(kind);
    if (factory == nullptr) throw FormatError(label_ + ": found an index of kind '" + std::string(kind) + "' inside, which is not known: see register_index");
    require_trusted(kind, trust_faiss_, label_);
    return factory(state);
  }
  void fail(const std::string& name, const std::string& what) const override {
    throw FormatError(label_ + ": field '" + name + "' of a " + header_.kind + " file: " + what);
  }

  const Header& header() const noexcept { return header_; }
  const std::string& label() const noexcept { return label_; }

  void require_all_read() const {
    const auto check = [&](const std::string& name) {
      if (read_.contains(name) || name.starts_with("info/")) return;
      throw FormatError(label_ + ": found field '" + name + "' in a " + header_.kind + " file written by etalage " +
                        version_text(header_.library_version) + ", which this library does not know: upgrade etalage to read it");
    };
    for (const auto& entry : values_) check(entry.first);
    for (const auto& entry : arrays_) check(entry.first);
  }

 private:
  template <class T>
  const T& get(const std::string& name, const char* expected) const {
    const auto found = values_.find(name);
    const T* value = found == values_.end() ? nullptr : std::get_if<T>(&found->second);
    if (value == nullptr) fail(name, std::string(has(name) ? "found another type" : "not found") + ", expected " + expected);
    read_.insert(name);
    return *value;
  }

  Buffer buffer_;
  std::string label_;
  bool verify_;
  int num_threads_;
  bool trust_faiss_;
  Header header_;
  Structure values_;
  std::unordered_map<std::string, std::size_t> arrays_;
  mutable std::unordered_set<std::string> read_;
};

CollectingWriter collect(const std::function<void(StateWriter&)>& put) {
  CollectingWriter writer;
  put(writer);
  return writer;
}

}  // namespace

struct StateFile::Impl {
  BufferReader reader;
};

StateFile::StateFile(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
StateFile::StateFile(StateFile&&) noexcept = default;
StateFile& StateFile::operator=(StateFile&&) noexcept = default;
StateFile::~StateFile() = default;

StateFile StateFile::open(const std::filesystem::path& path, LoadOptions options) {
  const std::string label = path.string();
  return StateFile(std::unique_ptr<Impl>(new Impl{BufferReader(map_file(path, label), label, options)}));
}

StateFile StateFile::from_memory(std::span<const char> bytes, LoadOptions options) {
  return StateFile(std::unique_ptr<Impl>(new Impl{BufferReader(copy_memory(bytes), "bytes in memory", options)}));
}

const std::string& StateFile::kind() const noexcept { return impl_->reader.header().kind; }
const StateReader& StateFile::reader() const noexcept { return impl_->reader; }
void StateFile::require_all_read() const { impl_->reader.require_all_read(); }

void StateFile::require_kind(std::string_view expected) const {
  if (kind() != expected)
    throw FormatError(impl_->reader.label() + ": found a file of kind " + kind() + ", expected " + std::string(expected));
}

void save_state(const std::filesystem::path& path, std::string_view kind, const std::function<void(StateWriter&)>& put) {
  const CollectingWriter writer = collect(put);
  std::unique_ptr<AtomicFile> file;
  writer.write(
      kind, [&](std::uint64_t bytes) { file = std::make_unique<AtomicFile>(path, bytes); },
      [&](std::span<const std::byte> bytes) { file->write(bytes); });
  file->commit();
}

std::vector<char> save_state_to_memory(std::string_view kind, const std::function<void(StateWriter&)>& put) {
  std::vector<char> out;
  collect(put).write(
      kind, [&](std::uint64_t bytes) { out.reserve(bytes); },
      [&](std::span<const std::byte> bytes) {
        const char* p = reinterpret_cast<const char*>(bytes.data());
        out.insert(out.end(), p, p + bytes.size());
      });
  return out;
}

}  // namespace etalage
