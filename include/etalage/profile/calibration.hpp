// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// How scores become probabilities.
enum class Calibration : std::uint8_t { kNone, kPlatt, kIsotonic };
/// As options spell them.
template <>
inline constexpr auto option_names<Calibration> = std::to_array<OptionName<Calibration>>(
    {{"none", Calibration::kNone}, {"platt", Calibration::kPlatt}, {"isotonic", Calibration::kIsotonic}});

/// From a classifier's margin to a probability, learned on examples that it was not fitted on.
///
/// None       sigmoid(margin)
/// Platt      sigmoid(a margin + b), a and b by maximum likelihood with Platt's targets (n1 + 1) / (n1 + 2) and
///            1 / (n0 + 2) (J. Platt 1999, Probabilistic outputs for support vector machines)
/// Isotonic   the non-decreasing step function nearest in squares (pool adjacent violators), joined by straight lines
///            between the middles of the steps; a step of n examples with s buyers is worth (s + base) / (n + 1)
/// Threads    const members are safe to call concurrently
class ETALAGE_EXPORT Calibrator {
 public:
  Calibrator() = default;
  /// std::invalid_argument when sizes differ, a margin is not finite or, but for kNone, there is no example.
  Calibrator(Calibration kind, std::span<const double> margins, std::span<const std::uint8_t> labels);

  [[nodiscard]] double probability(double margin) const noexcept;  ///< in [0, 1], never falling with the margin
  [[nodiscard]] Calibration kind() const noexcept { return kind_; }
  [[nodiscard]] double slope() const noexcept { return slope_; }  ///< Platt's: of the margin
  [[nodiscard]] double offset() const noexcept { return offset_; }  ///< Platt's: added to it

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static Calibrator from_state(const StateReader& reader);

 private:
  Calibration kind_ = Calibration::kNone;
  double slope_ = 1;
  double offset_ = 0;
  std::vector<double> margins_;        // of the steps, rising
  std::vector<double> probabilities_;  // not falling
};

/// How good probabilities are.
struct BinaryEvaluation {
  /// Predictions of one interval of probability.
  struct Bin {
    double low = 0;        ///< smallest and largest prediction in it
    double high = 0;  ///< upper end of the bin
    std::int64_t count = 0;  ///< examples in it
    double predicted = 0;  ///< mean
    double observed = 0;   ///< share of ones
  };
  std::int64_t examples = 0;  ///< all of them
  std::int64_t positives = 0;  ///< of these, with a purchase
  double auc = 0;          ///< chance that a one is ranked above a zero, ties count half; NaN without both
  double log_loss = 0;     ///< mean of -ln p(label)
  double brier = 0;        ///< mean of (p - label)^2
  double calibration_error = 0;  ///< sum over bins of count / examples * |predicted - observed|
  std::vector<Bin> bins;   ///< of equal size, by rising prediction: the reliability curve
};

/// Bins hold equally many examples, which is harder than bins of equal width where most predictions are small; equal
/// predictions are never parted. std::invalid_argument when sizes differ or a probability is outside [0, 1].
[[nodiscard]] ETALAGE_EXPORT BinaryEvaluation evaluate_probabilities(std::span<const double> probabilities,
                                                                     std::span<const std::uint8_t> labels, std::size_t bins = 10);

}  // namespace etalage
