// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "etalage/core/progress.hpp"
#include "etalage/extend/state.hpp"

namespace etalage {

inline void put_report(StateWriter& writer, const FitReport& report) {
  writer.put_int("report/stop_reason", static_cast<std::int64_t>(report.stop_reason));
  writer.put_int("report/iterations", report.iterations);
  writer.put_doubles("report/objective", report.objective);
  writer.put_double("report/seconds", report.seconds);
  std::vector<std::string> phases;
  std::vector<double> seconds;
  for (const auto& [phase, s] : report.phase_seconds) {
    phases.push_back(phase);
    seconds.push_back(s);
  }
  writer.put_strings("report/phases", phases);
  writer.put_doubles("report/phase_seconds", seconds);
}

inline FitReport get_report(const StateReader& reader) {
  FitReport report;
  report.stop_reason = static_cast<FitReport::StopReason>(
      reader.get_int("report/stop_reason", 0, static_cast<int>(FitReport::StopReason::kClosedForm)));
  report.iterations = static_cast<int>(reader.get_int("report/iterations", 0, std::numeric_limits<int>::max()));
  report.objective = reader.get_doubles("report/objective");
  report.seconds = reader.get_double("report/seconds");
  const std::vector<std::string> phases = reader.get_strings("report/phases");
  const std::vector<double> seconds = reader.get_doubles("report/phase_seconds");
  if (phases.size() != seconds.size()) reader.fail("report/phases", "names and seconds of different number");
  for (std::size_t i = 0; i < phases.size(); ++i) report.phase_seconds.emplace_back(phases[i], seconds[i]);
  return report;
}

}  // namespace etalage
