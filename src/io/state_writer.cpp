// SPDX-License-Identifier: Apache-2.0
#include "io/state_writer.hpp"

#include <bit>
#include <stdexcept>
#include <utility>

#include "etalage/error.hpp"
#include "io/checksum.hpp"
#include "io/registry.hpp"

namespace etalage::io {

void CollectingWriter::claim(const std::string& name) {
  if (name.empty() || name.size() > kMaxNameBytes)
    throw std::invalid_argument("name has " + std::to_string(name.size()) + " bytes, must have 1 to 1024");
  if (!names_.insert(name).second) throw std::invalid_argument("name is '" + name + "', must be unique in one file");
}

void CollectingWriter::require_model(std::string_view kind) const { require_model_kind(kind); }
void CollectingWriter::require_index(std::string_view kind) const { require_index_kind(kind); }

void CollectingWriter::put(const std::string& name, Value value) {
  claim(name);
  values_.emplace(name, std::move(value));
}

void CollectingWriter::put_int(const std::string& name, std::int64_t value) { put(name, value); }
void CollectingWriter::put_double(const std::string& name, double value) { put(name, value); }
void CollectingWriter::put_string(const std::string& name, std::string_view value) { put(name, std::string(value)); }
void CollectingWriter::put_doubles(const std::string& name, std::span<const double> values) {
  put(name, std::vector<double>(values.begin(), values.end()));
}
void CollectingWriter::put_strings(const std::string& name, std::span<const std::string> values) {
  put(name, std::vector<std::string>(values.begin(), values.end()));
}

void CollectingWriter::put_bytes(const std::string& name, DType type, const void* data, std::size_t count,
                                 std::shared_ptr<const void> owner) {
  const std::size_t size = element_size(static_cast<std::uint32_t>(type));
  if (size == 0) throw std::invalid_argument("type is " + std::to_string(static_cast<int>(type)) + ", must be a DType");
  claim(name);
  arrays_.push_back({name, type, {static_cast<const std::byte*>(data), count * size}, count, std::move(owner)});
}

void CollectingWriter::write(std::string_view kind, const std::function<void(std::uint64_t)>& begin,
                             const std::function<void(std::span<const std::byte>)>& out) const {
  if constexpr (std::endian::native != std::endian::little)
    throw UnsupportedError("files are little-endian and are not written on this machine");
  const std::string structure = write_structure(values_);
  std::vector<std::span<const std::byte>> bytes{std::as_bytes(std::span(structure))};
  std::vector<Section> sections(1);
  sections[0].count = structure.size();
  for (const Piece& a : arrays_) {
    bytes.push_back(a.bytes);
    Section s;
    s.name = a.name;
    s.type = static_cast<std::uint32_t>(a.type);
    s.count = a.count;
    sections.push_back(std::move(s));
  }
  const auto sums = checksums(bytes, 0);
  for (std::size_t i = 0; i < sections.size(); ++i) {
    sections[i].bytes = bytes[i].size();
    sections[i].checksum = sums[i];
  }
  const auto header = make_header(kind, sections);
  begin(sections.back().offset + sections.back().bytes);
  out(header);
  std::uint64_t at = header.size();
  static constexpr std::byte zeros[kSectionAlignment]{};
  for (std::size_t i = 0; i < sections.size(); ++i) {
    out(std::span(zeros).first(static_cast<std::size_t>(sections[i].offset - at)));
    out(bytes[i]);
    at = sections[i].offset + sections[i].bytes;
  }
}

}  // namespace etalage::io
