// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace etalage {

/// What a fit tells its host between two sweeps.
struct Progress {
  int step = 0;            ///< sweeps (epochs, blocks) done
  int total = 0;           ///< sweeps asked for
  double seconds = 0;      ///< since the fit began
  double objective = 0;    ///< of the model as it stands; NaN where it is not computed
  const char* phase = "";  ///< static text
};

/// Called on the thread that called fit(); returning false stops after the current sweep and keeps it.
using ProgressCallback = std::function<bool(const Progress&)>;

/// What a fit did. The host decides what to print.
struct FitReport {
  /// Why a fit ended: all sweeps done, nothing left to gain, its host said so, or solved at once.
  enum class StopReason { kIterations, kConverged, kCancelled, kClosedForm };
  StopReason stop_reason = StopReason::kIterations;  ///< why it ended
  int iterations = 0;  ///< sweeps done
  std::vector<double> objective;                               ///< after each sweep; entry 0 is the start, where computed
  std::vector<std::pair<std::string, double>> phase_seconds;  ///< in the order in which the phases first ran
  double seconds = 0;  ///< of the whole fit
};

}  // namespace etalage
