// SPDX-License-Identifier: Apache-2.0
#include "etalage/retrieval/index_rows.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "etalage/core/matrix_view.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/stored_rows.hpp"

namespace etalage {
namespace {

/// Keeps some of the arrays that an index writes of itself, which are those of one view.
class RowCollector final : public StateWriter {
 public:
  void put_int(const std::string&, std::int64_t) override {}
  void put_double(const std::string&, double) override {}
  void put_string(const std::string&, std::string_view) override {}
  void put_doubles(const std::string&, std::span<const double>) override {}
  void put_strings(const std::string&, std::span<const std::string>) override {}
  void put_bytes(const std::string& name, DType, const void* data, std::size_t count, std::shared_ptr<const void> owner) override {
    const auto take = [&]<class T>(const char* wanted, Array<T>& to) {
      if (name == wanted) to = Array<T>::wrap(static_cast<const T*>(data), count, std::move(owner));
    };
    take("vectors", vectors);
    take("split/rest", parts.rest);
    take("split/odd", parts.odd);
    take("split/odd_vectors", parts.odd_vectors);
    take("codes", codes);
    take("ids", ids);
    take("alive", alive);
  }
  Array<float> vectors;
  retrieval::SplitParts parts;
  Array<std::uint8_t> codes;
  Array<std::int64_t> ids;
  Array<std::uint8_t> alive;
};

}  // namespace

IndexRows rows_of(const ItemIndex& index) {
  RowCollector found;
  index.save_state(found);
  const std::span<const std::uint8_t> alive = found.alive;
  const auto live = static_cast<std::size_t>(std::count_if(alive.begin(), alive.end(), [](std::uint8_t a) { return a != 0; }));
  const auto dim = static_cast<std::size_t>(index.dim());
  if (!found.parts.rest.empty()) {
    kernels::CodeShape shape = kernels::CodeShape::dense(dim);
    if (found.codes.size() != alive.size() * shape.stride) shape = kernels::CodeShape(dim);
    const retrieval::StoredRows stored(found.parts, found.codes.data(), shape);
    found.vectors = Array<float>(alive.size() * dim, uninitialized);
    float* to = found.vectors.mutable_data();
    for (std::size_t r = 0; r < alive.size(); ++r) stored.copy(r, to + r * dim);
  }
  if (live == alive.size()) return {found.vectors, {found.ids.view().begin(), found.ids.view().end()}};

  IndexRows out{Array<float>(live * dim, uninitialized), {}};
  out.ids.reserve(live);
  float* to = out.vectors.mutable_view().data();
  for (std::size_t r = 0; r < alive.size(); ++r) {
    if (alive[r] == 0) continue;
    to = std::copy_n(found.vectors.data() + r * dim, dim, to);
    out.ids.push_back(found.ids[r]);
  }
  return out;
}

}  // namespace etalage
