// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "etalage/core/array.hpp"
#include "core/option_state.hpp"
#include "retrieval/faiss/faiss_index_impl.hpp"

namespace etalage {

using retrieval::FaissStructure;

void FaissIndex::save_state(StateWriter& writer) const {
  const std::lock_guard lock(impl_->writer);
  writer.put_string("factory", impl_->factory);
  writer.put_bool("from_bytes", impl_->from_bytes);
  put_options(writer, impl_->options);
  writer.put_bool("built", impl_->built);
  ScopedWriter rows(writer, "rows/");
  impl_->exact->save_state(rows);
  const auto put = [&](const char* name, std::vector<std::uint8_t> values) {
    const auto held = std::make_shared<const std::vector<std::uint8_t>>(std::move(values));
    writer.put_bytes(name, DType::kUInt8, held->data(), held->size(), held);
  };
  if (impl_->built || impl_->from_bytes) put("faiss", impl_->structure->bytes());
  if (!impl_->built) return;
  writer.put_array("ids", Array<std::int64_t>(std::span<const std::int64_t>(impl_->ids)));
  put("alive", impl_->alive);
}

std::shared_ptr<FaissIndex> FaissIndex::from_trusted_state(const StateReader& reader) {
  const auto o = get_options<FaissIndexOptions>(reader);
  const bool built = reader.get_bool("built");
  const bool from_bytes = reader.get_bool("from_bytes");
  std::shared_ptr<ItemIndex> rows = ItemIndex::from_state(ScopedReader(reader, "rows/"));
  if (rows->structure() != IndexKind::kExact) reader.fail("rows/kind", "found another kind than the exact one");

  auto impl = std::make_unique<Impl>(rows->dim(), rows->metric(), o);
  impl->exact = std::move(rows);
  impl->factory = reader.get_string("factory");
  impl->from_bytes = from_bytes;
  std::unique_ptr<FaissStructure> structure;
  try {
    if (built || from_bytes) {
      const Array<std::uint8_t> bytes = reader.get_array<std::uint8_t>("faiss");
      structure = std::make_unique<FaissStructure>(bytes.view());
    } else {
      structure = std::make_unique<FaissStructure>(impl->exact->dim(), impl->exact->metric(), impl->factory);
    }
  } catch (const std::invalid_argument& e) {
    reader.fail("faiss", e.what());
  }
  if (structure->dim() != impl->exact->dim() || !structure->measures(impl->exact->metric()))
    reader.fail("faiss", "found an index of another dim or metric than the rows'");
  if (!built) {
    impl->structure = std::move(structure);
    return std::shared_ptr<FaissIndex>(new FaissIndex(std::move(impl)));
  }
  if (!structure->trained()) reader.fail("faiss", "found an index that is not trained");
  const Array<std::int64_t> ids = reader.get_array<std::int64_t>("ids", structure->rows());
  const Array<std::uint8_t> alive = reader.get_array<std::uint8_t>("alive", ids.size());
  {
    const std::lock_guard lock(impl->writer);
    impl->start(std::move(structure), ids.view());
  }
  impl->row_of.clear();
  impl->alive.assign(alive.view().begin(), alive.view().end());
  for (std::size_t r = 0; r < ids.size(); ++r) {
    if (alive[r] == 0) {
      ++impl->dead;
      continue;
    }
    if (!impl->exact->contains(ids[r]) || !impl->row_of.emplace(ids[r], r).second)
      reader.fail("ids", "found id " + std::to_string(ids[r]) + ", which is no item or is there twice");
  }
  if (impl->row_of.size() != impl->exact->size())
    reader.fail("ids", "found " + std::to_string(impl->row_of.size()) + " rows, expected one for each of the " + std::to_string(impl->exact->size()) + " items");
  return std::shared_ptr<FaissIndex>(new FaissIndex(std::move(impl)));
}

}  // namespace etalage
