// SPDX-License-Identifier: Apache-2.0
// What every model of this room that is fitted by Newton steps writes alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "detail/check.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/marketing/parameter_fit.hpp"

namespace etalage::marketing {

/// Parameters that were not fitted: of these names, each finite and > 0.
inline void require_parameters(std::span<const double> values, std::span<const char* const> names) {
  detail::require(values.size() == names.size(), "parameters.size()", values.size(), std::to_string(names.size()).c_str());
  for (std::size_t i = 0; i < names.size(); ++i) detail::require_finite(values[i] > 0, names[i], values[i], "finite and > 0");
}
[[nodiscard]] inline ParameterFit given_fit(std::span<const double> values, std::span<const char* const> names) {
  require_parameters(values, names);
  ParameterFit fit;
  fit.names.assign(names.begin(), names.end());
  fit.values.assign(values.begin(), values.end());
  fit.covariance.assign(names.size() * names.size(), std::numeric_limits<double>::quiet_NaN());
  return fit;
}

/// A fit without values is one that was not made.
inline void put_fit(StateWriter& writer, const ParameterFit& fit) {
  writer.put_bool("fitted", !fit.values.empty());
  if (fit.values.empty()) return;
  ScopedWriter inner(writer, "fit/");
  fit.save_state(inner);
}

[[nodiscard]] inline ParameterFit get_fit(const StateReader& reader, std::span<const char* const> names) {
  return reader.get_bool("fitted") ? ParameterFit::from_state(ScopedReader(reader, "fit/"), names) : ParameterFit{};
}

}  // namespace etalage::marketing
