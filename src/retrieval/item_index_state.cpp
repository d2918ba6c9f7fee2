// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/retrieval/item_index.hpp"
#include "core/option_state.hpp"
#include "retrieval/item_index_impl.hpp"
#include "retrieval/stored_rows.hpp"

namespace etalage {

using retrieval::HnswGraph;
using retrieval::IdTable;
using retrieval::ItemStore;
using retrieval::IvfPq;

namespace {

/// The published part of an array that only grows: shared, not copied.
template <class T>
void put_prefix(StateWriter& writer, const std::string& name, const Array<T>& a, std::size_t count) {
  writer.put_bytes(name, dtype_of<T>(), a.data(), count, a.owner());
}

void save_store(StateWriter& writer, const ItemStore& s) {
  writer.put_int("rows", static_cast<std::int64_t>(s.rows));
  writer.put_int("live", static_cast<std::int64_t>(s.live));
  if (s.split) {
    put_prefix(writer, "split/rest", s.parts.rest, s.rows * kernels::SplitShape::bytes(s.dim));
    put_prefix(writer, "split/odd", s.parts.odd, s.parts.odd.size());
    put_prefix(writer, "split/odd_vectors", s.parts.odd_vectors, s.parts.odd_vectors.size());
  } else {
    put_prefix(writer, "vectors", s.vectors, s.rows * s.dim);
  }
  put_prefix(writer, "codes", s.codes, s.rows * s.shape.stride);
  writer.put_int("uncoded", static_cast<std::int64_t>(s.uncoded));
  if (s.falling > 1) writer.put_int("falling", static_cast<std::int64_t>(s.falling));
  // Files hold all, kept or not.
  ItemStore full = s;
  full.keep_ids();
  put_prefix(writer, "ids", full.ids, s.rows);
  Array<float> norms2 = s.norms2;
  if (norms2.empty()) {
    norms2 = Array<float>(s.rows, uninitialized);
    for (std::size_t r = 0; float& x : norms2.mutable_view()) x = s.norm2(r++);
  }
  put_prefix(writer, "norms2", norms2, s.rows);
  // These change in place while the file is being written.
  writer.put_array("alive", Array<std::uint8_t>(s.alive.view().first(s.rows)));
  writer.put_array("slots", Array<std::int32_t>(full.table.slots().view()));
}

ItemStore load_store(const StateReader& reader, int dim, bool with_norms2, bool lists) {
  ItemStore s;
  s.dim = static_cast<std::size_t>(dim);
  s.shape = lists ? kernels::CodeShape::dense(s.dim) : kernels::CodeShape(s.dim);  // lists' records lie without gaps
  s.rows = static_cast<std::size_t>(reader.get_int("rows", 0, std::numeric_limits<std::int32_t>::max()));
  s.live = static_cast<std::size_t>(reader.get_int("live", 0, static_cast<std::int64_t>(s.rows)));
  s.split = lists && reader.has("split/rest");
  if (s.split) {
    if (s.dim < retrieval::kFewestSplit || s.dim > retrieval::kMostSplit) reader.fail("dim", "found " + std::to_string(dim) + " dimensions of split rows");
    s.parts.rest = reader.get_array<std::uint8_t>("split/rest", s.rows * kernels::SplitShape::bytes(s.dim));
    s.parts.odd = reader.get_array<std::int32_t>("split/odd");
    s.parts.odd_vectors = reader.get_array<float>("split/odd_vectors", s.parts.odd.size() * s.dim);
    if (!reader.has("codes")) reader.fail("codes", "found none beside split rows");
  } else {
    s.vectors = reader.get_array<float>("vectors", s.rows * s.dim);
  }
  s.ids = reader.get_array<std::int64_t>("ids", s.rows);
  const Array<float> norms2 = reader.get_array<float>("norms2", s.rows);
  s.keeps_norms2 = with_norms2;
  if (with_norms2) s.norms2 = norms2;
  s.alive = reader.get_array<std::uint8_t>("alive", s.rows);
  const Array<std::int32_t> slots = reader.get_array<std::int32_t>("slots");
  if ((slots.size() & (slots.size() - 1)) != 0 || slots.size() < 2 * s.live)
    reader.fail("slots", "found " + std::to_string(slots.size()) + " slots, expected a power of two of at least twice the items");
  s.table = IdTable(slots);
  s.codes = reader.get_array<std::uint8_t>("codes", s.rows * s.shape.stride);
  s.uncoded = static_cast<std::size_t>(reader.get_int("uncoded", 0, static_cast<std::int64_t>(s.rows)));
  if (reader.has("falling")) s.falling = static_cast<std::size_t>(reader.get_int("falling", 0, static_cast<std::int64_t>(s.rows)));
  if (!reader.verify()) return s;

  float shortest = std::numeric_limits<float>::infinity();
  for (std::size_t r = 0; r < s.falling; ++r) {
    const float norm = s.tail(r).norm;
    if (!(norm <= ItemStore::kFallingSlack * shortest)) reader.fail("falling", "found a longer row at " + std::to_string(r));
    shortest = std::min(shortest, norm);
  }
  const retrieval::StoredRows stored = s.stored();
  std::vector<float> memory(s.dim);
  for (std::size_t i = 0; i < s.parts.odd.size(); ++i)
    if (s.parts.odd[i] < 0 || static_cast<std::size_t>(s.parts.odd[i]) >= s.rows || (i > 0 && s.parts.odd[i] <= s.parts.odd[i - 1]))
      reader.fail("split/odd", "found row " + std::to_string(s.parts.odd[i]) + ", expected rows of the index, ascending");
  for (std::size_t r = 0; s.split && r < s.rows; ++r)
    if (!stored.join(r, memory.data()) && !stored.has_odd(r)) reader.fail("split/odd", "found no values of row " + std::to_string(r));
  // As add() refuses them: scores stay finite. The norms of the file may be another index's.
  for (std::size_t r = 0; r < s.rows; ++r)
    if (!(s.norm2_of(stored.row(r, memory.data())) < std::numeric_limits<float>::max() / 4))
      reader.fail(s.split ? "split/rest" : "vectors", "found a value that is not finite or a squared norm of 8e37 or more in row " + std::to_string(r));
  for (const float x : norms2)
    if (!(x >= 0) || !(x < std::numeric_limits<float>::max() / 4)) reader.fail("norms2", "found a squared norm that is negative, not finite or 8e37 or more");
  for (std::size_t r = 0; r < s.rows; ++r)
    if (const kernels::CodeTail t = s.tail(r); !(t.scale >= 0 && t.error >= 0 && t.norm >= 0 && t.norm2 >= 0) || std::isinf(t.scale) || std::isinf(t.norm2))
      reader.fail("codes", "found a scale or bound that is negative or not finite at row " + std::to_string(r));
  std::size_t used = 0;
  for (const std::int32_t row : slots) {
    if (row == IdTable::kEmpty) continue;
    ++used;
    if (row < 0 || static_cast<std::size_t>(row) >= s.rows || !s.is_alive(static_cast<std::size_t>(row)))
      reader.fail("slots", "found row " + std::to_string(row) + ", which is no item");
  }
  std::size_t live = 0;
  for (std::size_t r = 0; r < s.rows; ++r) live += s.is_alive(r);
  if (used != s.live || live != s.live)
    reader.fail("live", "found " + std::to_string(used) + " slots in use and " + std::to_string(live) +
                            " items alive, expected " + std::to_string(s.live) + " of both");
  for (std::size_t r = 0; r < s.rows; ++r) {
    if (s.ids[r] < 0) reader.fail("ids", "found id " + std::to_string(s.ids[r]) + ", expected at least 0");
    if (s.is_alive(r) && s.find(s.ids[r]) != static_cast<std::int32_t>(r))
      reader.fail("slots", "found no slot for id " + std::to_string(s.ids[r]));
  }
  return s;
}

}  // namespace

void ItemIndex::save_state(StateWriter& writer) const {
  const auto lock = impl_->mutation();  // none is half done
  const ItemIndexOptions o = options();
  writer.put_int("dim", impl_->dim);
  writer.put_int("metric", static_cast<int>(impl_->metric));
  writer.put_int("kind", static_cast<int>(impl_->kind));
  put_options(writer, o);
  if (o.recall > 0) {
    writer.put_double("measured_recall", measured_recall());
    writer.put_int("tuned_rows", static_cast<std::int64_t>(impl_->tuned_rows));
  }
  save_store(writer, impl_->store);
  if (impl_->graph) {
    impl_->graph->save(writer);
    std::vector<double> linked_radii;
    for (const Impl::LinkedRadius& linked : impl_->linked_radii) {
      linked_radii.push_back(linked.radius2);
      linked_radii.push_back(static_cast<double>(linked.rows));
    }
    writer.put_doubles("graph/linked_radii", linked_radii);
    writer.put_double("graph/norm2_sum", impl_->norm2_sum);
  }
  if (impl_->has_lists()) {
    writer.put_bool("trained", impl_->lists != nullptr);
    if (impl_->lists) impl_->lists->save(writer, impl_->store);
  }
}

std::shared_ptr<ItemIndex> ItemIndex::from_state(const StateReader& reader) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  const int dim = static_cast<int>(reader.get_int("dim", 1, most));
  const auto metric = static_cast<IndexMetric>(reader.get_int("metric", 0, static_cast<int>(IndexMetric::kL2)));
  const auto kind = static_cast<IndexKind>(reader.get_int("kind", 0, static_cast<int>(IndexKind::kIvf)));
  const auto o = get_options<ItemIndexOptions>(reader);
  if (o.pq_m > dim) reader.fail("options/pq_m", "found " + std::to_string(o.pq_m) + ", expected at most dim");
  auto impl = std::make_unique<Impl>(dim, metric, kind, o);
  if (o.recall > 0) {
    const double measured = reader.get_double("measured_recall");
    if (!(measured >= 0 && measured <= 1) && !std::isnan(measured)) reader.fail("measured_recall", "found a value that is no share");
    impl->measured_recall.store(measured);
    impl->tuned_rows = static_cast<std::size_t>(reader.get_int("tuned_rows", 0, most));
  }
  impl->store = load_store(reader, dim, impl->needs_norms2(), kind == IndexKind::kIvf);
  if (kind == IndexKind::kHnsw) {
    impl->graph = std::make_shared<HnswGraph>(reader, o.M, impl->store.rows);
    impl->norm2_sum = reader.get_double("graph/norm2_sum");
    if (!(impl->norm2_sum >= 0) || !std::isfinite(impl->norm2_sum)) reader.fail("graph/norm2_sum", "found a value out of range");
    const std::vector<double> linked_radii = reader.get_doubles("graph/linked_radii");
    if (linked_radii.size() % 2 != 0) reader.fail("graph/linked_radii", "found an odd number of values");
    for (std::size_t i = 0; i < linked_radii.size(); i += 2) {
      if (!(linked_radii[i] >= 0) || !(linked_radii[i + 1] >= 0) || !(linked_radii[i + 1] <= static_cast<double>(most)))
        reader.fail("graph/linked_radii", "found a value out of range");
      impl->linked_radii.push_back({linked_radii[i], static_cast<std::int64_t>(linked_radii[i + 1])});
    }
  }
  const bool trained = impl->has_lists() && reader.get_bool("trained");
  if (impl->store.split && !trained) reader.fail("trained", "found split rows without lists");
  if (trained) {
    impl->lists = std::make_shared<IvfPq>(reader, o, kind == IndexKind::kIvfPq, impl->store.dim, impl->store.rows);
    impl->forget_order_that_ids_say(impl->store, *impl->lists);
  }
  return std::shared_ptr<ItemIndex>(new ItemIndex(std::move(impl)));
}

}  // namespace etalage
