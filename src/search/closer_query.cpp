// SPDX-License-Identifier: Apache-2.0
#include "search/closer_query.hpp"

#include <cmath>

namespace etalage::search {

bool CloserQuery::prepare(const float* query, const CodeShape& shape, int query_max, const CodedQuery& coded) {
  if (rest_.size() < shape.width) {
    rest_.resize(shape.width);
    codes_.resize(shape.width);
  }
  // In steps. What rounding takes away is below gamma |q|.
  const float inverse = 1 / coded.step;
  for (std::size_t f = 0; f < shape.dim; ++f) rest_[f] = query[f] * inverse - static_cast<float>(coded.terms.codes[f]);
  CodedQuery rest;
  if (!encode_query(rest_.data(), shape, query_max, false, codes_.data(), rest)) return false;
  unit_ = rest.step;
  const auto unit = static_cast<double>(unit_);
  const double norm = std::sqrt(static_cast<double>(coded.norm2)) / static_cast<double>(coded.step);
  const double left = static_cast<double>(rest.terms.per_norm) * unit;
  // Beside what the first bound allows for: the sums above and of this bound.
  const double rounding = rounding_gamma(shape.dim);
  const double per_error = (norm + left) * (1 + 1e-6);
  const double per_norm = left + 2 * rounding * norm;
  terms_ = rest.terms;
  terms_.per_error = static_cast<float>((per_error - static_cast<double>(coded.terms.per_error)) / unit);
  terms_.per_norm = static_cast<float>((per_norm - static_cast<double>(coded.terms.per_norm)) / unit);
  terms_.per_norm2 = coded.distance ? static_cast<float>(rounding / (static_cast<double>(coded.step) * unit)) : 0;
  return std::isfinite(terms_.per_error) && std::isfinite(terms_.per_norm) && std::isfinite(terms_.per_norm2);
}

}  // namespace etalage::search
