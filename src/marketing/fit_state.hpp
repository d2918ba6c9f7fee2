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

template <class Options>
void put_fit_options(StateWriter& writer, const Options& options) {
  writer.put_int("options/max_iterations", options.max_iterations);
  writer.put_int("options/num_threads", options.num_threads);
}

template <class Options>
void get_fit_options(const StateReader& reader, Options& options) {
  options.max_iterations = static_cast<std::int32_t>(reader.get_int("options/max_iterations", 1, 1 << 30));
  options.num_threads = static_cast<int>(reader.get_int("options/num_threads", 0, 1 << 20));
}

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
