// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/factor_index.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "etalage/error.hpp"

namespace etalage {

std::shared_ptr<ItemIndex> make_factor_index(const FactorModel& model, IndexKind kind, const ItemIndexOptions& options) {
  if (!model.fitted()) throw NotFittedError(std::string(model.kind()) + " is not fitted, must be before an index of its factors is made");
  auto index = std::make_shared<ItemIndex>(static_cast<int>(model.factors()), IndexMetric::kDot, kind, options);
  const auto n = static_cast<std::size_t>(model.num_items());
  const auto dim = static_cast<std::size_t>(model.factors());
  std::vector<std::int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), std::int64_t{0});
  const float* rows = model.item_factors().data();
  std::vector<float> sorted;
  if (kind == IndexKind::kExact) {
    std::vector<double> norms2(n, 0.0);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t f = 0; f < dim; ++f) norms2[i] += static_cast<double>(rows[i * dim + f]) * static_cast<double>(rows[i * dim + f]);
    std::stable_sort(ids.begin(), ids.end(), [&](std::int64_t a, std::int64_t b) { return norms2[static_cast<std::size_t>(a)] > norms2[static_cast<std::size_t>(b)]; });
    sorted.resize(n * dim);
    for (std::size_t i = 0; i < n; ++i) std::copy_n(rows + static_cast<std::size_t>(ids[i]) * dim, dim, &sorted[i * dim]);
    rows = sorted.data();
  }
  index->add({rows, n, dim}, ids);
  return index;
}

void build_index(FactorModel& model, IndexKind kind, const ItemIndexOptions& options) { model.set_index(make_factor_index(model, kind, options)); }

}  // namespace etalage
