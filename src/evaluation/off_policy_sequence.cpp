// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "detail/check.hpp"
#include "etalage/evaluation/off_policy.hpp"
#include "evaluation/off_policy_checks.hpp"

namespace etalage {
namespace {

using evaluation::require_entry;

/// Lower bounds of the mean of values >= 0 that hold at all times at once with probability 1 - error. For a bet b in
/// [0, 1) fixed before x is seen and a guess g <= 1 of it, exp(b (x - mean) - (-ln(1 - b) - b) (x - g)^2) has mean at most
/// 1 (Fan, Grama, Liu, 2015), so its running product stays under 1 / error (Ville).
class LowerBound {
 public:
  explicit LowerBound(double error) : log_error_(std::log(1 / error)) {}

  double add(double x) {
    const auto t = static_cast<double>(count_ + 1);
    const double variance = (0.25 + spread_) / t;
    const double bet = std::min(kLargestBet, std::sqrt(2 * log_error_ / (variance * t * std::log1p(t))));
    const double off = x - guess_;
    bets_ += bet;
    gains_ += bet * x;
    losses_ += (-std::log1p(-bet) - bet) * off * off;
    ++count_;
    sum_ += x;
    const double mean = (0.5 + sum_) / (t + 1);
    spread_ += (x - mean) * (x - mean);
    guess_ = std::min(mean, 1.0);
    best_ = std::max(best_, (gains_ - losses_ - log_error_) / bets_);
    return best_;
  }

 private:
  static constexpr double kLargestBet = 0.75;
  double log_error_;
  double bets_ = 0;
  double gains_ = 0;
  double losses_ = 0;
  double sum_ = 0;
  double spread_ = 0;
  double guess_ = 0.5;
  double best_ = 0;
  std::size_t count_ = 0;
};

}  // namespace

ConfidenceSequence confidence_sequence(std::span<const double> rewards, std::span<const double> propensities,
                                       std::span<const double> targets, double confidence, double reward_low, double reward_high) {
  detail::require_finite(confidence > 0 && confidence < 1, "confidence", confidence, "in (0, 1)");
  detail::require_finite(true, "reward_low", reward_low, "finite");
  detail::require_finite(reward_high > reward_low, "reward_high", reward_high, "above reward_low");
  const std::size_t n = rewards.size();
  if (n == 0 || propensities.size() != n || targets.size() != n)
    throw std::invalid_argument("rewards, propensities and target_probabilities have " + std::to_string(n) + ", " +
                                std::to_string(propensities.size()) + " and " + std::to_string(targets.size()) +
                                " values, must have one number of them, at least 1");
  ConfidenceSequence out{std::vector<double>(n), std::vector<double>(n)};
  LowerBound low((1 - confidence) / 2);
  LowerBound high((1 - confidence) / 2);
  const double width = reward_high - reward_low;
  for (std::size_t i = 0; i < n; ++i) {
    require_entry(rewards[i] >= reward_low && rewards[i] <= reward_high, "rewards", i, rewards[i], "in [reward_low, reward_high]");
    require_entry(propensities[i] > 0 && propensities[i] <= 1, "propensities", i, propensities[i], "in (0, 1]");
    require_entry(targets[i] >= 0 && targets[i] <= 1, "target_probabilities", i, targets[i], "in [0, 1]");
    const double weight = targets[i] / propensities[i];
    const double share = (rewards[i] - reward_low) / width;
    out.low[i] = reward_low + width * std::min(low.add(weight * share), 1.0);
    out.high[i] = reward_low + width * (1 - std::min(high.add(weight * (1 - share)), 1.0));
  }
  return out;
}

}  // namespace etalage
