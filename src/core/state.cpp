// SPDX-License-Identifier: Apache-2.0
#include "etalage/extend/state.hpp"

#include <limits>
#include <stdexcept>
#include <utility>

#include "etalage/extend/vector_index.hpp"
#include "etalage/error.hpp"

namespace etalage {

StateWriter::~StateWriter() = default;
StateReader::~StateReader() = default;
Storable::~Storable() = default;
VectorIndex::~VectorIndex() = default;

std::shared_ptr<Storable> StateReader::make_model(std::string_view kind, const StateReader&) const {
  throw FormatError("found a model of kind '" + std::string(kind) + "' inside another, where none can be read");
}
std::shared_ptr<VectorIndex> StateReader::make_index(std::string_view kind, const StateReader&) const {
  throw FormatError("found an index of kind '" + std::string(kind) + "' inside, where none can be read");
}
void StateWriter::require_model(std::string_view) const {}
void StateWriter::require_index(std::string_view) const {}
std::string_view Storable::kind() const noexcept { return {}; }

namespace {
// Files of the first versions know this one kind, and do not name it.
constexpr std::string_view kUnnamedIndex = "ItemIndex";
}  // namespace

void StateWriter::put_index(const std::string& name, const VectorIndex& index) {
  require_index(index.kind());
  ScopedWriter inner(*this, name + "/");
  if (index.kind() != kUnnamedIndex) put_string(name + "_kind", index.kind());
  index.save_state(inner);
}

std::shared_ptr<VectorIndex> StateReader::get_index(const std::string& name) const {
  const std::string kind = has(name + "_kind") ? get_string(name + "_kind") : std::string(kUnnamedIndex);
  std::shared_ptr<VectorIndex> index = make_index(kind, ScopedReader(*this, name + "/"));
  if (!index) fail(name, "the factory of the index kind '" + kind + "' made none");
  return index;
}

void ScopedReader::fail(const std::string& name, const std::string& found_and_expected) const {
  outer_.fail(prefix_ + name, found_and_expected);
  throw FormatError(found_and_expected);  // not reached; the compiler does not see it through a virtual call
}

void StateWriter::put_csr(const std::string& name, const CsrMatrix& m) {
  put_int(name + "/rows", m.rows);
  put_int(name + "/cols", m.cols);
  put_array(name + "/offsets", m.offsets);
  put_array(name + "/columns", m.columns);
  put_array(name + "/values", m.values);
}

void StateWriter::put_id_map(const std::string& name, const IdMap& ids) {
  const IdMap::Parts p = ids.parts();
  put_int(name + "/kind", static_cast<int>(p.kind));
  put_int(name + "/size", p.size);
  if (p.kind == IdMap::Kind::kInteger) {
    put_array(name + "/keys", p.keys);
  } else {
    put_array(name + "/offsets", p.offsets);
    put_array(name + "/bytes", p.bytes);
  }
  put_array(name + "/slots", p.slots);
}

std::int64_t StateReader::get_int(const std::string& name, std::int64_t low, std::int64_t high) const {
  const std::int64_t v = get_int(name);
  if (v < low || v > high)
    fail(name, "found " + std::to_string(v) + ", expected a value in [" + std::to_string(low) + ", " + std::to_string(high) + "]");
  return v;
}

CsrMatrix StateReader::get_csr(const std::string& name) const {
  constexpr std::int64_t limit = std::numeric_limits<std::int32_t>::max();
  CsrMatrix m;
  m.rows = get_int(name + "/rows", 0, limit);
  m.cols = get_int(name + "/cols", 0, limit);
  m.offsets = get_array<std::int64_t>(name + "/offsets");
  m.columns = get_array<std::int32_t>(name + "/columns");
  m.values = get_array<float>(name + "/values", m.columns.size());
  if (m.offsets.empty() && m.rows == 0 && m.columns.empty()) return m;  // no rows were kept
  if (m.offsets.size() != static_cast<std::size_t>(m.rows) + 1)
    fail(name + "/offsets", "found " + std::to_string(m.offsets.size()) + " elements, expected " + std::to_string(m.rows + 1));
  if (m.offsets[0] != 0 || m.offsets.back() != m.nnz()) fail(name + "/offsets", "found offsets that do not span the columns");
  if (verify()) {
    try {
      validate(m.view(), name.c_str());
    } catch (const std::invalid_argument& e) {
      fail(name, std::string("found a broken matrix: ") + e.what());
    }
  }
  return m;
}

IdMap StateReader::get_id_map(const std::string& name) const {
  IdMap::Parts p;
  p.kind = static_cast<IdMap::Kind>(get_int(name + "/kind", 0, 1));
  p.size = static_cast<std::int32_t>(get_int(name + "/size", 0, std::numeric_limits<std::int32_t>::max()));
  if (p.kind == IdMap::Kind::kInteger) {
    p.keys = get_array<std::int64_t>(name + "/keys");
  } else {
    p.offsets = get_array<std::int64_t>(name + "/offsets");
    const Bytes b = get_bytes(name + "/bytes");
    if (b.type != DType::kUInt8) fail(name + "/bytes", "an array of another element type");
    p.bytes = Array<char>::wrap(static_cast<const char*>(b.data), b.count, b.owner);
  }
  p.slots = get_array<std::uint32_t>(name + "/slots");
  try {
    return IdMap::from_parts(std::move(p), verify());
  } catch (const FormatError& e) {
    fail(name, e.what());
    throw;
  }
}

}  // namespace etalage
